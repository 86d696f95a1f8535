package sinktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Run tests that the sinks and destinations of h keep the contract of
// [intel.Sink].
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*session)
	}{
		{"empty batch", emptyBatch},
		{"every observable type", everyType},
		{"several observables", severalObservables},
		{"repeat", repeat},
		{"new version", newVersion},
		{"dropped observable", droppedObservable},
		{"gained observables", gainedObservables},
		{"withdraw", withdrawals},
		{"withdraw what was never held", withdrawUnknown},
		{"reinstate", reinstate},
		{"mixed batch in order", mixedBatch},
		{"full batch", fullBatch},
		{"odd text and times", odd},
		{"batch is not retained", notRetained},
		{"concurrent", concurrent},
		{"canceled before", canceledBefore},
		{"check", check},
		{"preview", preview},
		{"restart of the forwarder", reopened},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newSession(t, h, patience)) })
	}
	t.Run("canceled while it hangs", func(t *testing.T) { canceledDuring(newSession(t, h, 5*time.Minute)) })
	for _, row := range faultTable {
		t.Run("fault "+string(row.fault), func(t *testing.T) { faulty(newSession(t, h, shortTimeout), row.fault, row.kinds) })
	}
	t.Run("poison", func(t *testing.T) { poison(t, h) })
	t.Run("random", func(t *testing.T) { random(newSession(t, h, shortTimeout)) })
}

func emptyBatch(s *session) {
	for _, batch := range [][]intel.Change{nil, {}} {
		if outcomes, err := s.offer(s.Context(), batch); err != nil || len(outcomes) != 0 {
			s.Errorf("Deliver of nothing = %v, %v", outcomes, err)
		}
	}
	s.compare()
}

func everyType(s *session) {
	inds := append(EveryType(0), Unsupported(900))
	changes := s.upsert(inds...)
	for i, o := range s.deliver(changes) {
		want := intel.Delivered
		if len(s.holds(inds[i])) == 0 {
			want = intel.Skipped
		}
		if o.Status != want {
			s.Errorf("%s: %s %s %s; want %s", inds[i].Pattern, o.Status, o.Reason, o.Detail, want)
		}
	}
	s.compare()
}

func severalObservables(s *session) {
	mixed := New(3, domain(1), ipv4(2), ipv6(3), url(4), file(5), email(6))
	s.mustDeliver(s.upsert(Multi(1, 2), Multi(2, 300), mixed))
	s.compare()
}

func repeat(s *session) {
	changes := s.upsert(Indicators(0, 30)...)
	for range 3 {
		s.mustDeliver(changes)
		s.compare()
	}
}

func newVersion(s *session) {
	var next []*intel.Indicator
	first := Indicators(0, 12)
	for i, ind := range first {
		next = append(next, Newer(ind, i+1))
	}
	s.mustDeliver(s.upsert(first...))
	s.mustDeliver(s.upsert(next...))
	s.compare()
}

func droppedObservable(s *session) {
	a, b, c, d := domain(1), domain(2), domain(3), ipv4(4)
	v1 := New(7, a, b, c)
	s.mustDeliver(s.upsert(v1))
	v2 := With(v1, a, d) // drops two, adds one
	changes := s.upsert(v2)
	if len(changes[0].Remove) != 2 {
		s.Fatalf("the suite itself is wrong: Remove = %v", changes[0].Remove)
	}
	s.mustDeliver(changes)
	s.compare()
	s.mustDeliver(s.upsert(With(v2, b))) // drops all, one comes back
	s.compare()
}

