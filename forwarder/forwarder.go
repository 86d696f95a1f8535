package forwarder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
)

// DrainTimeout bounds how long [Forwarder.Stop] and [Forwarder.Reload] wait for
// requests under way. Windows ends a service that takes longer than 20 s.
const DrainTimeout = 15 * time.Second

// Options are what a Forwarder needs besides its Config.
type Options struct {
	Store   *replica.Store
	Logger  hclog.Logger
	Metrics *metrics.Metrics // nil = counted, but shown to no one
	Now     func() time.Time // nil = time.Now
	// RetryWithin bounds the wait before another attempt at a poll or a delivery
	// that failed, unless the other side asked for longer; 0 = minutes, by what
	// failed and how often.
	RetryWithin time.Duration
}

// Forwarder keeps sinks in step with feeds.
type Forwarder struct {
	store    *replica.Store
	log      hclog.Logger
	metrics  *metrics.Metrics
	now      func() time.Time
	within   time.Duration // see Options.RetryWithin
	schedule schedule
	pulses   pulses // of what belongs to no generation

	mu      sync.Mutex // one Start, Stop, Reload or Replay at a time
	current atomic.Pointer[generation]
	started atomic.Int64 // Unix seconds
}

// New returns a Forwarder on an open replica, which stays the caller's.
func New(o Options) *Forwarder {
	f := &Forwarder{store: o.Store, log: o.Logger, metrics: o.Metrics, now: o.Now, within: o.RetryWithin}
	if f.log == nil {
		f.log = hclog.NewNullLogger()
	}
	if f.metrics == nil {
		f.metrics = metrics.New()
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.pulses.now = f.now
	return f
}

// Start starts the loops of c and returns. The sinks in c are the Forwarder's
// from then on: it closes them. An error means that nothing runs.
func (f *Forwarder) Start(ctx context.Context, c Config) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current.Load() != nil {
		return errors.New("forwarder is already running")
	}
	g, err := f.generation(ctx, c)
	if err != nil {
		return err
	}
	f.started.Store(f.now().Unix())
	f.current.Store(g)
	g.start(f)
	f.log.Info("forwarder started", "feeds", len(c.Feeds), "sinks", len(c.Sinks), "routes", len(c.Routes))
	return nil
}

// Reload replaces the running configuration by c. Everything that can fail is
// done before the running loops are stopped; on an error they go on untouched,
// and the sinks in c are the caller's to close.
func (f *Forwarder) Reload(ctx context.Context, c Config) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := f.current.Load()
	if current == nil {
		return errors.New("forwarder is not running")
	}
	p := f.pulses.begin("reload")
	defer p.end()
	next, err := f.generation(ctx, c)
	if err != nil {
		return err
	}
	// When ctx ends, a stop is waiting: then there is no time to drain twice.
	drain, cancel := context.WithTimeout(ctx, DrainTimeout)
	defer cancel()
	if err := current.stop(drain); err != nil {
		f.log.Warn("previous configuration stopped late", "error", err)
	}
	f.forget(current.config, c)
	f.current.Store(next)
	next.start(f)
	f.log.Info("configuration reloaded", "feeds", len(c.Feeds), "sinks", len(c.Sinks), "routes", len(c.Routes))
	return nil
}

// forget drops the metrics of feeds and routes that are no more.
func (f *Forwarder) forget(old, next Config) {
	for _, r := range old.Routes {
		if !slices.ContainsFunc(next.Routes, func(n Route) bool { return n.Feed == r.Feed && n.Sink == r.Sink }) {
			f.metrics.ForgetRoute(r.Feed, r.Sink)
		}
	}
	for _, feed := range old.Feeds {
		if !slices.ContainsFunc(next.Feeds, func(n Feed) bool { return n.Name == feed.Name }) {
			f.metrics.ForgetFeed(feed.Name)
		}
	}
}

// Stop stops every loop. Requests under way may finish until ctx ends or
// [DrainTimeout] has passed; what has not been confirmed by then is offered
// again at the next start. Stopping a stopped Forwarder does nothing.
func (f *Forwarder) Stop(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := f.current.Load()
	if current == nil {
		return nil
	}
	drain, cancel := context.WithTimeout(ctx, DrainTimeout)
	defer cancel()
	err := current.stop(drain)
	f.current.Store(nil)
	f.log.Info("forwarder stopped")
	return err
}

// Run starts the loops of c and stops them when ctx ends.
func (f *Forwarder) Run(ctx context.Context, c Config) error {
	if err := f.Start(ctx, c); err != nil {
		return err
	}
	<-ctx.Done()
	return f.Stop(context.WithoutCancel(ctx))
}

// ErrNoRoute is returned by operations on routes that no running route matches.
var ErrNoRoute = errors.New("no such route")

// Replay sends a sink what it was sent before once more: all of it, or with a
// since what was last sent from then on. An empty feed means all feeds.
func (f *Forwarder) Replay(ctx context.Context, sink, feed string, since time.Time) (routes int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.matching(sink, feed) {
		var rerr error
		if !r.between(ctx, func() { rerr = f.store.Replay(ctx, r.row, since) }) {
			return routes, ctx.Err()
		}
		if rerr != nil {
			return routes, fmt.Errorf("replay %s to %s: %w", r.Feed, r.Sink, rerr)
		}
		routes++
	}
	if routes == 0 {
		return 0, ErrNoRoute
	}
	return routes, nil
}

// Wake makes every route look for work now: dead letters were queued again.
func (f *Forwarder) Wake() {
	if g := f.current.Load(); g != nil {
		g.wake("")
	}
}

// matching returns the running routes to a sink, named with or without its
// kind.
func (f *Forwarder) matching(sink, feed string) []*routeLoop {
	g := f.current.Load()
	if g == nil {
		return nil
	}
	var out []*routeLoop
	for _, r := range g.routes {
		if (r.Sink == sink || r.sink.Name == sink) && (feed == "" || r.Feed == feed) {
			out = append(out, r)
		}
	}
	return out
}
