package forwarder

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
)

// watchInterval is how often the replica is asked and stalls are looked for.
const watchInterval = 10 * time.Second

// Stalled returns the loops that have not made their next step in time, given
// what they are doing: a request that its timeout should have ended long ago, a
// write that the disk does not finish. A loop that waits (for its next poll, for
// a destination that throttles, for a back-off to pass) is none, nor is one
// whose remote side fails or is slow.
func (f *Forwarder) Stalled() []Stall {
	out := f.pulses.stalled()
	if g := f.current.Load(); g != nil {
		out = append(out, g.pulses.stalled()...)
	}
	return out
}

// Alive reports whether loops are running and none is stalled.
func (f *Forwarder) Alive() bool {
	return f.current.Load() != nil && len(f.Stalled()) == 0
}

// probe asks the replica something small now and then, so that a disk that
// hangs shows even while no loop has anything to store.
func (f *Forwarder) probe(ctx context.Context, p *pulse) {
	defer p.end()
	for ctx.Err() == nil {
		p.enter("asks the replica", 0)
		// That it fails is for the loops to say that need it.
		_ = f.store.Ping(ctx)
		p.sleep(ctx, watchInterval)
	}
}

// report logs stalls, each once, and when they are over. It touches nothing
// that could stall itself.
func (f *Forwarder) report(ctx context.Context, log hclog.Logger) {
	said := map[string]bool{}
	for sleep(ctx, watchInterval) {
		now := map[string]bool{}
		for _, s := range f.Stalled() {
			now[s.Loop] = true
			if !said[s.Loop] {
				log.Error("a loop is stuck; where a watchdog looks after this program, it is about to restart it", "loop", s.Loop, "doing", s.Doing, "since", s.Since.UTC().Format(time.RFC3339))
			}
		}
		for loop := range said {
			if !now[loop] {
				log.Info("a loop that was stuck goes on", "loop", loop)
			}
		}
		said = now
	}
}
