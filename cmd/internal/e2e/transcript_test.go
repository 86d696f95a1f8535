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
	return slices.DeleteFunc(strings.Split(t.String(), "\n"), func(line string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

func (t *transcript) tail(n int) string {
	all := strings.Split(t.String(), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
