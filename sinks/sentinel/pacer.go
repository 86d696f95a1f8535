package sentinel

import (
	"context"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// window is the minute that the API counts requests in, and a little more,
// because a request arrives later than it was sent.
const window = time.Minute + time.Second

// A pacer spreads the requests of one identity: it grants a number of them in
// any window, in a burst if need be, so that the allowance is used in full and
// never exceeded.
type pacer struct {
	mu     sync.Mutex
	limits map[*pace]int // what each sink allows itself; the least counts
	sent   []time.Time   // within the window, in order
	held   time.Time     // a 429 asked for silence until then
}

// pacers are shared by all sinks of the process that have the same identity,
// since Sentinel counts per caller. There are as many as identities were ever
// configured.
var pacers = struct {
	sync.Mutex
	of map[string]*pacer
}{of: map[string]*pacer{}}

// pace is one sink's share in a pacer.
type pace struct{ *pacer }

// joinPacer returns a share in the pacer of identity, which from now on grants
// at most perMinute requests a minute.
func joinPacer(identity string, perMinute int) *pace {
	pacers.Lock()
	defer pacers.Unlock()
	p := pacers.of[identity]
	if p == nil {
		p = &pacer{limits: map[*pace]int{}}
		pacers.of[identity] = p
	}
	share := &pace{p}
	p.mu.Lock()
	p.limits[share] = perMinute
	p.mu.Unlock()
	return share
}

// leave gives the share up.
func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.limits, p)
}

// wait returns when a request may be sent. While the identity is throttled it
// fails at once, as the engine is better at waiting.
func (p *pacer) wait(ctx context.Context) error {
	for {
		delay, err := p.take(time.Now())
		if err != nil || delay <= 0 {
			return err
		}
		intel.Expect(ctx, delay)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return (&intel.Failure{Kind: intel.FailTimeout, Err: context.Cause(ctx)}).
				WithHint("waiting for a turn under requests_per_minute")
		}
	}
}

// take notes a request at now, or says how long it has to wait.
func (p *pacer) take(now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := p.held.Sub(now); left > 0 {
		return 0, intel.Fail(intel.FailThrottled, "sentinel asked for silence until %s", p.held.UTC().Format(time.RFC3339)).WithRetryAfter(left)
	}
	old := 0
	for old < len(p.sent) && now.Sub(p.sent[old]) >= window {
		old++
	}
	if old > 0 {
		p.sent = append(p.sent[:0], p.sent[old:]...)
	}
	limit := maxRequestsPerMinute
	for _, n := range p.limits {
		limit = min(limit, n)
	}
	if n := len(p.sent); n >= limit {
		return p.sent[n-limit].Add(window).Sub(now), nil
	}
	p.sent = append(p.sent, now)
	return 0, nil
}

// hold makes every wait fail for d.
func (p *pacer) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.held) {
		p.held = until
	}
}
