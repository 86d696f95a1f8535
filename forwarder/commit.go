package forwarder

import (
	"context"
	"errors"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/taxii"
)

// page is a chunk on its way into the replica, or several of them.
type page struct {
	batch    replica.Batch
	position *taxii.Position // that batch.Position stands for
	ends     int             // pages that end in it
	broken   []string
	odd      []string // members that were tolerated
	received int
}

// Bounds of what is decoded ahead of the disk and of one transaction.
const (
	pagesAhead    = 2
	commitObjects = 4000
)

// commit applies pages in order until there are no more. When the disk is
// slower than the server, pages that wait share a transaction: their objects
// and the last one's position, all or nothing like a single page. It ends the
// walk by cancel when the replica fails.
func (c *collectionLoop) commit(ctx context.Context, pages <-chan *page, cancel context.CancelCauseFunc) {
	f := c.feed
	watched := f.pulses.begin(c.loop("commit"))
	defer watched.end()
	watched.enter("waits for a page", forever)
	for p := range pages {
		if context.Cause(ctx) != nil {
			continue
		}
		for more := true; more && len(p.batch.Objects) < commitObjects; {
			select {
			case next, ok := <-pages:
				if more = ok; ok {
					p.merge(next)
				}
			default:
				more = false
			}
		}
		watched.enter("commits a page", 0)
		p.batch.Walk = f.mark()
		a, err := f.store.Apply(ctx, p.batch)
		if errors.Is(err, replica.ErrWalkOver) {
			p.batch.Walk = 0 // the resync ended between reading its mark and using it
			a, err = f.store.Apply(ctx, p.batch)
		}
		if err != nil {
			cancel(err)
			watched.enter("waits for a page", forever)
			continue
		}
		c.count(p, a)
		f.metrics.Applied(f.Name, a.New, a.Updated, a.Unchanged, a.Older)
		if a.New+a.Updated+a.Renumbered > 0 {
			f.applied(f.Name)
		}
		watched.enter("waits for a page", forever)
	}
}

// merge appends the next page to p.
func (p *page) merge(next *page) {
	p.batch.Objects = append(p.batch.Objects, next.batch.Objects...)
	if next.position != nil {
		p.batch.Position, p.position = next.batch.Position, next.position
	}
	p.ends += next.ends
	p.broken = append(p.broken, next.broken...)
	p.odd = append(p.odd, next.odd...)
	p.received += next.received
}

func (c *collectionLoop) count(p *page, a replica.Applied) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.last
	n.objects += p.received
	n.added += a.New
	n.updated += a.Updated
	n.unchanged += a.Unchanged
	n.older += a.Older
	n.pages += p.ends
	if len(p.broken) > 0 {
		if !c.brokenSaid {
			c.log.Warn("skipped an entry that is no usable STIX object; further ones are only counted", "reason", p.broken[0])
			c.brokenSaid = true
		}
		n.broken += len(p.broken)
		c.feed.metrics.Broken(c.feed.Name, c.ID, len(p.broken))
	}
	if len(p.odd) > 0 {
		if n.odd == 0 && !c.oddSaid {
			c.log.Warn("the feed serves members that are not as STIX has them; they are read as well as they can be, and only counted from now on", "first", p.odd[0])
			c.oddSaid = true
		}
		n.odd += len(p.odd)
	}
	if p.position != nil {
		c.position = *p.position
	}
}
