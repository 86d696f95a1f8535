package transport

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// TestSignsOfLife: whoever watches over a request hears how long it may be
// silent, again with every piece of the answer, and how long the host is to be
// left alone.
func TestSignsOfLife(t *testing.T) {
	next := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer s.Close()
	const timeout, hold = 7 * time.Second, 30 * time.Millisecond
	c := mustNew(t, Options{Origin: s.URL, Timeout: timeout})
	var mu sync.Mutex
	var heard []time.Duration
	take := func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		defer func() { heard = nil }()
		return heard
	}
	req := get(t, s.URL)
	req = req.WithContext(intel.WithExpect(req.Context(), func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, d)
	}))
	c.Hold(req.URL.Host, hold)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := take(); !slices.Contains(got, timeout) || !slices.ContainsFunc(got, func(d time.Duration) bool { return d > 0 && d <= hold }) {
		t.Errorf("until the answer: %v", got)
	}
	for range 3 {
		var b [1]byte
		if _, err := resp.Body.Read(b[:]); err != nil {
			t.Fatal(err)
		}
		if got := take(); !slices.Contains(got, timeout) {
			t.Errorf("with a piece of the answer: %v", got)
		}
		next <- struct{}{}
	}
}