// gainedObservables: what stands for an indicator without observables goes when
// a version has some, also where its own delivery was never answered.
func gainedObservables(s *session) {
	for i, unanswered := range []bool{false, true} {
		n := 1 + i
		changes := s.upsert(Unsupported(n))
		switch {
		case len(s.holds(Unsupported(n))) == 0:
			s.Skip("the destination can not hold an indicator without observables")
		case unanswered && s.dest.Inject(CutAfterAccept):
			if _, err := s.offer(s.Context(), changes); err == nil {
				s.Error("an answer that never came is no error")
			}
			s.dest.Heal()
		default:
			s.mustDeliver(changes)
			s.compare()
		}
		next := With(New(n), domain(n), domain(n+100))
		s.settleAll(s.upsert(next))
		s.compare()
		last := With(next, domain(n))
		s.mustDeliver(s.upsert(last))
		s.compare()
		s.mustDeliver(s.upsert(Newer(Unsupported(n), 5)))
		s.compare()
		s.mustDeliver(s.withdraw(intel.ReasonRevoked, Newer(last, 5)))
		s.compare()
	}
}

func withdrawals(s *session) {
	stays := Indicator(1000)
	s.mustDeliver(s.upsert(stays))
	for i, reason := range []intel.Reason{
		intel.ReasonRevoked, intel.ReasonExpired, intel.ReasonFiltered,
		intel.ReasonGone, intel.ReasonBenign, intel.ReasonUnsupported,
	} {
		ind := Multi(i+1, 3)
		s.mustDeliver(s.upsert(ind))
		s.compare()
		last := ind
		switch reason {
		case intel.ReasonRevoked:
			last = Newer(ind, 1)
			last.Revoked = true
			last.Raw = raw(last)
		case intel.ReasonExpired:
			last = Newer(ind, 0)
			last.ValidUntil = Epoch.AddDate(0, 0, 20)
			last.Raw = raw(last)
		case intel.ReasonBenign:
			last = Newer(ind, 1)
			last.IndicatorTypes = []string{"benign"}
			last.Raw = raw(last)
		case intel.ReasonUnsupported:
			last = With(ind)
		}
		changes := s.withdraw(reason, last)
		s.mustDeliver(changes)
		s.compare()
		s.mustDeliver(changes) // a repeat of a withdrawal is one
		s.compare()
	}
}

func withdrawUnknown(s *session) {
	never := Indicator(1)
	changes := s.withdraw(intel.ReasonRevoked, never)
	changes[0].Remove = Refs(never)
	for _, o := range s.deliver(changes) {
		if o.Status != intel.Delivered && o.Status != intel.Skipped {
			s.Errorf("%s %s %s", o.Status, o.Reason, o.Detail)
		}
	}
	s.compare()
}

// reinstate: what was withdrawn can come back, in a newer version or, when a
// filter lets it pass again, in the same.
func reinstate(s *session) {
	a, b := Multi(1, 2), Multi(2, 2)
	s.mustDeliver(s.upsert(a, b))
	s.mustDeliver(s.withdraw(intel.ReasonFiltered, a, b))
	s.compare()
	s.mustDeliver(s.upsert(a, Newer(b, 1)))
	s.compare()
}

func mixedBatch(s *session) {
	held := Indicators(0, 6)
	s.mustDeliver(s.upsert(held...))
	var changes []intel.Change
	var want []intel.Status
	add := func(status intel.Status, c []intel.Change) {
		changes, want = append(changes, c...), append(want, status)
	}
	add(intel.Delivered, s.upsert(Indicator(100)))
	odd := Unsupported(101)
	if len(s.holds(odd)) == 0 {
		add(intel.Skipped, s.upsert(odd))
	}
	add(intel.Delivered, s.withdraw(intel.ReasonExpired, held[0]))
	add(intel.Delivered, s.upsert(Newer(held[1], 1)))
	add(intel.Delivered, s.upsert(With(held[2], domain(5000))))
	if odd := Unsupported(102); len(s.holds(odd)) == 0 {
		add(intel.Skipped, s.upsert(odd))
	}
	add(intel.Delivered, s.upsert(Multi(103, 5)))
	for i, o := range s.deliver(changes) {
		if o.Status != want[i] {
			s.Errorf("outcome %d (%s of %s) = %s %s; want %s", i, changes[i].Action, changes[i].Indicator.Pattern, o.Status, o.Reason, want[i])
		}
	}
	s.compare()
}

func fullBatch(s *session) {
	n := min(s.limit(), 2000)
	s.mustDeliver(s.upsert(Indicators(0, n)...))
	s.compare()
}

