package forwarder

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
)

// refreshLoop touches what a sink's destination would otherwise forget.
func refreshLoop(ctx context.Context, s Sink, r intel.Refresher, log hclog.Logger, p *pulse) {
	defer p.end()
	retry := backoff{floor: time.Minute, ceiling: time.Hour}
	var h health
	// The first refresh comes soon after the start: the forwarder may have been
	// stopped for weeks.
	wait := jittered(time.Minute)
	for p.sleep(ctx, wait) {
		n, err := r.Refresh(p.call(ctx, "refreshes"))
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		if err != nil {
			wait = retry.next(err)
			h.fail(log, "refresh", err, now, now.Add(wait))
			continue
		}
		retry.reset()
		h.ok(log, "refresh", now)
		if n > 0 {
			log.Info("refreshed documents", "sink", s.ID(), "count", n)
		}
		wait = jittered(r.RefreshInterval())
	}
}
