package forwarder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/stix"
	"taxii-forwarder/forwarder/taxii"
)

// collectionLoop polls one collection.
type collectionLoop struct {
	taxii.Collection
	feed   *feedLoop
	key    replica.CollectionKey
	origin origin
	log    hclog.Logger
	health health
	// walking is held during a walk: a poll and a resync never overlap.
	walking sync.Mutex

	mu       sync.Mutex
	position taxii.Position
	last     counts // of the last walk, or of the one under way
	polling  bool
	nextPoll time.Time
	warnings []string
}

// counts sums up one walk.
type counts struct {
	pages, objects, broken           int
	added, updated, unchanged, older int
}

// origin says what part of a collection is followed; it is stored beside the
// position. A position reached under another origin is not ours.
type origin struct {
	Types        []string  `json:"types,omitempty"`
	SpecVersions []string  `json:"spec_versions,omitempty"`
	StartFrom    string    `json:"start_from"`
	Start        time.Time `json:"start,omitzero"` // what StartFrom came to at the first poll
}

func (f *feedLoop) origin() origin {
	o := origin{Types: f.Filter.Types, SpecVersions: f.Filter.SpecVersions, StartFrom: f.StartFrom.String()}
	switch {
	case !f.StartFrom.Time.IsZero():
		o.Start = f.StartFrom.Time.UTC()
	case f.StartFrom.Age > 0:
		o.Start = f.now().Add(-f.StartFrom.Age).UTC()
	}
	return o
}

// same reports whether p asks for what o asks for, apart from what a relative
// start came to.
func (o origin) same(p origin) bool {
	return slices.Equal(o.Types, p.Types) && slices.Equal(o.SpecVersions, p.SpecVersions) && o.StartFrom == p.StartFrom
}

// position returns where a walk of everything followed begins.
func (o origin) position() taxii.Position {
	if o.Start.IsZero() {
		return taxii.Position{}
	}
	return taxii.StartAt(o.Start)
}

// load reads the collection's position. A collection seen for the first time
// starts where start_from says. It reports whether the stored position was
// reached under another match or start_from.
func (c *collectionLoop) load(ctx context.Context) (stale bool, err error) {
	raw, stored, err := c.feed.store.Position(ctx, c.key)
	if err != nil {
		return false, err
	}
	c.origin = c.feed.origin()
	c.position = c.origin.position()
	if stored == "" {
		return false, c.confirm(ctx)
	}
	var before origin
	if err := json.Unmarshal([]byte(stored), &before); err != nil {
		return false, intel.Fail(intel.FailLocal, "stored origin of collection %s: %v", c.ID, err)
	}
	if !before.same(c.origin) {
		// Polled from the new start right away; the stored origin is only replaced
		// when a resync has withdrawn what no longer belongs to the feed.
		c.log.Info("match or start_from changed; the collection is walked again")
		return true, nil
	}
	c.origin = before
	if len(raw) == 0 {
		c.position = c.origin.position()
	} else if c.position, err = taxii.ParsePosition(raw); err != nil {
		return false, intel.Fail(intel.FailLocal, "stored state of collection %s: %v", c.ID, err)
	}
	return false, nil
}

// confirm stores the position together with the origin in force.
func (c *collectionLoop) confirm(ctx context.Context) error {
	c.walking.Lock() // no poll moves the position meanwhile
	defer c.walking.Unlock()
	c.mu.Lock()
	pos := c.position
	c.mu.Unlock()
	raw, err := json.Marshal(pos)
	if err != nil {
		return fmt.Errorf("encode position of %s: %w", c.ID, err)
	}
	org, err := json.Marshal(c.origin)
	if err != nil {
		return fmt.Errorf("encode origin of %s: %w", c.ID, err)
	}
	return c.feed.store.SetPosition(ctx, c.key, raw, string(org))
}

