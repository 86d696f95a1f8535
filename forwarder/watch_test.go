package forwarder

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/taxii"
)

// TestPulse: what a loop says of itself decides from when on it is stalled.
func TestPulse(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const soon = patience + time.Second
	tests := []struct {
		name string
		do   func(p *pulse, pass func(time.Duration))
		live time.Duration // how long it is not stalled after that; forever = at no time
	}{
		{"works", func(p *pulse, _ func(time.Duration)) { p.enter("x", 0) }, patience},
		{"sleeps for an hour", func(p *pulse, _ func(time.Duration)) { p.enter("x", time.Hour) }, time.Hour + patience},
		{"waits for an event", func(p *pulse, _ func(time.Duration)) { p.enter("x", forever) }, forever},
		{"works after an event", func(p *pulse, pass func(time.Duration)) {
			p.enter("x", forever)
			pass(24 * time.Hour)
			p.enter("y", 0)
		}, patience},
		{"calls out", func(p *pulse, _ func(time.Duration)) { p.call(context.Background(), "x") }, patience},
		{"calls out and has signs of life", func(p *pulse, pass func(time.Duration)) {
			ctx := p.call(context.Background(), "x")
			for range 100 {
				pass(patience - time.Second)
				intel.Expect(ctx, 0)
			}
			intel.Expect(ctx, time.Minute)
		}, time.Minute + patience},
		{"sleeps after a call whose remains still speak", func(p *pulse, _ func(time.Duration)) {
			ctx := p.call(context.Background(), "x")
			p.enter("y", time.Hour)
			intel.Expect(ctx, 0)
		}, time.Hour + patience},
		{"has ended", func(p *pulse, _ func(time.Duration)) { p.enter("x", 0); p.end() }, forever},
	}
	for _, tt := range tests {
		now := start
		ps := &pulses{now: func() time.Time { return now }}
		pass := func(d time.Duration) {
			if got := ps.stalled(); len(got) > 0 {
				t.Errorf("%s: stalled on the way: %+v", tt.name, got)
			}
			now = now.Add(d)
		}
		tt.do(ps.begin("loop"), pass)
		if tt.live == forever {
			pass(1000 * time.Hour)
			pass(0)
			continue
		}
		pass(tt.live)
		pass(0)
		now = now.Add(soon - patience)
		if got := ps.stalled(); len(got) != 1 || got[0].Loop != "loop" || !got[0].Due.Before(now) {
			t.Errorf("%s: %+v is stalled", tt.name, got)
		}
	}
	var none *pulses
	none.begin("x").sleep(t.Context(), 0)
}

// stuck is a feed client whose walk does as it is told.
type stuck struct{ walk func(context.Context) error }

func (stuck) Discover(context.Context, string) (taxii.Discovery, error) {
	return taxii.Discovery{}, nil
}

func (stuck) Collections(_ context.Context, root string) ([]taxii.Collection, error) {
	return []taxii.Collection{{Root: root, ID: "c1", CanRead: true}}, nil
}

func (s stuck) Walk(ctx context.Context, _ taxii.Walk) (taxii.WalkResult, error) {
	return taxii.WalkResult{}, s.walk(ctx)
}

