package forwarder

import (
	"context"
	"math/rand/v2"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// backoff spaces the attempts at something that fails: exponential with full
// jitter between a floor and a ceiling, never sooner than the other side asked.
type backoff struct {
	floor, ceiling time.Duration
	attempts       int
}

// next returns how long to wait before the next attempt after err.
func (b *backoff) next(err error) time.Duration {
	f := intel.AsFailure(err)
	step := b.floor
	switch f.Kind {
	case intel.FailAuth, intel.FailNotFound, intel.FailConfig:
		// Someone has to mend something; asking every second only locks accounts.
		step *= 10
	}
	step = min(step<<min(b.attempts, 20), b.ceiling)
	b.attempts++
	wait := step/2 + rand.N(step/2+1)
	return max(wait, f.RetryAfter)
}

// within returns b with no wait above most; 0 = as it is.
func (b backoff) within(most time.Duration) backoff {
	if most > 0 {
		b.ceiling = min(b.ceiling, most)
	}
	return b
}

func (b *backoff) reset() { b.attempts = 0 }

// sleep waits for d or until ctx ends, and reports whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jittered returns d, give or take a tenth, so that many forwarders that were
// started together do not poll together.
func jittered(d time.Duration) time.Duration {
	tenth := d / 10
	return d - tenth + rand.N(2*tenth+1)
}
