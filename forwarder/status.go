package forwarder

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii"
)

// Status returns what is known of feeds, sinks, routes and the state right now.
// Version and configuration are for the caller to fill in.
func (f *Forwarder) Status(ctx context.Context) status.Status {
	g := f.current.Load()
	s := StoredStatus(ctx, f.store)
	s.Running = g != nil
	if g == nil {
		return s
	}
	now := f.now()
	s.Started = time.Unix(f.started.Load(), 0).UTC()
	s.Uptime = int64(now.Sub(s.Started).Seconds())
	s.Feeds = keep(s.Feeds, g.feeds, func(feed *feedLoop, st *status.Feed) bool { return st.Name == feed.Name },
		func(feed *feedLoop) status.Feed { return status.Feed{Name: feed.Name} })
	for i := range s.Feeds {
		for _, feed := range g.feeds {
			if feed.Name == s.Feeds[i].Name {
				feed.describe(&s.Feeds[i], now)
			}
		}
	}
	s.Routes = keep(s.Routes, g.routes, func(r *routeLoop, st *status.Route) bool { return st.Feed == r.Feed && st.Sink == r.Sink },
		func(r *routeLoop) status.Route { return status.Route{Feed: r.Feed, Sink: r.Sink} })
	for i := range s.Routes {
		for _, r := range g.routes {
			if r.Feed == s.Routes[i].Feed && r.Sink == s.Routes[i].Sink {
				r.describe(&s.Routes[i])
			}
		}
	}
	s.Sinks = nil
	for _, sink := range g.config.Sinks {
		s.Sinks = append(s.Sinks, describeSink(sink, s.Routes))
	}
	for _, r := range s.Routes {
		f.metrics.Pending(r.Feed, r.Sink, r.Pending)
		f.metrics.DeadLetters(r.Feed, r.Sink, r.DeadLetters)
	}
	f.metrics.StateBytes(s.State.Bytes)
	for _, st := range f.Stalled() {
		s.Stalled = append(s.Stalled, st.String())
	}
	return s
}

// keep returns of have what loops run, in their order, and an empty one for a
// loop that have does not know yet.
func keep[S, L any](have []S, loops []L, same func(L, *S) bool, fresh func(L) S) []S {
	out := make([]S, 0, len(loops))
	for _, l := range loops {
		i := slices.IndexFunc(have, func(s S) bool { return same(l, &s) })
		if i >= 0 {
			out = append(out, have[i])
		} else {
			out = append(out, fresh(l))
		}
	}
	return out
}

// StoredStatus returns what the state alone can tell: the status of a
// forwarder that does not run.
func StoredStatus(ctx context.Context, store *replica.Store) status.Status {
	s := status.Status{Time: time.Now().UTC(), State: status.Store{Path: store.Path()}}
	stats, err := store.Stats(ctx)
	if err != nil {
		s.State.Error = err.Error()
		return s
	}
	s.State.Bytes = stats.Bytes
	heads := map[string]int64{}
	for _, f := range stats.Feeds {
		heads[f.Feed] = f.Head
		feed := status.Feed{
			Name: f.Feed, State: status.StateStopped, Objects: f.Objects, Indicators: f.Indicators,
			Current: f.Current, Revoked: f.Revoked, Expired: f.Expired, Gone: f.Gone,
		}
		for _, c := range stats.Collections {
			if c.Feed != f.Feed {
				continue
			}
			col := status.Collection{Root: c.Root, ID: c.ID, State: status.StateStopped, LagSeconds: -1, LastSuccess: c.Updated.UTC()}
			if p, err := taxii.ParsePosition(c.Position); err == nil {
				col.AddedAfter = p.Time().UTC()
			}
			feed.Collections = append(feed.Collections, col)
		}
		s.Feeds = append(s.Feeds, feed)
	}
	for _, r := range stats.Routes {
		route := status.Route{
			Feed: r.Feed, Sink: r.Sink, State: status.StateStopped, Cursor: r.Cursor, Head: heads[r.Feed],
			Pending: r.Pending, Delivered: r.Delivered, Skipped: r.Skipped,
		}
		for _, n := range r.Rejected {
			route.Rejected += n
		}
		for _, n := range r.Dead {
			route.DeadLetters += n
		}
		s.Routes = append(s.Routes, route)
		kind, name, _ := strings.Cut(r.Sink, ".")
		sink := status.Sink{Kind: kind, Name: name, State: status.StateStopped}
		if !slices.Contains(s.Sinks, sink) {
			s.Sinks = append(s.Sinks, sink)
		}
	}
	return s
}

