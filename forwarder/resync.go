package forwarder

import (
	"context"
	"fmt"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// resyncs walks the whole feed on its own schedule to find what is gone from
// the server: TAXII has no tombstones, so not being served any more is the only
// sign of a deletion. With now set the first walk starts at once, because match
// or start_from changed.
func (f *feedLoop) resyncs(ctx context.Context, now bool) {
	retry := backoff{floor: time.Minute, ceiling: time.Hour}
	for first := true; ctx.Err() == nil; first = false {
		if !now || !first {
			if f.ResyncInterval == 0 {
				return
			}
			wait := jittered(f.ResyncInterval)
			f.mu.Lock()
			f.nextResync = f.now().Add(wait)
			f.mu.Unlock()
			if !sleep(ctx, wait) {
				return
			}
		}
		for {
			err := f.resync(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			wait := retry.next(err)
			f.metrics.FeedFailure(f.Name, intel.AsFailure(err).Kind)
			f.log.Error("resync failing; nothing is withdrawn until one has succeeded", "error", err, "retry_in", wait.Round(time.Second).String())
			sleep(ctx, wait)
		}
		retry.reset()
	}
}

// resync walks every followed collection from its start and withdraws what
// none of them serves any more. Commits of ordinary polls carry the walk's mark
// as well, so that what arrives meanwhile counts as served.
func (f *feedLoop) resync(ctx context.Context) error {
	started := f.now()
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
		_, n, err := c.walk(ctx, c.origin.position(), false)
		if err != nil {
			return fmt.Errorf("resync %s/%s: %w", f.Name, c.ID, err)
		}
		objects += n.objects
	}
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