// run polls on schedule until ctx ends; a failed poll is repeated sooner.
func (c *collectionLoop) run(ctx context.Context) {
	f := c.feed
	retry := backoff{floor: 5 * time.Second, ceiling: max(f.PollInterval, 30*time.Second)}
	if last := f.schedule.lastPoll(c.key); !last.IsZero() {
		if wait := last.Add(f.PollInterval).Sub(f.now()); wait > 0 {
			c.setNext(f.now().Add(wait))
			sleep(ctx, wait)
		}
	}
	for ctx.Err() == nil {
		select {
		case f.polls <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := c.poll(ctx)
		<-f.polls
		if ctx.Err() != nil {
			return
		}
		now := f.now()
		wait := jittered(f.PollInterval)
		if err != nil {
			wait = retry.next(err)
			f.metrics.FeedFailure(f.Name, intel.AsFailure(err).Kind)
			c.health.fail(c.log, "poll", err, now, now.Add(wait))
		} else {
			retry.reset()
			f.schedule.polled(c.key, now)
			c.health.ok(c.log, "poll", now)
		}
		c.setNext(now.Add(wait))
		sleep(ctx, wait)
	}
}

func (c *collectionLoop) setNext(t time.Time) {
	c.mu.Lock()
	c.nextPoll = t
	c.mu.Unlock()
}

// poll walks the collection from its position to its end.
func (c *collectionLoop) poll(ctx context.Context) error {
	f := c.feed
	started := time.Now()
	c.mu.Lock()
	from := c.position
	c.mu.Unlock()
	res, n, err := c.walk(ctx, from, true)
	result := metrics.PollOK
	switch {
	case err != nil && ctx.Err() != nil:
		result = metrics.PollCanceled
	case err != nil:
		result = metrics.PollError
	}
	f.metrics.PollDone(f.Name, c.ID, result, n.objects, time.Since(started))
	if err != nil {
		return fmt.Errorf("poll %s/%s: %w", f.Name, c.ID, err)
	}
	f.metrics.Checkpoint(f.Name, c.ID, res.Position.Time())
	args := []any{"objects", n.objects, "new", n.added, "updated", n.updated, "unchanged", n.unchanged,
		"pages", n.pages, "took", time.Since(started).Round(time.Millisecond).String(), "added_after", res.Position.String()}
	if n.broken > 0 {
		args = append(args, "broken", n.broken)
	}
	c.log.Info("polled", args...)
	return nil
}

// walk follows the collection from a position, decoding one page while the one
// before it is committed. With move set the collection's position follows.
func (c *collectionLoop) walk(ctx context.Context, from taxii.Position, move bool) (taxii.WalkResult, counts, error) {
	c.walking.Lock()
	defer c.walking.Unlock()
	f := c.feed
	c.begin()
	defer c.end()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pages := make(chan *page, pagesAhead)
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		c.commit(ctx, pages, cancel)
	}()
	res, err := f.Client.Walk(ctx, taxii.Walk{
		Root: c.Root, Collection: c.ID, Filter: f.Filter, From: from, Overlap: f.Overlap,
		Visit: func(ctx context.Context, chunk taxii.Chunk) error {
			p := &page{broken: chunk.Broken, received: len(chunk.Objects) + len(chunk.Broken)}
			if chunk.PageEnd {
				p.ends = 1
			}
			p.batch.Collection = c.key
			p.batch.Objects, p.broken = convert(chunk.Objects, p.broken)
			if move && chunk.Position != nil {
				raw, err := json.Marshal(chunk.Position)
				if err != nil {
					return fmt.Errorf("encode position: %w", err)
				}
				p.batch.Position, p.position = raw, chunk.Position
			}
			select {
			case pages <- p:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	})
	close(pages)
	<-committed
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the reason why the walk was cut short, not its symptom
	}
	c.mu.Lock()
	c.warnings = res.Warnings
	n := c.last
	c.mu.Unlock()
	for _, w := range res.Warnings {
		c.log.Warn(w)
	}
	if err != nil {
		return res, n, err
	}
	if move {
		raw, err := json.Marshal(res.Position)
		if err != nil {
			return res, n, fmt.Errorf("encode position: %w", err)
		}
		if _, err := f.store.Apply(ctx, replica.Batch{Collection: c.key, Position: raw}); err != nil {
			return res, n, err
		}
		c.mu.Lock()
		c.position = res.Position
		c.mu.Unlock()
	}
	return res, n, nil
}

// page is a chunk on its way into the replica, or several of them.
type page struct {
	batch    replica.Batch
	position *taxii.Position // that batch.Position stands for
	ends     int             // pages that end in it
	broken   []string
	received int
}

// Bounds of what is decoded ahead of the disk and of one transaction.
const (
	pagesAhead    = 4
	commitObjects = 4000
)

// commit applies pages in order until there are no more. When the disk is
// slower than the server, pages that wait share a transaction: their objects
// and the last one's position, all or nothing like a single page. It ends the
// walk by cancel when the replica fails.
func (c *collectionLoop) commit(ctx context.Context, pages <-chan *page, cancel context.CancelCauseFunc) {
	f := c.feed
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
		p.batch.Walk = f.mark()
		a, err := f.store.Apply(ctx, p.batch)
		if errors.Is(err, replica.ErrWalkOver) {
			p.batch.Walk = 0 // the resync ended between reading its mark and using it
			a, err = f.store.Apply(ctx, p.batch)
		}
		if err != nil {
			cancel(err)
			continue
		}
		c.count(p, a)
		f.metrics.Applied(f.Name, a.New, a.Updated, a.Unchanged, a.Older)
		if a.New+a.Updated+a.Renumbered > 0 {
			f.applied(f.Name)
		}
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
	p.received += next.received
}

func (c *collectionLoop) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polling, c.last = true, counts{}
}

func (c *collectionLoop) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polling = false
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
		if n.broken == 0 {
			c.log.Warn("skipped an entry that is no usable STIX object; further ones are only counted", "reason", p.broken[0])
		}
		n.broken += len(p.broken)
		c.feed.metrics.Broken(c.feed.Name, c.ID, len(p.broken))
	}
	if p.position != nil {
		c.position = *p.position
	}
}

// convert reads from each object what the replica needs of it.
func convert(raws []json.RawMessage, broken []string) ([]replica.Object, []string) {
	objects := make([]replica.Object, 0, len(raws))
	for _, raw := range raws {
		o, err := stix.DecodeObject(raw)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		objects = append(objects, object(&o, raw))
	}
	return objects, broken
}

// object maps a STIX object to its row.
func object(o *stix.Object, raw []byte) replica.Object {
	r := replica.Object{ID: o.ID, Type: o.Type, Version: o.Version(), Revoked: o.Revoked, Raw: raw}
	switch o.Type {
	case "indicator":
		r.Expires = expires(o.ValidUntil)
		if bytes.Contains(raw, []byte("STOP")) {
			// A START … STOP qualifier can end the validity before valid_until does.
			if ind, _, err := stix.DecodeIndicator(raw); err == nil {
				stix.Derive(ind)
				r.Expires = expires(ind.ValidUntil)
			}
		}
		if o.CreatedByRef != "" {
			r.Refs = append(r.Refs, o.CreatedByRef)
		}
		for _, ref := range o.MarkingRefs {
			if _, fixed := stix.TLPOf(ref); !fixed {
				r.Refs = append(r.Refs, ref)
			}
		}
	case "relationship":
		if o.RelationshipType == "indicates" {
			r.About, r.Target = o.SourceRef, o.TargetRef
		}
	case "sighting":
		r.About = o.SightingOfRef
	}
	return r
}

func expires(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMicro(), 1)
}
