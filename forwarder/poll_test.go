package forwarder

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/taxii"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/forwarder/transport"
)

// follow runs the rig's engine on a feed as well.
func (r *rig) follow(s *taxiitest.Server, edit func(*Feed)) {
	r.t.Helper()
	r.close()
	http, err := transport.New(transport.Options{Origin: s.URL()})
	if err != nil {
		r.t.Fatal(err)
	}
	feed := Feed{
		Name: "feed", DiscoveryURL: s.URL(), Collections: []string{"*"}, PollInterval: 50 * time.Millisecond,
		Client: taxii.New(taxii.Options{HTTP: http, Logger: hclog.NewNullLogger(), PageSize: 10}),
	}
	if edit != nil {
		edit(&feed)
	}
	if r.store, err = replica.Open(r.t.Context(), replica.Options{Dir: r.dir}); err != nil {
		r.t.Fatal(err)
	}
	r.engine = New(Options{Store: r.store})
	if err := r.engine.Start(r.t.Context(), Config{
		Feeds:  []Feed{feed},
		Sinks:  []Sink{{Kind: "scripted", Name: "one", Sink: r.sink}},
		Routes: []Route{{Feed: "feed", Sink: "scripted.one"}},
	}); err != nil {
		r.t.Fatal(err)
	}
}

func day(n int) time.Time { return time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC) }

func newCollection(t *testing.T) (*taxiitest.Server, *taxiitest.Collection) {
	t.Helper()
	s := taxiitest.New(taxiitest.Options{})
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("the server was asked what the specification forbids: %v", v)
		}
	})
	return s, s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000009", Title: "test"})
}

// An object that is gone from the server is withdrawn by a resync and by
// nothing else; served again, it comes back.
func TestResyncWithdrawsWhatIsGone(t *testing.T) {
	s, col := newCollection(t)
	for n := range 35 {
		col.Add(day(n), ipIndicator(n, ""))
	}
	r := newRig(t, nil)
	r.follow(s, nil)
	r.until("35 held", func() bool { return len(r.versions()) == 35 && r.settled() })
	col.Remove(testID(7))
	before := len(s.Requests())
	r.until("more polls", func() bool { return len(s.Requests()) > before+5 })
	if len(r.versions()) != 35 {
		t.Fatal("a poll withdrew something: it can not know")
	}
	r.follow(s, func(f *Feed) { f.ResyncInterval = 100 * time.Millisecond })
	r.until("34 held", func() bool { return len(r.versions()) == 34 })
	if _, ok := r.versions()[testID(7)]; ok {
		t.Error("the wrong indicator was withdrawn")
	}
	r.sink.mu.Lock()
	last := r.sink.batches[len(r.sink.batches)-1][0]
	r.sink.mu.Unlock()
	if last.Action != intel.Withdraw || last.Reason != intel.ReasonGone {
		t.Errorf("last change %v (%s), want a withdrawal because it is gone", last.Action, last.Reason)
	}
	col.Add(day(40), ipIndicator(7, ""))
	r.until("35 held", func() bool { return len(r.versions()) == 35 })
	if n := r.sink.sent(testID(3)); n != 1 {
		t.Errorf("an indicator that never went was sent %d times", n)
	}
}

