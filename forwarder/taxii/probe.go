package taxii

import (
	"context"
	"time"
)

// A boundary is the end of a page that was continued by a token.
type boundary struct {
	last   stamp
	anchor uint64 // hash of the page's last object
	digest uint64
}

// A probe asks, by date, for what lies around a boundary that was crossed by a
// token. It answers two questions: does the token skip objects (Arango goes on
// behind the last date, so the rest of a tie is lost; misp-taxii applies an
// offset twice), and is the header's date the one that added_after is compared
// with. The page behind the boundary is held until then.
type probe struct {
	at     stamp
	after  time.Time
	limit  int
	anchor uint64
	held   *page
}

// probeLimit is enough for the common case: the few objects that share the date
// before the boundary, and one behind it. Where it is not, a whole page is asked
// for, which on a server without large ties would be every page twice.
const probeLimit = 16

// doubtful decides whether the boundary that p came across must be looked at,
// and sets up the probe.
func (r *walker) doubtful(p *page) bool {
	b := r.prev
	if b == nil || r.noProbe || !b.last.ok() || r.order.broken || r.hidden.ok() {
		return false
	}
	if p.first.ok() {
		switch p.first.time.Compare(b.last.time) {
		case 0:
			// A token that continues within one date loses no tie.
			r.pos.SoundNext, r.noProbe = true, true
			return false
		case -1:
			return false // no order, no verdict
		}
	}
	r.probe = &probe{at: b.last, after: b.last.time.Add(-r.step(b.last)), limit: min(probeLimit, r.limit), anchor: b.anchor, held: p}
	return true
}

// judge draws the conclusion from a probe's page q and goes on accordingly.
//
// Everything rests on the anchor, the last object before the boundary: when it
// is in q, q is a stretch of the collection around the boundary, and all of it
// must have been in the pages on either side.
func (r *walker) judge(ctx context.Context, q *page) decision {
	pr := r.probe
	whole := pr.limit >= r.limit
	beyond := q.last.ok() && q.last.time.After(pr.at.time)
	switch {
	case q.anchored && q.fresh > 0:
		r.warn("next tokens of this server skip objects (found at %s), so its dates are followed instead", pr.at.text)
		r.pos.LossyNext, r.noTokens, r.noProbe = true, true, true
		r.probe, r.prev, r.token = nil, nil, ""
		r.after, r.hasAfter = pr.after, true
		return decision{}
	case q.anchored && (whole || beyond || q.count < pr.limit):
	case !whole:
		pr.limit = r.limit
		return decision{}
	case !beyond && q.count > 0:
		// A tie that fills the page: this boundary can not be looked at.
	default:
		// Once may be an object that was added anew in this very moment.
		if r.strange++; r.strange >= 2 {
			r.otherDates()
		}
	}
	held := pr.held
	r.probe = nil
	d, err := r.resolve(ctx, held)
	d.err = err
	return d
}
