package transport

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// holds remembers which hosts are to be left alone, and until when: because
// they asked for it, or because what they allow is used up.
type holds struct {
	clock   Clock
	mu      sync.Mutex
	until   map[string]time.Time
	budgets map[string]*budget
}

// Hold makes every request to host wait until d has passed, whoever sends it
// through this client: a server that throttles one collection throttles all. A
// longer hold wins over a shorter one. host is the Host of a URL, with its port
// if that is not the default.
func (c *Client) Hold(host string, d time.Duration) {
	if d <= 0 {
		return
	}
	h := &c.holds
	until := h.clock.Now().Add(d)
	host = holdKey(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if until.After(h.until[host]) {
		h.until[host] = until
	}
}

// Held returns how long a request to host would wait if it were sent now: for
// [Client.Hold], or because the host said that its rate limit is used up.
func (c *Client) Held(host string) time.Duration {
	h := &c.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.left(holdKey(host))
}

// left returns how long a request has to wait; h.mu is held.
func (h *holds) left(key string) time.Duration {
	now := h.clock.Now()
	left := h.until[key].Sub(now)
	if left <= 0 {
		delete(h.until, key)
	}
	if b := h.budgets[key]; b != nil {
		left = max(left, b.wait(now))
	}
	return max(left, 0)
}

// admit returns when a request to u may be sent, or with ctx's error. The
// request counts as under way until [holds.done] is told of it.
func (h *holds) admit(ctx context.Context, u *url.URL) error {
	key := holdKey(u.Host)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h.mu.Lock()
		left := h.left(key)
		if left <= 0 {
			b := h.budgets[key]
			if b == nil {
				b = &budget{}
				h.budgets[key] = b
			}
			b.underWay++
			h.mu.Unlock()
			return nil
		}
		h.mu.Unlock()
		intel.Expect(ctx, left)
		if err := h.clock.Sleep(ctx, left); err != nil {
			return err
		} // look again: the hold may have been extended
	}
}

// holdKey makes "Example.com:443" and "example.com" the same.
func holdKey(host string) string {
	host = strings.ToLower(host)
	host = strings.TrimSuffix(host, ":443")
	return strings.TrimSuffix(host, ":80")
}