// Another start_from is walked again: what it excludes now is withdrawn, what
// it includes now is sent, and the rest stays quiet, also over a restart.
func TestChangedStartFrom(t *testing.T) {
	s, col := newCollection(t)
	for n := range 30 {
		col.Add(day(n), ipIndicator(n, ""))
	}
	r := newRig(t, nil)
	r.follow(s, func(f *Feed) { f.StartFrom = StartFrom{Time: day(9)} })
	r.until("20 held", func() bool { return len(r.versions()) == 20 && r.settled() })
	r.follow(s, func(f *Feed) { f.StartFrom = StartFrom{Time: day(19)} })
	r.until("10 held", func() bool { return len(r.versions()) == 10 && r.settled() })
	r.follow(s, nil)
	r.until("30 held", func() bool { return len(r.versions()) == 30 && r.settled() })
	for n, want := range map[int]int{5: 1, 15: 3, 25: 1} { // sent; sent, withdrawn, sent; sent
		if got := r.sink.sent(testID(n)); got != want {
			t.Errorf("indicator %d was sent %d times, want %d", n, got, want)
		}
	}
	r.follow(s, nil)
	col.Add(day(50), ipIndicator(50, ""))
	r.until("31 held", func() bool { return len(r.versions()) == 31 && r.settled() })
	if n := r.sink.total(); n != 30+20+1 {
		t.Errorf("%d changes were sent in all, want 51", n)
	}
}

// A collection that appears while the forwarder runs is followed without a
// restart, and its position is its own.
func TestSeveralCollectionsShareObjects(t *testing.T) {
	s, col := newCollection(t)
	other := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-00000000000a", Title: "subset"})
	for n := range 25 {
		col.Add(day(n), ipIndicator(n, ""))
		if n%5 == 0 {
			other.Add(day(n), ipIndicator(n, ""))
		}
	}
	r := newRig(t, nil)
	r.follow(s, nil)
	r.until("25 held", func() bool { return len(r.versions()) == 25 && r.settled() })
	other.Add(day(60), ipIndicator(60, ""))
	r.until("26 held", func() bool { return len(r.versions()) == 26 && r.settled() })
	if n := r.sink.total(); n != 26 {
		t.Errorf("%d changes were sent for 26 indicators that two collections serve", n)
	}
	st := r.engine.Status(t.Context())
	if len(st.Feeds) != 1 || len(st.Feeds[0].Collections) != 2 || st.Feeds[0].Indicators != 26 {
		t.Errorf("status %+v", st.Feeds)
	}
}

// A server that fails is asked again; the status says so meanwhile and the
// position stays.
func TestFailingServerIsAskedAgain(t *testing.T) {
	s, col := newCollection(t)
	for n := range 15 {
		col.Add(day(n), ipIndicator(n, ""))
	}
	s.Inject(taxiitest.Fault{Status: 503, Times: 1})
	r := newRig(t, nil)
	r.follow(s, nil)
	failing := false
	r.until("15 held", func() bool {
		for _, f := range r.engine.Status(t.Context()).Feeds {
			failing = failing || f.FailureKind == intel.FailThrottled
		}
		return len(r.versions()) == 15 && r.settled()
	})
	if !failing {
		t.Error("the status never said that the feed fails")
	}
}

// A server that can not list its collections is followed all the same when the
// configuration names root and collection; what the credentials are to blame
// for is not passed over.
func TestRootThatCanNotListItsCollections(t *testing.T) {
	s, col := newCollection(t)
	for n := range 15 {
		col.Add(day(n), ipIndicator(n, ""))
	}
	s.Inject(taxiitest.Fault{Match: "/collections/", Status: 500, Times: 1})
	r := newRig(t, nil)
	r.follow(s, func(f *Feed) {
		f.DiscoveryURL, f.APIRootURL, f.Collections = "", s.RootURL(), []string{"c0de0de0-0000-4000-8000-000000000009"}
	})
	r.until("15 held", func() bool { return len(r.versions()) == 15 && r.settled() })
	f := feedLoop{Feed: Feed{APIRootURL: "https://taxii.example.com/root/", Collections: []string{"a"}}, log: hclog.NewNullLogger()}
	if _, err := f.unlisted(intel.Fail(intel.FailAuth, "wrong key")); err == nil {
		t.Error("a wrong key was passed over")
	}
	f.Collections = []string{"*"}
	if _, err := f.unlisted(intel.Fail(intel.FailServer, "500")); err == nil {
		t.Error("all collections of a root that lists none were taken to be none")
	}
}
