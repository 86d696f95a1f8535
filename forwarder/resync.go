package forwarder

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// resyncs walks the whole feed on its own schedule to find what is gone from
// the server: TAXII has no tombstones, so not being served any more is the only
// sign of a deletion. With now set the first walk starts at once, because match
// or start_from changed.
func (f *feedLoop) resyncs(ctx context.Context, now bool) {
	retry := backoff{floor: time.Minute, ceiling: time.Hour}.within(f.within)
	p := f.pulses.begin("resync " + f.Name)
	defer p.end()
	for first := true; ctx.Err() == nil; first = false {
		if !now || !first {
			if f.ResyncInterval == 0 {
				return
			}
			p.enter("reads when the last resync was", 0)
			wait, err := f.untilResync(ctx)
			if err != nil {
				wait = retry.next(err)
				f.log.Error("the time of the last resync can not be read", "error", err, "retry_in", wait.Round(time.Second).String())
				p.sleep(ctx, wait)
				continue
			}
			f.mu.Lock()
			f.nextResync = f.now().Add(wait)
			f.mu.Unlock()
			if !p.sleep(ctx, wait) {
				return
			}
		}
		for {
			err := f.resync(ctx, p)
			if err == nil || ctx.Err() != nil {
				break
			}
			wait := retry.next(err)
			f.metrics.FeedFailure(f.Name, intel.AsFailure(err).Kind)
			f.log.Error("resync failing; nothing is withdrawn until one has succeeded", "error", err, "retry_in", wait.Round(time.Second).String())
			p.sleep(ctx, wait)
		}
		retry.reset()
	}
}

// untilResync returns how long it is until the next resync, which is counted
// from the last one over restarts and reloads.
func (f *feedLoop) untilResync(ctx context.Context) (time.Duration, error) {
	last, err := f.store.Resynced(ctx, f.Name)
	if err != nil {
		return 0, err
	}
	wait := jittered(f.ResyncInterval)
	if due := last.Add(wait).Sub(f.now()); due < wait { // else the clock was set back
		wait = due
	}
	// One that is overdue lets the start go first.
	return max(wait, rand.N(min(f.ResyncInterval/10, time.Minute)+1)), nil
}

// resync walks every followed collection from its start and withdraws what
// none of them serves any more. Commits of ordinary polls carry the walk's mark
// as well, so that what arrives meanwhile counts as served.
func (f *feedLoop) resync(ctx context.Context, p *pulse) error {
	started := f.now()
	p.enter("begins", replicaWide)
	walk, err := f.store.BeginWalk(ctx, f.Name)
	if err != nil {
		return err
	}
	f.setMark(walk)
	defer f.setMark(0)
	f.log.Info("resync started")
	followed := f.followed()
	objects := 0
	for _, c := range followed {
		_, n, err := c.walk(ctx, p, c.origin.position(), false)
		if err != nil {
			return fmt.Errorf("resync %s/%s: %w", f.Name, c.ID, err)
		}
		objects += n.objects
	}
	p.enter("withdraws what is gone", replicaWide)
	gone, err := f.store.Sweep(ctx, f.Name, walk)
	if err != nil {
		return err
	}
	for _, c := range followed {
		if err := c.confirm(ctx); err != nil {
			return err
		}
	}
	if gone > 0 {
		f.applied(f.Name)
	}
	f.log.Info("resync done", "objects", objects, "gone", gone, "took", f.now().Sub(started).Round(time.Millisecond).String())
	return nil
}
