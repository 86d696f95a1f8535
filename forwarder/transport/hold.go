package transport

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"
)

// holds remembers which hosts asked to be left alone, and until when.
type holds struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// Hold makes every request to host wait until d has passed, whoever sends it
// through this client: a server that throttles one collection throttles all. A
// longer hold wins over a shorter one. host is the Host of a URL, with its port
// if that is not the default.
func (c *Client) Hold(host string, d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d)
	host = holdKey(host)
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	if c.holds.until == nil {
		c.holds.until = map[string]time.Time{}
	}
	if until.After(c.holds.until[host]) {
		c.holds.until[host] = until
	}
}

// wait returns when u's host is not on hold, or with ctx's error.
func (h *holds) wait(ctx context.Context, u *url.URL) error {
	key := holdKey(u.Host)
	for {
		h.mu.Lock()
		until, held := h.until[key]
		left := time.Until(until)
		if held && left <= 0 {
			delete(h.until, key)
		}
		h.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C: // look again: the hold may have been extended
		}
	}
}

// holdKey makes "Example.com:443" and "example.com" the same.
func holdKey(host string) string {
	host = strings.ToLower(host)
	host = strings.TrimSuffix(host, ":443")
	return strings.TrimSuffix(host, ":80")
}