// TestStalled runs the engine for hours in no time: only what hangs is stalled,
// not what waits, is throttled or fails.
func TestStalled(t *testing.T) {
	fine := func(context.Context) error { return nil }
	refuse := func(f *intel.Failure) func([]intel.Change) ([]intel.Outcome, error) {
		return func(b []intel.Change) ([]intel.Outcome, error) { return make([]intel.Outcome, len(b)), f }
	}
	throttled := intel.Fail(intel.FailThrottled, "later").WithRetryAfter(2 * time.Hour)
	for name, tt := range map[string]struct {
		walk    func(context.Context) error
		deliver func([]intel.Change) ([]intel.Outcome, error)
		want    string // the loop that stalls; "" = none
	}{
		"all is well":                  {walk: fine},
		"the sink throttles for hours": {walk: fine, deliver: refuse(throttled)},
		"the sink refuses the login":   {walk: fine, deliver: refuse(intel.Fail(intel.FailAuth, "no"))},
		"the feed throttles for hours": {walk: func(context.Context) error { return throttled }},
		"the feed is on hold for hours": {walk: func(ctx context.Context) error {
			intel.Expect(ctx, 2*time.Hour)
			sleep(ctx, 2*time.Hour)
			return nil
		}},
		"the feed trickles": {walk: func(ctx context.Context) error {
			for intel.Expect(ctx, time.Minute); sleep(ctx, 50*time.Second); intel.Expect(ctx, time.Minute) {
			}
			return nil
		}},
		"the feed's client hangs": {walk: func(ctx context.Context) error { sleep(ctx, forever); return nil }, want: "poll feed/c1"},
		"the sink hangs":          {walk: fine, want: "deliver feed to scripted.one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "state")
				store, err := replica.Open(t.Context(), replica.Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				release := make(chan struct{})
				freeIt := sync.OnceFunc(func() { close(release) })
				defer freeIt()
				sink := newScripted()
				sink.script(tt.deliver)
				if strings.Contains(tt.want, "deliver") {
					sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
						<-release
						return make([]intel.Outcome, len(b)), throttled
					})
				}
				r := &rig{t: t, store: store, sink: sink, engine: New(Options{Store: store})}
				if r.engine.Alive() {
					t.Error("alive before it was started")
				}
				if err := r.engine.Start(t.Context(), Config{
					Feeds:  []Feed{{Name: "feed", APIRootURL: rigKey.Root, Collections: []string{"*"}, PollInterval: time.Hour, ResyncInterval: 24 * time.Hour, Client: stuck{tt.walk}}},
					Sinks:  []Sink{{Kind: "scripted", Name: "one", Sink: sink}},
					Routes: []Route{{Feed: "feed", Sink: "scripted.one"}},
				}); err != nil {
					t.Fatal(err)
				}
				r.apply(ipIndicator(1, ""))
				begin := time.Now()
				for time.Since(begin) < patience-time.Second {
					time.Sleep(10 * time.Second)
					if !r.engine.Alive() {
						t.Fatalf("after %v: %+v", time.Since(begin), r.engine.Stalled())
					}
				}
				for time.Since(begin) < 3*time.Hour {
					time.Sleep(time.Minute)
					got := r.engine.Stalled()
					if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || got[0].Loop != tt.want) {
						t.Fatalf("after %v: %+v is stalled, want %q", time.Since(begin), got, tt.want)
					}
					if r.engine.Alive() != (tt.want == "") {
						t.Fatal("Alive says something else")
					}
				}
				st := r.engine.Status(t.Context())
				if ready, _ := st.Ready(); ready != (tt.want == "") || tt.want != "" && !strings.HasPrefix(strings.Join(st.Stalled, "\n"), tt.want+": ") {
					t.Errorf("ready %t, stalled %q", ready, st.Stalled)
				}
				freeIt()
				if err := r.engine.Stop(context.Background()); err != nil {
					t.Error(err)
				}
				if r.engine.Alive() || len(r.engine.Stalled()) > 0 {
					t.Errorf("after the end: alive %t, stalled %+v", r.engine.Alive(), r.engine.Stalled())
				}
			})
		})
	}
}

// TestResyncScheduleOverRestarts: a forwarder that is restarted more often than
// it resyncs resyncs all the same, when it is time.
func TestResyncScheduleOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 24 * time.Hour
		store, err := replica.Open(t.Context(), replica.Options{Dir: filepath.Join(t.TempDir(), "state")})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		begin := time.Now()
		for range 7 {
			engine := New(Options{Store: store})
			if err := engine.Start(t.Context(), Config{Feeds: []Feed{{
				Name: "feed", APIRootURL: rigKey.Root, Collections: []string{"*"}, PollInterval: time.Hour, ResyncInterval: interval,
				Client: stuck{func(context.Context) error { return nil }},
			}}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Hour)
			next := engine.Status(t.Context()).Feeds[0].NextResync
			if err := engine.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			last, err := store.Resynced(t.Context(), "feed")
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(last); age > interval*11/10+time.Minute {
				t.Fatalf("after %v no resync for %v", time.Since(begin), age)
			}
			if due := last.Add(interval); next.Before(due.Add(-interval/10-time.Minute)) || next.After(due.Add(interval/10+time.Minute)) {
				t.Errorf("after %v the next resync is due at %v, the last was at %v", time.Since(begin), next, last)
			}
		}
		if last, _ := store.Resynced(t.Context(), "feed"); last.Sub(begin) < interval*9/10 {
			t.Error("no resync at all")
		}
	})
}
