package transport

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAhead bounds a wait that no server asked for in so many words: a limit
	// that is said to be used up for longer is tried again in between.
	maxAhead = 15 * time.Minute
	// sameReset is by how much two answers of one window may differ in when it
	// ends: their dates have whole seconds.
	sameReset = 3 * time.Second
	// leastCost and costShare bound what a request is believed to cost, as other
	// clients of the account draw on the limit as well: this much, or that part of
	// the limit.
	leastCost = 3
	costShare = 10
)

// A budget is what a host said of its rate limit: X-RateLimit-Limit,
// -Remaining and -Reset, with or without the X- (the names used before
// draft-ietf-httpapi-ratelimit-headers had one field). It is there to stop in
// time rather than be refused.
type budget struct {
	left     float64 // requests, or their points, at the last answer
	until    time.Time
	cost     float64 // of the dearest request, as seen in how left falls
	underWay int     // requests sent and not answered
}

// wait returns how long to wait before the next request.
func (b *budget) wait(now time.Time) time.Duration {
	d := b.until.Sub(now)
	cost := max(b.cost, 1)
	if d <= 0 || b.left-float64(b.underWay)*cost >= cost {
		return 0
	}
	return d
}

// note takes what an answer says.
func (b *budget) note(h http.Header, now time.Time) {
	left, ok := number(h, "Remaining")
	if !ok || left < 0 { // -1 is none
		return
	}
	limit, limited := number(h, "Limit")
	if limited && limit <= 0 {
		return
	}
	wait, ok := untilReset(h, now)
	if !ok || wait <= 0 {
		b.until = time.Time{}
		return
	}
	until := now.Add(min(wait+time.Second, maxAhead)) // dates have whole seconds
	if drop := b.left - left; drop > 0 && until.Sub(b.until).Abs() <= sameReset {
		b.cost = min(max(b.cost, drop), max(leastCost, limit/costShare))
	}
	b.left, b.until = left, until
}

// done ends a request that was admitted. resp is its answer, nil if there is
// none. What a refusal asks for is for the caller to see to.
func (h *holds) done(u *url.URL, resp *http.Response) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.budgets[holdKey(u.Host)]
	if b == nil {
		return
	}
	b.underWay--
	if resp != nil && kindOf(resp.StatusCode) != kindOf(http.StatusTooManyRequests) {
		b.note(resp.Header, h.clock.Now())
	}
}

// number reads one of the rate limit's fields: "100", or as the drafts had it
// "100, 100;w=60".
func number(h http.Header, name string) (float64, bool) {
	for _, prefix := range []string{"X-Ratelimit-", "Ratelimit-", "X-Rate-Limit-"} {
		text, _, _ := strings.Cut(h.Get(prefix+name), ",")
		text, _, _ = strings.Cut(text, ";")
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err == nil && v == v {
			return v, true
		}
	}
	return 0, false
}