// odd: whatever a producer writes, the neighbours are delivered and the batch
// does not fail.
func odd(s *session) {
	vary := func(n int, f func(*intel.Indicator)) *intel.Indicator {
		ind := Indicator(n)
		f(ind)
		if ind.Raw != nil {
			ind.Raw = raw(ind)
		}
		return ind
	}
	strange := []*intel.Indicator{
		vary(1, func(i *intel.Indicator) { i.Name = "a\x00b\x1b[31m\r\n\t\u2028\u202e \U0001F9A0 \xff\xfe" }),
		vary(2, func(i *intel.Indicator) { i.Description = strings.Repeat("long ✓ ", 300_000) }),
		vary(3, func(i *intel.Indicator) { i.ValidUntil = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }),
		vary(4, func(i *intel.Indicator) { i.Created, i.Modified, i.ValidFrom = time.Time{}, time.Time{}, time.Time{} }),
		vary(5, func(i *intel.Indicator) { i.ValidUntil = i.ValidFrom.Add(-time.Hour) }),
		vary(6, func(i *intel.Indicator) {
			i.Labels, i.IndicatorTypes, i.Confidence, i.KillChainPhases = []string{""}, nil, nil, nil
			i.ExternalReferences, i.MarkingRefs, i.Name, i.Description = nil, nil, "", ""
		}),
		vary(7, func(i *intel.Indicator) { n := 100_000; i.Confidence = &n }),
		vary(8, func(i *intel.Indicator) { i.SpecVersion = "2.0" }),
		vary(9, func(i *intel.Indicator) { i.ID = "indicator--not-a-uuid" }),
		vary(10, func(i *intel.Indicator) { i.Labels = manyLabels(2000) }),
		vary(11, func(i *intel.Indicator) { i.Raw = nil }),
	}
	var changes []intel.Change
	for i, ind := range strange {
		changes = append(changes, s.upsert(Indicator(100+i), ind)...)
	}
	for i, o := range s.deliver(changes) {
		id := changes[i].Indicator.ID
		switch {
		case i%2 == 0 && o.Status != intel.Delivered:
			s.Errorf("neighbour %s: %s %s %s", id, o.Status, o.Reason, o.Detail)
		case i%2 == 1 && o.Status != intel.Delivered:
			for held := range s.want {
				if held.ID == id {
					delete(s.want, held)
				}
			}
		}
	}
	s.compare()
}

func manyLabels(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprintf("label-%d", i)
	}
	return labels
}

// notRetained: once Deliver has returned, the batch is the engine's to reuse.
// The race detector sees a sink that still reads it; the comparison sees one
// that sends it later.
func notRetained(s *session) {
	changes := s.upsert(Indicators(0, 40)...)
	s.mustDeliver(changes)
	for i := range changes {
		ind := changes[i].Indicator
		for j := range ind.Raw {
			ind.Raw[j] = 'X'
		}
		for j := range ind.Observables {
			ind.Observables[j] = domain(-j - 1)
		}
		*ind = intel.Indicator{}
		changes[i] = intel.Change{Indicator: ind}
	}
	s.compare()
	s.close()
	s.compare()
}

func concurrent(s *session) {
	const callers, each = 8, 25
	batches := make([][]intel.Change, callers)
	for i := range batches {
		batches[i] = s.upsert(Indicators(i*each, each)...)
	}
	outcomes := make([][]intel.Outcome, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() { outcomes[i], errs[i] = s.sink.Deliver(s.Context(), batches[i]) })
	}
	wg.Wait()
	for i := range batches {
		s.failure("Deliver", errs[i])
		if errs[i] != nil || len(outcomes[i]) != each {
			s.Fatalf("caller %d: %d outcomes, %v", i, len(outcomes[i]), errs[i])
		}
		for j, o := range outcomes[i] {
			if o.Status != intel.Delivered {
				s.Errorf("caller %d, change %d: %s %s %s", i, j, o.Status, o.Reason, o.Detail)
			}
		}
	}
	s.compare()
}

