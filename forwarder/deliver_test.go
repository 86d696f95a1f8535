package forwarder

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// scripted is a sink that holds what it is given and does as it is told.
type scripted struct {
	mu      sync.Mutex
	held    map[string]int64 // version by STIX id
	batches [][]intel.Change
	answer  func(batch []intel.Change) ([]intel.Outcome, error) // nil = all delivered
	limit   int
	called  chan struct{} // one token per Deliver
}

func newScripted() *scripted {
	return &scripted{held: map[string]int64{}, limit: 10, called: make(chan struct{}, 100000)}
}

func (s *scripted) BatchLimit() (int, int)      { return s.limit, 3 }
func (s *scripted) Check(context.Context) error { return nil }
func (s *scripted) Close() error                { return nil }

func (s *scripted) Deliver(_ context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, append([]intel.Change(nil), batch...))
	defer func() { s.called <- struct{}{} }()
	out := make([]intel.Outcome, len(batch))
	for i := range out {
		out[i].Status = intel.Delivered
	}
	var err error
	if s.answer != nil {
		out, err = s.answer(batch)
	}
	for i := range out {
		if out[i].Status == intel.Delivered {
			if batch[i].Action == intel.Upsert {
				s.held[batch[i].Indicator.ID] = batch[i].Indicator.Version()
			} else {
				delete(s.held, batch[i].Indicator.ID)
			}
		}
	}
	return out, err
}

func (s *scripted) script(answer func([]intel.Change) ([]intel.Outcome, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *scripted) sent(id string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		for _, c := range b {
			if c.Indicator.ID == id {
				n++
			}
		}
	}
	return n
}

func (s *scripted) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		n += len(b)
	}
	return n
}

// rig is a running engine with one route and no feed: tests write the replica.
type rig struct {
	t      *testing.T
	dir    string
	store  *replica.Store
	sink   *scripted
	within time.Duration // Options.RetryWithin
	engine *Forwarder
}

var rigKey = replica.CollectionKey{Feed: "feed", Root: "https://taxii.example.com/root/", ID: "c1"}

func newRig(t *testing.T, where Filter) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), sink: newScripted()}
	r.open(where)
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) open(where Filter) { r.openWith(r.sink, where) }

func (r *rig) openWith(sink intel.Sink, where Filter) {
	r.t.Helper()
	store, err := replica.Open(r.t.Context(), replica.Options{Dir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = store
	r.engine = New(Options{Store: store, RetryWithin: r.within})
	if err := r.engine.Start(r.t.Context(), Config{
		Sinks:  []Sink{{Kind: "scripted", Name: "one", Sink: sink}},
		Routes: []Route{{Feed: "feed", Sink: "scripted.one", Where: where}},
	}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) close() {
	if r.store == nil {
		return
	}
	if err := r.engine.Stop(context.Background()); err != nil {
		r.t.Error(err)
	}
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
	r.store = nil
}

// apply commits raw objects as a poll would.
func (r *rig) apply(raws ...[]byte) {
	r.t.Helper()
	var objects []replica.Object
	for _, raw := range raws {
		got, broken, _ := convert([]jsonRaw{raw}, false, nil)
		if len(broken) > 0 {
			r.t.Fatal(broken)
		}
		objects = append(objects, got...)
	}
	if _, err := r.store.Apply(r.t.Context(), replica.Batch{Collection: rigKey, Objects: objects}); err != nil {
		r.t.Fatal(err)
	}
	r.engine.Wake()
}

// until waits for a condition that the delivery of a batch may bring about.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-r.sink.called:
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			r.t.Fatalf("still not: %s; status %+v", what, r.engine.Status(context.Background()).Routes)
		}
	}
}

func (r *rig) settled() bool {
	for _, s := range r.engine.Status(context.Background()).Routes {
		if s.Pending > 0 {
			return false
		}
	}
	return true
}

func (r *rig) versions() map[string]int64 {
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	out := map[string]int64{}
	for k, v := range r.sink.held {
		out[k] = v
	}
	return out
}

type jsonRaw = json.RawMessage

// newer is an object with another modified.
func newer(raw []byte, modified string) []byte {
	return bytes.Replace(raw, []byte(`"modified":"2026-01-01T00:00:00.000Z"`), []byte(`"modified":"`+modified+`"`), 1)
}

