package forwarder

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/replica"
)

// expiryLoop turns an indicator whose valid_until passes into a change, so that
// every route withdraws it like any other.
type expiryLoop struct {
	store  *replica.Store
	log    hclog.Logger
	now    func() time.Time
	poke   chan struct{} // holds at most one token: there may be an earlier expiry
	wake   func()        // tells every route
	health health
	pulses *pulses
}

// Bounds of the expiry loop.
const (
	expireAtOnce  = 2000
	expireAtLeast = time.Minute // also the longest effect of a clock that is set back
)

func (e *expiryLoop) run(ctx context.Context) {
	retry := backoff{floor: time.Second, ceiling: time.Minute}
	p := e.pulses.begin("expire")
	defer p.end()
	for ctx.Err() == nil {
		wait, err := e.sweep(ctx, p)
		if ctx.Err() != nil {
			return
		}
		now := e.now()
		if err != nil {
			wait = retry.next(err)
			e.health.fail(e.log, "expiring indicators", err, now, now.Add(wait))
		} else {
			retry.reset()
			e.health.ok(e.log, "expiring indicators", now)
		}
		p.enter("waits for its time", wait)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-e.poke:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// sweep expires what is due and returns how long until something is again.
func (e *expiryLoop) sweep(ctx context.Context, p *pulse) (time.Duration, error) {
	total := 0
	for {
		p.enter("expires indicators", 0)
		n, err := e.store.Expire(ctx, e.now(), expireAtOnce)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			e.wake()
		}
		total += n
		if n < expireAtOnce {
			break
		}
	}
	if total > 0 {
		e.log.Info("indicators expired", "count", total)
	}
	next, ok, err := e.store.NextExpiry(ctx)
	if err != nil || !ok {
		return expireAtLeast, err
	}
	return min(max(next.Sub(e.now()), 0)+time.Millisecond, expireAtLeast), nil
}

func (e *expiryLoop) pokeIt() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}