func (f *feedLoop) describe(s *status.Feed, now time.Time) {
	s.URL = publicURL(cmp.Or(f.APIRootURL, f.DiscoveryURL))
	s.State, s.Failure, _, _ = f.health.state()
	f.mu.Lock()
	s.NextResync = f.nextResync.UTC()
	f.mu.Unlock()
	s.Collections = nil
	var oldest time.Time
	complete := true
	for _, c := range f.followed() {
		cs := c.describe(now)
		s.Collections = append(s.Collections, cs)
		if cs.LastPoll.After(s.LastPoll) {
			s.LastPoll = cs.LastPoll
		}
		switch {
		case cs.LastSuccess.IsZero():
			complete = false
		case oldest.IsZero() || cs.LastSuccess.Before(oldest):
			oldest = cs.LastSuccess
		}
		if !cs.NextPoll.IsZero() && (s.NextPoll.IsZero() || cs.NextPoll.Before(s.NextPoll)) {
			s.NextPoll = cs.NextPoll
		}
		if s.State == status.StateFailing {
			continue
		}
		switch {
		case cs.State == status.StateFailing:
			s.State, s.Failure = cs.State, cs.Failure
		case cs.State == status.StateStarting:
			s.State = status.StateStarting
		case cs.Polling && s.State == status.StateOK:
			s.State = status.StatePolling
		}
	}
	if complete {
		s.LastSuccess = oldest
	}
}

func (c *collectionLoop) describe(now time.Time) status.Collection {
	s := status.Collection{Root: publicURL(c.Root), ID: c.ID, Title: c.Title, Alias: c.Alias, LagSeconds: -1}
	s.State, s.Failure, s.LastPoll, s.LastSuccess = c.health.state()
	s.LastPoll, s.LastSuccess = s.LastPoll.UTC(), s.LastSuccess.UTC()
	if !s.LastSuccess.IsZero() {
		s.LagSeconds = int64(now.Sub(s.LastSuccess).Seconds())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.AddedAfter = c.position.Time().UTC()
	s.NextPoll, s.Polling, s.Warnings = c.nextPoll.UTC(), c.polling, slices.Clone(c.warnings)
	if c.polling && s.State == status.StateOK {
		s.State = status.StatePolling
	}
	n := c.last
	s.Pages, s.Objects, s.Broken = int64(n.pages), int64(n.objects), int64(n.broken)
	s.New, s.Updated, s.Unchanged = int64(n.added), int64(n.updated), int64(n.unchanged)
	return s
}

func (r *routeLoop) describe(s *status.Route) {
	s.State, s.Failure, _, s.LastSuccess = r.health.state()
	s.LastSuccess = s.LastSuccess.UTC()
	s.Rejected = r.rejected.Load()
	switch {
	case s.State == status.StateFailing:
	case s.Pending > 0:
		s.State = status.StateCatchingUp
	case r.caughtUp.Load():
		s.State = status.StateOK
	}
}

// describeSink sums up the routes to a sink: it fails when one of them does.
func describeSink(sink Sink, routes []status.Route) status.Sink {
	s := status.Sink{Name: sink.Name, Kind: sink.Kind, State: status.StateStarting}
	for _, r := range routes {
		if r.Sink != sink.ID() {
			continue
		}
		if r.LastSuccess.After(s.LastSuccess) {
			s.LastSuccess = r.LastSuccess
		}
		switch {
		case r.State == status.StateFailing:
			s.State, s.Failure = r.State, r.Failure
		case s.State == status.StateStarting && r.State != status.StateStarting:
			s.State = status.StateOK
		}
	}
	return s
}

// publicURL returns a URL without user information and query, where a
// credential might be.
func publicURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