func testID(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012x", n) }

func ipIndicator(n int, more string) []byte {
	return rawIndicator(n, fmt.Sprintf("[ipv4-addr:value = '198.51.%d.%d']", n>>8&0xff, n&0xff), more)
}

func many(from, to int) (out [][]byte) {
	for n := from; n < to; n++ {
		out = append(out, ipIndicator(n, ""))
	}
	return out
}

func TestEveryIndicatorIsDeliveredOnce(t *testing.T) {
	r := newRig(t, nil)
	r.apply(many(0, 95)...)
	r.until("95 held", func() bool { return len(r.versions()) == 95 && r.settled() })
	r.apply(many(0, 95)...)   // the server serves it all again
	r.apply(many(95, 100)...) // and something new
	r.until("100 held", func() bool { return len(r.versions()) == 100 && r.settled() })
	if n := r.sink.total(); n != 100 {
		t.Errorf("%d changes were sent for 100 indicators", n)
	}
	r.close()
	r.open(nil) // a restart sends nothing either
	r.apply(many(100, 101)...)
	r.until("101 held", func() bool { return len(r.versions()) == 101 })
	if n := r.sink.total(); n != 101 {
		t.Errorf("after a restart %d changes were sent for 101 indicators", n)
	}
}

// A destination that fails after taking part of a batch is not sent that part
// again, and is sent all the rest.
func TestFailureInTheMiddleOfABatch(t *testing.T) {
	r := newRig(t, nil)
	failed := false
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		out := make([]intel.Outcome, len(b))
		for i := range out {
			if i%2 == 0 || failed {
				out[i].Status = intel.Delivered
			}
		}
		if failed {
			return out, nil
		}
		failed = true
		return out, intel.Fail(intel.FailServer, "the destination stumbled")
	})
	r.apply(many(0, 10)...)
	r.until("10 held", func() bool { return len(r.versions()) == 10 && r.settled() })
	for n := range 10 {
		want := 2 - (n+1)%2 // the even ones were taken at once
		if got := r.sink.sent(testID(n)); got != want {
			t.Errorf("indicator %d was sent %d times, want %d", n, got, want)
		}
	}
}

func TestRejectedBecomesADeadLetterAndCanBeRetried(t *testing.T) {
	r := newRig(t, nil)
	poisoned := testID(4)
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		out := make([]intel.Outcome, len(b))
		for i := range out {
			out[i].Status = intel.Delivered
			if b[i].Indicator.ID == poisoned {
				out[i] = intel.Outcome{Status: intel.Rejected, Reason: "bad_field", Detail: "field is bad", Sent: []byte("what was sent")}
			}
		}
		return out, nil
	})
	r.apply(many(0, 10)...)
	r.until("9 held", func() bool { return len(r.versions()) == 9 && r.settled() })
	letters, err := r.store.DeadLetters(t.Context(), replica.DeadFilter{})
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters %v, %v; want one", letters, err)
	}
	d := letters[0]
	if d.STIXID != poisoned || d.Reason != "bad_field" || d.Detail != "field is bad" || string(d.Sent) != "what was sent" || d.Feed != "feed" || d.Sink != "scripted.one" {
		t.Errorf("dead letter %+v", d)
	}
	r.sink.script(nil)
	if n, err := r.store.RetryDead(t.Context(), replica.DeadFilter{IDs: []int64{d.ID}}); err != nil || n != 1 {
		t.Fatalf("retry: %d, %v", n, err)
	}
	r.engine.Wake()
	r.until("10 held", func() bool { return len(r.versions()) == 10 })
	r.until("no dead letter left", func() bool {
		letters, err := r.store.DeadLetters(t.Context(), replica.DeadFilter{})
		return err == nil && len(letters) == 0
	})
	if got := r.sink.sent(testID(3)); got != 1 {
		t.Errorf("a neighbour was sent %d times", got)
	}
}

func TestNewVersionThatTheSinkCanNotHoldIsWithdrawn(t *testing.T) {
	r := newRig(t, nil)
	r.apply(ipIndicator(1, ""))
	r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		out := make([]intel.Outcome, len(b))
		for i := range out {
			out[i].Status = intel.Delivered
			if b[i].Action == intel.Upsert {
				out[i] = intel.Outcome{Status: intel.Skipped, Reason: "pattern_type"}
			}
		}
		return out, nil
	})
	r.apply(newer(ipIndicator(1, ""), "2026-02-01T00:00:00.000Z"))
	r.until("withdrawn", func() bool { return len(r.versions()) == 0 && r.settled() })
	last := r.sink.batches[len(r.sink.batches)-1]
	if len(last) != 1 || last[0].Action != intel.Withdraw || last[0].Reason != intel.ReasonUnsupported || len(last[0].Remove) != 1 {
		t.Errorf("last batch %+v, want one withdrawal of what was held", last)
	}
}