func canceledBefore(s *session) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	changes := s.upsert(Indicators(0, 3)...)
	if _, err := s.offer(ctx, changes); err == nil {
		s.Error("Deliver with an ended context returned no error")
	}
	s.mustDeliver(changes)
	s.compare()
}

// canceledDuring: a sink whose time-out is minutes away returns at once when its
// context ends.
func canceledDuring(s *session) {
	if !s.dest.Inject(Hang) {
		s.Skip("the destination can not hang")
	}
	ctx, cancel := context.WithTimeout(s.Context(), 100*time.Millisecond)
	defer cancel()
	changes := s.upsert(Indicators(0, 3)...)
	begun := time.Now()
	outcomes, err := s.offer(ctx, changes)
	if took := time.Since(begun); took > 5*time.Second {
		s.Errorf("Deliver returned %v after its context ended", took)
	}
	if err == nil {
		s.Errorf("Deliver into a hanging destination returned no error: %v", outcomes)
	}
	begun = time.Now()
	ctx2, cancel2 := context.WithTimeout(s.Context(), 100*time.Millisecond)
	defer cancel2()
	if err := s.sink.Check(ctx2); err == nil || time.Since(begun) > 5*time.Second {
		s.Errorf("Check of a hanging destination returned %v after %v", err, time.Since(begun))
	} else {
		s.failure("Check", err)
	}
	s.dest.Heal()
	s.settleAll(changes)
	s.compare()
}

func check(s *session) {
	ok := func(when string) {
		s.Helper()
		if err := s.sink.Check(s.Context()); err != nil {
			s.Errorf("Check %s: %v", when, err)
		}
		s.compare()
	}
	ok("of an empty destination")
	s.mustDeliver(s.upsert(Indicators(0, 5)...))
	ok("of a destination in use")
	for _, row := range faultTable {
		switch row.fault {
		case Slow, CutAfterAccept, RestartKeep, RestartLose, Throttle, Hang, DiskFull:
			continue // only a delivery meets it, or slow to test
		}
		if !s.dest.Inject(row.fault) {
			continue
		}
		err := s.sink.Check(s.Context())
		s.failure("Check", err)
		if err == nil {
			s.Errorf("Check during fault %s succeeds", row.fault)
		} else if f := intel.AsFailure(err); f.Hint == "" && (row.fault == Unauthorized || row.fault == NotFound) {
			s.Errorf("Check during fault %s gives no hint what to do: %v", row.fault, err)
		}
		s.dest.Heal()
	}
	s.settleAll(s.upsert(Indicators(50, 5)...))
	s.compare()
}

func preview(s *session) {
	p, ok := s.sink.(intel.Previewer)
	if !ok {
		s.Skip("the sink has no preview")
	}
	for _, ind := range append(EveryType(0), Unsupported(900)) {
		c := s.upsert(ind)[0]
		const head = "kept\n"
		out, o := p.Preview([]byte(head), &c)
		s.outcome(&c, o, nil)
		text, ok := strings.CutPrefix(string(out), head)
		if !ok {
			s.Fatalf("%s: Preview overwrote dst: %q", ind.Pattern, out)
		}
		if holds := len(s.holds(ind)) > 0; holds != (o.Status == intel.Delivered) || holds != (text != "") {
			s.Errorf("%s: %s with %d bytes", ind.Pattern, o.Status, len(text))
		}
		for doc := range bytes.Lines([]byte(text)) {
			if !json.Valid(doc) || doc[len(doc)-1] != '\n' {
				s.Errorf("%s: not a line of JSON: %s", ind.Pattern, doc)
			}
		}
		s.noSecret("a preview", text)
	}
	s.want = Contents{}
	s.compare()
}

// reopened: a new sink goes on where the last one ended, whatever that one had
// in memory.
func reopened(s *session) {
	first := Indicators(0, 20)
	s.mustDeliver(s.upsert(first...))
	s.close()
	s.compare()
	s.open(patience)
	s.mustDeliver(append(s.upsert(Newer(first[3], 1), Indicator(500)), s.withdraw(intel.ReasonGone, first[4])...))
	s.compare()
}
