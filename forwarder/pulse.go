package forwarder

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// patience is how long after the time it gave itself a loop may take its next
// step before it counts as stalled. What a loop does between two steps takes
// seconds, on a slow disk too.
const patience = 5 * time.Minute

// forever as the time for the next step: the loop waits for something that need
// not come, or for another loop, which is watched itself.
const forever = time.Duration(math.MaxInt64)

// replicaWide is the time for what walks over the whole replica in one call.
const replicaWide = 2 * time.Hour

// pulses are what the loops that run say of themselves.
type pulses struct {
	now func() time.Time

	mu  sync.Mutex
	all map[*pulse]struct{}
}

// pulse is one loop's word on what it does and when its next step is due: so a
// loop that hangs can be told from one that waits, be it for an hour. A nil
// pulse is watched by nobody.
type pulse struct {
	of   *pulses
	loop string

	// Guarded by of.mu.
	doing string
	phase int // counts what the loop has done so far
	since time.Time
	due   time.Time // zero = not at any time
}

// begin enters a loop; its end is to be told with [pulse.end].
func (ps *pulses) begin(loop string) *pulse {
	if ps == nil {
		return nil
	}
	p := &pulse{of: ps, loop: loop}
	p.enter("begins", 0)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		ps.all = make(map[*pulse]struct{})
	}
	ps.all[p] = struct{}{}
	return p
}

func (p *pulse) end() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	delete(p.of.all, p)
}

// enter says what the loop does from now on and within which time it will say
// so again.
func (p *pulse) enter(doing string, within time.Duration) {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	now := p.of.now()
	p.doing, p.since = doing, now
	p.phase++
	p.expect(now, within)
}

func (p *pulse) expect(now time.Time, within time.Duration) {
	if p.due = now.Add(within); within == forever {
		p.due = time.Time{}
	}
}

// sleep waits like [sleep].
func (p *pulse) sleep(ctx context.Context, d time.Duration) bool {
	p.enter("waits for its time", d)
	return sleep(ctx, d)
}

// call says that the loop calls out, and returns a context in which
// [intel.Expect] speaks for it until it does something else.
func (p *pulse) call(ctx context.Context, doing string) context.Context {
	if p == nil {
		return ctx
	}
	p.enter(doing, 0)
	p.of.mu.Lock()
	phase := p.phase
	p.of.mu.Unlock()
	return intel.WithExpect(ctx, func(within time.Duration) {
		p.of.mu.Lock()
		defer p.of.mu.Unlock()
		if p.phase == phase { // else the call has returned, and only its remains speak
			p.expect(p.of.now(), within)
		}
	})
}

// Stall is a loop whose next step is overdue.
type Stall struct {
	Loop  string // "deliver socdefenders to splunk_hec.soc"
	Doing string
	Since time.Time // when it began to do that
	Due   time.Time // when its next step should have come at the latest
}

func (s Stall) String() string {
	return fmt.Sprintf("%s: %s since %s", s.Loop, s.Doing, s.Since.UTC().Format(time.RFC3339))
}

// stalled returns the loops whose next step is overdue by [patience].
func (ps *pulses) stalled() []Stall {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := ps.now()
	var out []Stall
	for p := range ps.all {
		if !p.due.IsZero() && now.Sub(p.due) > patience {
			out = append(out, Stall{Loop: p.loop, Doing: p.doing, Since: p.since, Due: p.due.Add(patience)})
		}
	}
	slices.SortFunc(out, func(a, b Stall) int { return cmp.Or(cmp.Compare(a.Loop, b.Loop), a.Due.Compare(b.Due)) })
	return out
}
