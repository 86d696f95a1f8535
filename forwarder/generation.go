package forwarder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// generation is the set of loops that one Config asks for.
type generation struct {
	config Config
	feeds  []*feedLoop
	routes []*routeLoop
	expiry *expiryLoop

	soft, hard context.Context // soft ends new work, hard what is in flight
	stopSoft   context.CancelFunc
	stopHard   context.CancelFunc
	running    sync.WaitGroup
	pulses     pulses
}

// generation builds the loops of c without starting them.
func (f *Forwarder) generation(ctx context.Context, c Config) (*generation, error) {
	g := &generation{config: c, pulses: pulses{now: f.now}}
	g.hard, g.stopHard = context.WithCancel(context.WithoutCancel(ctx))
	g.soft, g.stopSoft = context.WithCancel(g.hard)
	sinks := make(map[string]Sink, len(c.Sinks))
	for _, s := range c.Sinks {
		sinks[s.ID()] = s
	}
	for _, r := range c.Routes {
		s, ok := sinks[r.Sink]
		if !ok {
			return nil, fmt.Errorf("route from feed %s: no sink %s", r.Feed, r.Sink)
		}
		row, err := f.store.OpenRoute(ctx, r.Feed, r.Sink, r.fingerprint(f.now()))
		if err != nil {
			return nil, fmt.Errorf("route %s to %s: %w", r.Feed, r.Sink, err)
		}
		g.routes = append(g.routes, &routeLoop{
			Route: r, sink: s, row: row, store: f.store, metrics: f.metrics, now: f.now, within: f.within,
			log:  f.log.Named("deliver").With("feed", r.Feed, "sink", r.Sink),
			wake: make(chan struct{}, 1), interrupts: make(chan interrupt), pulses: &g.pulses,
		})
	}
	g.expiry = &expiryLoop{store: f.store, log: f.log.Named("expire"), now: f.now, poke: make(chan struct{}, 1), wake: func() { g.wake("") }, pulses: &g.pulses}
	for _, feed := range c.Feeds {
		g.feeds = append(g.feeds, &feedLoop{
			Feed: feed, store: f.store, metrics: f.metrics, now: f.now, within: f.within, schedule: &f.schedule,
			log:   f.log.Named("poll").With("feed", feed.Name),
			polls: make(chan struct{}, maxPolls), pulses: &g.pulses,
			applied: func(name string) {
				g.wake(name)
				g.expiry.pokeIt()
			},
		})
	}
	return g, nil
}

// wake tells the routes of a feed that there may be changes; "" = of all feeds.
func (g *generation) wake(feed string) {
	for _, r := range g.routes {
		if feed == "" || r.Feed == feed {
			r.wakeUp()
		}
	}
}

// start starts every loop.
func (g *generation) start(f *Forwarder) {
	for _, r := range g.routes {
		g.running.Go(func() { r.run(g.soft, g.hard) })
	}
	for _, feed := range g.feeds {
		g.running.Go(func() { feed.run(g.soft) })
	}
	g.running.Go(func() { g.expiry.run(g.soft) })
	g.running.Go(func() { f.probe(g.soft, g.pulses.begin("probe")) })
	g.running.Go(func() { f.report(g.soft, f.log.Named("watch")) })
	for _, s := range g.config.Sinks {
		if r, ok := s.Sink.(intel.Refresher); ok && r.RefreshInterval() > 0 {
			g.running.Go(func() { refreshLoop(g.soft, s, r, f.log.Named("refresh"), g.pulses.begin("refresh "+s.ID())) })
		}
	}
}

// stop ends new work at once, gives what is in flight until ctx ends, and
// closes the sinks.
func (g *generation) stop(ctx context.Context) error {
	g.stopSoft()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		g.running.Wait()
	}()
	var errs []error
	select {
	case <-drained:
	case <-ctx.Done():
		errs = append(errs, errors.New("requests were still under way when the time to stop was over; their changes are offered again at the next start"))
	}
	g.stopHard()
	select {
	case <-drained:
	case <-time.After(stragglers):
		// A sink that ignores its context can not be waited for.
		return errors.Join(append(errs, errors.New("a sink did not stop"))...)
	}
	for _, s := range g.config.Sinks {
		if err := s.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close sink %s: %w", s.ID(), err))
		}
	}
	return errors.Join(errs...)
}

// stragglers is how long a sink may take to notice that its context ended.
const stragglers = 3 * time.Second