// The same when the destination fails with the rest of the batch: the
// withdrawal is not forgotten.
func TestSkippedBesideAFailureIsStillWithdrawn(t *testing.T) {
	r := newRig(t, nil)
	r.apply(ipIndicator(1, ""))
	r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
	failed := false
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		out := make([]intel.Outcome, len(b))
		for i := range out {
			out[i].Status = intel.Delivered
			if b[i].Action == intel.Upsert {
				out[i] = intel.Outcome{Status: intel.Skipped, Reason: "pattern_type"}
			}
		}
		if !failed {
			failed = true
			return out, intel.Fail(intel.FailServer, "the destination stumbled")
		}
		return out, nil
	})
	r.apply(newer(ipIndicator(1, ""), "2026-02-01T00:00:00.000Z"))
	r.until("withdrawn", func() bool { return len(r.versions()) == 0 && r.settled() })
}

func TestReplaySendsAllAgain(t *testing.T) {
	r := newRig(t, nil)
	r.apply(many(0, 25)...)
	r.until("25 held", func() bool { return len(r.versions()) == 25 && r.settled() })
	if _, err := r.engine.Replay(t.Context(), "nobody", "", time.Time{}); !errors.Is(err, ErrNoRoute) {
		t.Errorf("replay of an unknown sink: %v", err)
	}
	if n, err := r.engine.Replay(t.Context(), "one", "feed", time.Time{}); err != nil || n != 1 {
		t.Fatalf("replay: %d, %v", n, err)
	}
	r.until("all sent twice", func() bool { return r.sink.total() == 50 && r.settled() })
	r.apply(many(25, 26)...)
	r.until("26 held", func() bool { return len(r.versions()) == 26 && r.settled() })
	if n := r.sink.total(); n != 51 {
		t.Errorf("%d changes were sent, want 51: a replay happens once", n)
	}
}

// A change of the filter walks the route again: what it excludes now is
// withdrawn, what it includes now is sent, the rest stays quiet.
func TestChangedFilter(t *testing.T) {
	r := newRig(t, confident(50))
	r.apply(ipIndicator(1, `"confidence":40`), ipIndicator(2, `"confidence":60`), ipIndicator(3, `"confidence":80`))
	r.until("2 held", func() bool { return len(r.versions()) == 2 && r.settled() })
	r.close()
	r.open(confident(70))
	r.until("1 held", func() bool { return len(r.versions()) == 1 })
	r.close()
	r.open(nil)
	r.until("3 held", func() bool { return len(r.versions()) == 3 })
	for n, want := range map[int]int{1: 1, 2: 3, 3: 1} {
		if got := r.sink.sent(testID(n)); got != want {
			t.Errorf("indicator %d was sent %d times, want %d", n, got, want)
		}
	}
}

// While a change of an object is in flight, a later change of the same object
// waits: requests could overtake each other.
func TestChangesOfOneObjectDoNotOvertake(t *testing.T) {
	r := newRig(t, nil)
	release := make(chan struct{})
	first := make(chan struct{})
	var once sync.Once
	overlap := false
	inside := map[string]bool{}
	var mu sync.Mutex
	slow := &gate{scripted: r.sink, enter: func(b []intel.Change) {
		mu.Lock()
		for _, c := range b {
			overlap = overlap || inside[c.Indicator.ID]
			inside[c.Indicator.ID] = true
		}
		mu.Unlock()
		once.Do(func() { close(first); <-release })
	}, leave: func(b []intel.Change) {
		mu.Lock()
		for _, c := range b {
			delete(inside, c.Indicator.ID)
		}
		mu.Unlock()
	}}
	r.close()
	r.openWith(slow, nil)
	r.apply(ipIndicator(1, ""))
	<-first
	r.apply(newer(ipIndicator(1, ""), "2026-02-01T00:00:00.000Z"))
	r.apply(many(2, 30)...)
	close(release)
	r.until("29 held", func() bool { return len(r.versions()) == 29 && r.settled() })
	if overlap {
		t.Error("two changes of one indicator were in flight at once")
	}
	if got, want := r.versions()[testID(1)], time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro(); got != want {
		t.Errorf("version %d held, want the newer %d", got, want)
	}
}

// A sink that breaks its contract loses nothing.
func TestSinkThatForgetsOutcomes(t *testing.T) {
	r := newRig(t, nil)
	calls := 0
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		calls++
		out := make([]intel.Outcome, len(b))
		switch calls {
		case 1:
			return nil, nil
		case 2:
			return out, nil
		}
		for i := range out {
			out[i].Status = intel.Delivered
		}
		return out, nil
	})
	r.apply(many(0, 5)...)
	r.until("5 held", func() bool { return len(r.versions()) == 5 && r.settled() })
}

