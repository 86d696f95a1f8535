package taxii

import (
	"context"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// order watches whether pages come in ascending order of their dates, which
// is what makes the date of one page a safe position before the next is read.
type order struct {
	last   stamp
	strict bool // a page's date was later than that of one before: not all are ties
	broken bool
}

func (o *order) note(p *page, step time.Duration) {
	if !p.last.ok() {
		return
	}
	if p.first.ok() && p.first.time.After(p.last.time) {
		o.broken = true
	}
	if o.last.ok() {
		slack := max(step, o.last.unit)
		if p.last.time.Before(o.last.time) || p.first.ok() && p.first.time.Before(o.last.time.Add(-slack)) {
			o.broken = true
		}
		o.strict = o.strict || p.last.time.After(o.last.time)
	}
	o.last = p.last
}

// safe reports whether everything before the last date has been read. One page
// proves nothing: a server that answers newest first is found out by its second.
func (o *order) safe() bool { return o.strict && !o.broken && o.last.ok() }

// step is by how much to step back before a date so that every object of that
// date is read again: one unit of what the server shows and takes.
func (r *walker) step(s stamp) time.Duration { return max(s.unit, r.pos.Precision.unit()) }

// plan decides what a page leads to.
func (r *walker) plan(ctx context.Context, p *page) decision {
	r.precise, r.tried = nil, r.pos.Precision
	if r.began.IsZero() {
		r.began = p.date
	}
	if again, err := r.decideMatch(ctx); err != nil || again {
		return decision{err: err}
	}
	if r.token != "" && r.doubtful(p) {
		return decision{} // the boundary is looked at first, see judge
	}
	d, err := r.resolve(ctx, p)
	if err != nil {
		d.err = err
	}
	return d
}

// resolve takes a page for what it is and sets up the next request.
func (r *walker) resolve(ctx context.Context, p *page) (decision, error) {
	r.order.note(p, r.pos.Precision.unit())
	for _, s := range []stamp{p.first, p.last} {
		if s.ok() && s.time.After(r.newest.time) {
			r.newest = s
		}
	}
	if p.tailRaw != nil {
		r.tail, r.tailDate = p.tailRaw, p.last
	}
	if r.stale++; p.fresh > 0 {
		r.stale = 0
	}
	if r.stale > maxStale {
		return decision{}, intel.Fail(intel.FailProtocol, "%s: %d pages in a row without anything new, and always more", r.base, r.stale)
	}
	r.size(p)
	if p.more != unsaid {
		r.pos.SaysMore = true
	} else if p.next == "" && r.pos.SaysMore {
		p.more = no // absent is false (§3.7), of a server that knows the member
	}
	switch {
	case p.next != "" && !r.noTokens && (p.more == yes || p.more == unsaid && p.fresh > 0):
		return r.followToken(p)
	case p.more == no:
		return r.finish(ctx), nil
	}
	return r.followDate(ctx, p)
}

// followToken goes on by next. The other parameters stay as they were (§3.5).
func (r *walker) followToken(p *page) (decision, error) {
	if b := r.prev; b != nil && p.count > 0 && p.next == r.token && p.digest == b.digest {
		return decision{}, r.dropToken(intel.Fail(intel.FailProtocol, "%s: the server gives the same page and the same next token again and again", r.base))
	}
	r.distinct = r.distinct || r.token != "" && r.token != p.next
	r.token = p.next
	r.prev = &boundary{last: p.last, anchor: p.tail, digest: p.digest}
	return decision{position: r.checkpoint(p)}, nil
}

// followDate goes on from the date of the page's last object, which is stepped
// back by its last digit, so that a page that was cut within objects of one
// date loses none. It also decides when a server that never says more is at its
// end (SOC Defenders).
func (r *walker) followDate(ctx context.Context, p *page) (decision, error) {
	last := p.last
	if r.pos.OtherDates {
		last = stamp{}
	}
	full := p.count >= r.limit || r.atLargest >= 2 && p.count == r.largest
	if !last.ok() && p.tailRaw != nil && (p.more == yes || full) {
		last = r.dateAdded(ctx, p.tailRaw)
	}
	if !last.ok() {
		switch {
		case r.tokenErr != nil && p.more == yes:
			return decision{}, r.tokenErr
		case p.next != "" && p.more == yes: // lossy, but all there is
			r.noTokens = false
			return r.followToken(p)
		case p.more == yes:
			return decision{}, r.stuck("the server says that there is more, but gives neither a next token nor X-TAXII-Date-Added-Last to ask for it")
		case p.count == r.limit && p.fresh > 0:
			return decision{}, r.stuck("a full page without more, next or X-TAXII-Date-Added-Last: there is no telling whether it is the last, and no way on")
		}
		return r.finish(ctx), nil
	}
	if last.time.After(r.newest.time) {
		r.newest = last
	}
	if p.count == 0 {
		if p.more == yes {
			return decision{}, r.stuck("the server says that there is more, but gives an empty page and no next token")
		}
		return r.finish(ctx), nil
	}

	r.token, r.prev = "", nil
	if to := last.time.Add(-r.step(last)); !r.hasAfter || to.After(r.after) {
		if p.more == unsaid && p.fresh == 0 {
			return r.finish(ctx), nil
		}
		r.after, r.hasAfter, r.grownFrom = to, true, 0
		return decision{position: r.checkpoint(p)}, nil
	}

	// The page ends where it begins: only a larger one reaches beyond its date.
	grown := r.grownFrom > 0
	if p.more == unsaid && !full && !(grown && p.count == r.grownFrom) {
		return r.finish(ctx), nil
	}
	if (!grown || p.count > r.grownFrom) && r.limit < r.base0*maxGrowth {
		r.grownFrom = p.count
		r.limit *= 2
		r.log.Debug("many objects of one date; asking for larger pages", "collection", r.base, "date", last.text, "limit", r.limit)
		return decision{}, nil
	}
	return decision{}, r.hide(last)
}

// hide goes on behind objects of which the server can not be made to show all.
// The position stays before them, and the walk ends with an error.
func (r *walker) hide(at stamp) error {
	if !at.ok() {
		return r.stuck("the server refuses larger pages and there is no way on")
	}
	if !r.hidden.ok() {
		r.hidden = at
	}
	to := at.time
	if !to.After(r.after) {
		to = r.after.Add(r.step(at))
	}
	r.after, r.hasAfter, r.grownFrom = to, true, 0
	return nil
}

func (r *walker) stuck(text string) error {
	return intel.Fail(intel.FailProtocol, "%s: %s", r.base, text).
		WithHint("nothing is lost, the position stays; the provider has to mend the server, or a larger page_size may help")
}

// size keeps what is known of how large the server's pages get.
func (r *walker) size(p *page) {
	switch {
	case p.count > r.largest:
		r.largest, r.atLargest = p.count, 1
	case p.count == r.largest && p.fresh > 0:
		r.atLargest++
	}
}

// checkpoint returns the position that a page in the middle of a walk allows.
func (r *walker) checkpoint(p *page) *Position {
	if r.hidden.ok() {
		return nil
	}
	dated := p.last.ok() && !r.pos.OtherDates && !r.order.broken
	switch {
	case dated && r.order.safe():
		if !r.pos.advance(p.last) && r.pos.Window == nil {
			return nil
		}
		r.pos.Window = nil
	case !dated && r.token != "" && r.distinct:
		// No date tells how far this is, but the token may. One that is the same on
		// every page is a state at the server that each use moves on: not to be kept.
		r.pos.Window = &Window{
			After: r.afterText(), Next: r.token, Limit: r.limit, Filter: r.w.Filter.key(),
			Newest: r.newest.text, Began: r.began, Saved: r.c.now().UTC(),
		}
	default:
		return nil
	}
	at := r.pos
	return &at
}

// finish puts the position at the end of what was read.
func (r *walker) finish(ctx context.Context) decision {
	r.pos.Window = nil
	if r.order.broken && r.tailDate.ok() && !r.pos.OtherDates && !r.hidden.ok() {
		// Dates that go up and down are those of something else, or the server does
		// not sort. The manifest knows which.
		if s := r.dateAdded(ctx, r.tail); s.ok() && !s.time.Truncate(r.tailDate.unit).Equal(r.tailDate.time) {
			r.otherDates()
		}
	}
	switch {
	case r.hidden.ok():
		r.pos.advance(r.hidden)
	case r.newest.ok() && !r.pos.OtherDates:
		r.pos.advance(r.newest)
	case r.res.Objects == 0:
	default:
		r.pos.advance(r.guess(ctx))
	}
	d := decision{done: true}
	if !r.pos.same(r.res.Position) {
		at := r.pos
		d.position = &at
	}
	return d
}

// otherDates notes that the headers are of no use as positions.
func (r *walker) otherDates() {
	r.warn("X-TAXII-Date-Added-Last of this server is not the date that added_after is compared with, so it is no position")
	r.pos.OtherDates, r.noProbe = true, true
}

// guess finds a position for a server that puts no usable date on its pages:
// what the manifest says of the last object, else the server's clock when the
// walk began, well before. It is never the clock of this machine and never the
// modified of an object, which has nothing to do with added_after (§3.4).
func (r *walker) guess(ctx context.Context) stamp {
	if s := r.dateAdded(ctx, r.tail); s.ok() {
		return s
	}
	if r.began.IsZero() {
		r.warn("the server gives neither X-TAXII-Date-Added-Last nor Date, so every poll reads everything since %s", r.pos)
		return stamp{}
	}
	return exact(r.began.Add(-max(2*r.w.Overlap, dateOverlap)))
}
