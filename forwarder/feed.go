package forwarder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/taxii"
)

// maxPolls bounds the collections of one feed that are polled at once.
const maxPolls = 4

// feedLoop follows one feed: it lists the server's collections again and again
// and keeps one poll loop running per followed collection.
type feedLoop struct {
	Feed
	store    *replica.Store
	log      hclog.Logger
	metrics  *metrics.Metrics
	now      func() time.Time
	within   time.Duration // see Options.RetryWithin
	schedule *schedule
	applied  func(feed string) // called after every commit that has changes
	health   health            // of discovery
	polls    chan struct{}     // tokens for maxPolls
	pulses   *pulses

	mu          sync.Mutex
	collections []*collectionLoop
	walk        int64 // the resync under way, whose mark every commit carries
	nextResync  time.Time
}

// run follows the feed until ctx ends.
func (f *feedLoop) run(ctx context.Context) {
	loops := map[replica.CollectionKey]context.CancelFunc{}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		for _, stop := range loops {
			stop()
		}
	}()
	retry := backoff{floor: 2 * time.Second, ceiling: max(f.PollInterval, time.Minute)}.within(f.within)
	resyncing := false
	p := f.pulses.begin("discover " + f.Name)
	defer p.end()
	for ctx.Err() == nil {
		found, err := f.list(p.call(ctx, "lists the collections"))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			wait := retry.next(err)
			now := f.now()
			f.metrics.FeedFailure(f.Name, intel.AsFailure(err).Kind)
			f.health.fail(f.log, "discovery", err, now, now.Add(wait))
			p.sleep(ctx, wait)
			continue
		}
		retry.reset()
		f.health.ok(f.log, "discovery", f.now())
		p.enter("reads the collections' positions", 0)
		stale, err := f.adopt(ctx, found)
		if err != nil {
			wait := retry.next(err)
			now := f.now()
			f.health.fail(f.log, "reading the collections' positions", err, now, now.Add(wait))
			p.sleep(ctx, wait)
			continue
		}
		for key, stop := range loops {
			if !slices.ContainsFunc(f.followed(), func(c *collectionLoop) bool { return c.key == key }) {
				f.log.Warn("collection is no longer served or followed; its indicators stay", "collection", key.ID, "root", key.Root)
				stop()
				delete(loops, key)
			}
		}
		for _, c := range f.followed() {
			if _, ok := loops[c.key]; ok {
				continue
			}
			cctx, stop := context.WithCancel(ctx)
			loops[c.key] = stop
			wg.Go(func() { c.run(cctx) })
		}
		if !resyncing && (stale || f.ResyncInterval > 0) {
			resyncing = true
			wg.Go(func() { f.resyncs(ctx, stale) })
		}
		p.sleep(ctx, jittered(max(f.PollInterval, time.Minute)))
	}
}

// list returns the collections to follow.
func (f *feedLoop) list(ctx context.Context) ([]taxii.Collection, error) {
	roots := []string{f.APIRootURL}
	if f.APIRootURL == "" {
		d, err := f.Client.Discover(ctx, f.DiscoveryURL)
		if err != nil {
			return nil, err
		}
		roots = d.APIRoots
		if d.Default != "" && !slices.Contains(roots, d.Default) {
			roots = append(roots, d.Default)
		}
		if len(roots) == 0 {
			return nil, intel.Fail(intel.FailProtocol, "discovery at %s names no API root", f.DiscoveryURL).
				WithHint("set api_root_url in feed %q to the root your provider gave you", f.Name)
		}
	}
	var all []taxii.Collection
	var firstErr error
	for _, root := range roots {
		cs, err := f.Client.Collections(ctx, root)
		if err != nil {
			// One root that this account may not read does not cost the others.
			if firstErr == nil {
				firstErr = err
			}
			f.log.Debug("API root can not be listed", "root", root, "error", err)
			continue
		}
		all = append(all, cs...)
	}
	if len(all) == 0 && firstErr != nil {
		return f.unlisted(firstErr)
	}
	picked, problems := taxii.Select(all, f.Collections)
	if len(picked) == 0 {
		what := strings.Join(problems, "; ")
		if what == "" {
			what = "the server lists no collection that this account may read"
		}
		return nil, intel.Fail(intel.FailConfig, "feed %s: %s", f.Name, what).
			WithHint("'taxii-forwarder discover' shows what the server has")
	}
	for _, p := range problems {
		f.log.Warn("collection not followed", "reason", p)
	}
	return picked, nil
}

// unlisted returns the configured collections of a root that can not list what
// it has (OpenTAXII 0.9 answers 500, its issue 243): their names are ids then.
// It gives up with the listing's error when the credentials are to blame, or the
// configuration does not name root and collections.
func (f *feedLoop) unlisted(cause error) ([]taxii.Collection, error) {
	switch intel.AsFailure(cause).Kind {
	case intel.FailServer, intel.FailNotFound, intel.FailProtocol:
	default:
		return nil, cause
	}
	if f.APIRootURL == "" || len(f.Collections) == 0 || slices.Contains(f.Collections, "*") {
		return nil, cause
	}
	f.log.Debug("the API root can not list its collections; the configured names are taken for ids", "root", f.APIRootURL, "error", cause)
	var out []taxii.Collection
	for _, id := range f.Collections {
		out = append(out, taxii.Collection{Root: f.APIRootURL, ID: id, CanRead: true})
	}
	return out, nil
}

// adopt makes found the followed collections. It reports whether one of them
// was followed under another match or start_from before, so that what no
// longer belongs to the feed has to be found and withdrawn.
func (f *feedLoop) adopt(ctx context.Context, found []taxii.Collection) (stale bool, err error) {
	var next []*collectionLoop
	for _, col := range found {
		key := replica.CollectionKey{Feed: f.Name, Root: col.Root, ID: col.ID}
		i := slices.IndexFunc(f.followed(), func(c *collectionLoop) bool { return c.key == key })
		if i >= 0 {
			next = append(next, f.followed()[i])
			continue
		}
		c := &collectionLoop{feed: f, Collection: col, key: key}
		c.log = f.log.With("collection", c.label())
		old, err := c.load(ctx)
		if err != nil {
			return false, err
		}
		stale = stale || old
		next = append(next, c)
	}
	f.mu.Lock()
	f.collections = next
	f.mu.Unlock()
	return stale, nil
}

func (f *feedLoop) followed() []*collectionLoop {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.collections)
}

func (f *feedLoop) mark() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.walk
}

func (f *feedLoop) setMark(walk int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.walk = walk
}

// schedule remembers when each collection was last polled, across reloads, so
// that reloading a configuration does not poll every server at once.
type schedule struct {
	mu   sync.Mutex
	last map[replica.CollectionKey]time.Time
}

func (s *schedule) polled(key replica.CollectionKey, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make(map[replica.CollectionKey]time.Time)
	}
	s.last[key] = at
}

func (s *schedule) lastPoll(key replica.CollectionKey) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[key]
}

func (c *collectionLoop) label() string {
	if c.Title != "" && c.Title != c.ID {
		return fmt.Sprintf("%s (%s)", c.Title, c.ID)
	}
	return c.ID
}