// Stop waits for what is in flight and records it.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	r := newRig(t, nil)
	r.close()
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.openWith(&gate{scripted: r.sink, enter: func([]intel.Change) {
		once.Do(func() { close(entered); <-release })
	}, leave: func([]intel.Change) {}}, nil)
	r.apply(many(0, 5)...)
	<-entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.close()
	}()
	close(release)
	<-stopped
	r.open(nil)
	r.apply(many(5, 6)...)
	r.until("6 held", func() bool { return len(r.versions()) == 6 && r.settled() })
	if n := r.sink.total(); n != 6 {
		t.Errorf("%d changes were sent for 6 indicators: a delivered batch was forgotten", n)
	}
}

// gate lets a test stand in the way of Deliver.
type gate struct {
	*scripted
	enter, leave func([]intel.Change)
}

func (g *gate) Deliver(ctx context.Context, b []intel.Change) ([]intel.Outcome, error) {
	g.enter(b)
	defer g.leave(b)
	return g.scripted.Deliver(ctx, b)
}

// A destination that takes a batch and never answers may hold it. When the
// indicator is revoked before it is offered again, it has to be withdrawn; when
// a newer version lacks an observable, that has to be removed.
func TestWhatMayHaveArrivedIsWithdrawn(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("process dies %v", dies), func(t *testing.T) {
			r := newRig(t, nil)
			r.close()
			sent := make(chan struct{}, 10)
			silent := &gate{scripted: newScripted(), enter: func([]intel.Change) { sent <- struct{}{} }, leave: func([]intel.Change) {}}
			silent.script(func(b []intel.Change) ([]intel.Outcome, error) {
				return nil, intel.Fail(intel.FailTimeout, "no answer")
			})
			r.openWith(silent, nil)
			r.apply(ipIndicator(1, ""), rawIndicator(2, "[ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']", ""))
			<-sent
			if dies {
				// What a killed process leaves behind: the intent, and no outcome.
				r.close()
				if err := forgetLedger(r.dir); err != nil {
					t.Fatal(err)
				}
			} else {
				r.close()
			}
			store, err := replica.Open(t.Context(), replica.Options{Dir: r.dir})
			if err != nil {
				t.Fatal(err)
			}
			r.store, r.engine = store, New(Options{Store: store})
			r.apply(newer(ipIndicator(1, `"revoked":true`), "2026-02-01T00:00:00.000Z"),
				newer(rawIndicator(2, "[ipv4-addr:value = '192.0.2.2']", ""), "2026-02-01T00:00:00.000Z"))
			store.Close()
			r.store = nil
			r.open(nil)
			r.until("both are told of", func() bool { return r.sink.total() >= 2 && r.settled() })
			for _, b := range r.sink.batches {
				for _, c := range b {
					want, action := "ipv4-addr:192.0.2.1", intel.Upsert
					if c.Indicator.ID == testID(1) {
						want, action = "ipv4-addr:198.51.0.1", intel.Withdraw
					}
					if c.Action != action || len(c.Remove) != 1 || c.Remove[0].String() != want {
						t.Errorf("%s: %v, remove %v; want %v of %s", c.Indicator.ID, c.Action, c.Remove, action, want)
					}
				}
			}
		})
	}
}

// forgetLedger turns the ledger's rows back into the intent they came from.
func forgetLedger(dir string) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range []string{
		`INSERT INTO intent (route, content) SELECT route, json_group_array(json_object('oid', oid, 'refs', json(refs))) FROM ledger GROUP BY route`,
		`DELETE FROM ledger`, `DELETE FROM outcome`,
	} {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

type ageing struct{ confident }

func (ageing) Volatile() bool { return true }

// A filter that asks for an age is asked again as time passes.
func TestVolatileFilterIsAskedAgain(t *testing.T) {
	r := Route{Where: ageing{50}}
	at := time.Date(2026, 1, 1, 5, 59, 59, 0, time.UTC)
	if r.fingerprint(at) == r.fingerprint(at.Add(2*time.Second)) {
		t.Error("the route is not walked again in the next period")
	}
	if r.fingerprint(at) != r.fingerprint(at.Add(-time.Hour)) {
		t.Error("the route is walked again within one period")
	}
	if r := (Route{Where: confident(50)}); r.fingerprint(at) != r.fingerprint(at.AddDate(1, 0, 0)) {
		t.Error("a route with a constant filter is walked again")
	}
	loop := &routeLoop{Route: r, now: time.Now}
	ctx, stop := loop.until(t.Context())
	defer stop()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > rewalk {
		t.Errorf("deadline %v, %v", end, ok)
	}
}
