package e2e

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// transcript is what the forwarder logged.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	from int // where lines begins
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// lines returns the lines that hold all of parts.
func (t *transcript) lines(parts ...string) []string {
	t.mu.Lock()
	text := string(t.text.Bytes()[t.from:])
	t.mu.Unlock()
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

func (t *transcript) tail(n int) string {
	all := strings.Split(t.String(), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// forget makes lines leave out what has been written so far.
func (t *transcript) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from = t.text.Len()
}
