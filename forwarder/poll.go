package forwarder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
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
	// What was logged already: an entry within the overlap comes again at every poll.
	oddSaid, brokenSaid bool
}

// counts sums up one walk.
type counts struct {
	pages, objects, broken, odd      int
	added, updated, unchanged, older int
}

// run polls on schedule until ctx ends; a failed poll is repeated sooner.
func (c *collectionLoop) run(ctx context.Context) {
	f := c.feed
	retry := backoff{floor: 5 * time.Second, ceiling: max(f.PollInterval, 30*time.Second)}.within(f.within)
	p := f.pulses.begin(c.loop("poll"))
	defer p.end()
	if last := f.schedule.lastPoll(c.key); !last.IsZero() {
		c.health.resume(last) // the configuration was reloaded
		if wait := last.Add(f.PollInterval).Sub(f.now()); wait > 0 {
			c.setNext(f.now().Add(wait))
			p.sleep(ctx, wait)
		}
	}
	for ctx.Err() == nil {
		p.enter("waits for its turn", forever)
		select {
		case f.polls <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := c.poll(ctx, p)
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
		p.sleep(ctx, wait)
	}
}

// loop is the collection's name among the loops that are watched.
func (c *collectionLoop) loop(what string) string { return what + " " + c.feed.Name + "/" + c.ID }

func (c *collectionLoop) setNext(t time.Time) {
	c.mu.Lock()
	c.nextPoll = t
	c.mu.Unlock()
}

// poll walks the collection from its position to its end.
func (c *collectionLoop) poll(ctx context.Context, p *pulse) error {
	f := c.feed
	started := time.Now()
	c.mu.Lock()
	from := c.position
	c.mu.Unlock()
	res, n, err := c.walk(ctx, p, from, true)
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
	if n.odd > 0 {
		args = append(args, "odd_members", n.odd)
	}
	c.log.Info("polled", args...)
	return nil
}

// walk follows the collection from a position, decoding one page while the one
// before it is committed. With move set the collection's position follows. p is
// the pulse of the loop that walks.
func (c *collectionLoop) walk(ctx context.Context, p *pulse, from taxii.Position, move bool) (taxii.WalkResult, counts, error) {
	p.enter("waits for another walk over the collection", forever)
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
	remote := p.call(ctx, "reads the collection")
	res, err := f.Client.Walk(remote, taxii.Walk{
		Root: c.Root, Collection: c.ID, Filter: f.Filter, From: from, Overlap: f.Overlap,
		Visit: func(ctx context.Context, chunk taxii.Chunk) error {
			next := &page{broken: chunk.Broken, received: len(chunk.Objects) + len(chunk.Broken)}
			if chunk.PageEnd {
				next.ends = 1
			}
			next.batch.Collection = c.key
			next.batch.Objects, next.broken, next.odd = convert(chunk.Objects, f.ByContent, next.broken)
			if move && chunk.Position != nil {
				raw, err := json.Marshal(chunk.Position)
				if err != nil {
					return fmt.Errorf("encode position: %w", err)
				}
				next.batch.Position, next.position = raw, chunk.Position
			}
			intel.Expect(remote, forever) // the commit is watched itself
			defer intel.Expect(remote, 0)
			select {
			case pages <- next:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	})
	close(pages)
	p.enter("waits for the last commit", forever)
	<-committed
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the reason why the walk was cut short, not its symptom
	}
	c.mu.Lock()
	known := c.warnings
	c.warnings = res.Warnings
	n := c.last
	c.mu.Unlock()
	for _, w := range res.Warnings {
		if !slices.Contains(known, w) { // else it was said by the walk before
			c.log.Warn(w)
		}
	}
	if err != nil {
		return res, n, err
	}
	if move {
		raw, err := json.Marshal(res.Position)
		if err != nil {
			return res, n, fmt.Errorf("encode position: %w", err)
		}
		p.enter("stores the position", 0)
		if _, err := f.store.Apply(ctx, replica.Batch{Collection: c.key, Position: raw}); err != nil {
			return res, n, err
		}
		c.mu.Lock()
		c.position = res.Position
		c.mu.Unlock()
	}
	return res, n, nil
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
