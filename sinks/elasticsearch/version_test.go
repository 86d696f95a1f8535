package elasticsearch

import (
	"context"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

const day = 24 * time.Hour

func TestVersionOrder(t *testing.T) {
	m := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for _, c := range []struct {
		name         string
		lower, upper int64
	}{
		{"modified later by 1 µs beats any forwarding time", version(m, now.Add(3000*day), true), version(m+1, now, false)},
		{"delete beats the index operation before it", version(m, now, false), version(m, now, true)},
		{"forwarded later by a step", version(m, now, true), version(m, now.Add(15*day), false)},
		{"clock before 2025", version(m, time.Time{}, false), version(m, now, false)},
		{"modified before 1970", version(-5, now, false), version(1, now, false)},
		{"forwarding time is bounded", version(m, now.Add(100*365*day), true), version(m+1, time.Time{}, false)},
		{"year 9999 is bounded", version(m, now, false), version(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), now, false)},
		{"never 0", 0, version(0, time.Time{}, false)},
	} {
		if c.lower >= c.upper {
			t.Errorf("%s: %d is not below %d", c.name, c.lower, c.upper)
		}
	}
	for range 5 {
		if a, b := version(m, now, false), version(m, now.Add(time.Minute), false); a != b {
			t.Errorf("a repeat has another version: %d, %d", a, b)
		}
	}
}

// TestVersionRoom: however often a document has been refreshed, a later write
// of the same version of the indicator is not below it.
func TestVersionRoom(t *testing.T) {
	m := now.UnixMicro()
	for start := range 20 {
		at := now.Add(time.Duration(start) * day)
		stored := version(m, at, false)
		for n := 1; n <= 500; n++ {
			// The soonest that the n-th refresh can be, and a write right after it.
			when := at.Add(time.Duration(n) * refreshAge)
			stored++
			if v := version(m, when, false); v < stored {
				t.Fatalf("after %d refreshes a write has version %d, below %d", n, v, stored)
			}
			if when.Year() > 2050 {
				break
			}
		}
	}
}

func TestDocumentID(t *testing.T) {
	a := sinktest.Multi(1, 2)
	seen := map[string]bool{}
	for _, ref := range append(sinktest.Refs(a), intel.Ref{}, intel.Ref{Type: intel.TypeURL, Value: strings.Repeat("x", 10_000)}) {
		id := documentID(a, ref)
		if seen[id] || len(id) > maxDocumentID || id != documentID(a, ref) {
			t.Errorf("_id of %v: %q", ref, id)
		}
		seen[id] = true
	}
	other := *a
	other.Feed = "other"
	if ref := a.Observables[0].Ref(); documentID(a, ref) == documentID(&other, ref) {
		t.Error("two feeds share an _id")
	}
	long, longer := *a, *a
	long.ID, longer.ID = "indicator--"+strings.Repeat("é", 400), "indicator--"+strings.Repeat("é", 401)
	x, y := documentID(&long, intel.Ref{}), documentID(&longer, intel.Ref{})
	if len(x) > maxDocumentID || x == y {
		t.Errorf("long ids: %q and %q", x, y)
	}
}

// TestVersions plays what can happen to one document at a server that keeps
// external versions, tombstones included.
func TestVersions(t *testing.T) {
	older := sinktest.Indicator(1)
	newer := sinktest.Newer(older, 1)
	ref := older.Observables[0].Ref()
	id := documentID(older, ref)
	type step struct {
		change  intel.Change
		refresh bool
		clock   time.Duration // passes before the step
		want    int64         // version of the indicator that is held after it; 0 = none
	}
	at := func(d time.Duration, ind *intel.Indicator) intel.Change { return upsert(now.Add(d), ind)[0] }
	gone := func(d time.Duration, ind *intel.Indicator) intel.Change { return withdraw(now.Add(d), ind) }
	const old, new = 1, 2
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"repeat", []step{{change: at(0, older), want: old}, {change: at(0, older), want: old}}},
		{"older version late", []step{{change: at(0, newer), want: new}, {change: at(time.Hour, older), want: new}}},
		{"older version long after a delete", []step{{change: at(0, newer), want: new}, {change: gone(0, newer)}, {change: at(time.Hour, older)}}},
		{"older delete late", []step{{change: at(0, newer), want: new}, {change: gone(time.Hour, older), want: new}}},
		{"expired: delete of the same version", []step{{change: at(0, older), want: old}, {change: gone(0, older)}}},
		{"the index operation that hung", []step{{change: at(0, older), want: old}, {change: gone(time.Second, newer)}, {change: at(0, older)}}},
		{"comes back in the same version", []step{{change: at(0, older), want: old}, {change: gone(0, older)}, {change: at(time.Second, older), want: old}, {change: gone(2*time.Second, older)}}},
		{"expires after a refresh", []step{{change: at(0, older), want: old}, {clock: 21 * day, refresh: true, want: old}, {change: gone(22*day, older)}}},
		{"replayed after a refresh", []step{{change: at(0, older), want: old}, {clock: 21 * day, refresh: true, want: old}, {change: at(22*day, older), want: old}}},
		{"replayed after a refresh, clock set back", []step{{change: at(0, older), want: old}, {clock: 21 * day, refresh: true, want: old}, {change: at(-day, older), want: old}, {change: gone(-day, older)}}},
		{"many refreshes, then the next version", []step{
			{change: at(0, older), want: old}, {clock: 21 * day, refresh: true, want: old}, {clock: 21 * day, refresh: true, want: old},
			{clock: 21 * day, refresh: true, want: old}, {change: at(64*day, newer), want: new}, {change: at(65*day, older), want: new},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := now
			s := server(t, elastictest.Options{Now: func() time.Time { return clock }, GCDeletes: -1})
			sink := open(t, s)
			sink.now = func() time.Time { return clock }
			for i, step := range c.steps {
				clock = clock.Add(step.clock)
				if step.refresh {
					before, _ := s.Doc(defaultIndex, id)
					if n, err := sink.Refresh(context.Background()); n != 1 || err != nil {
						t.Fatalf("step %d: Refresh = %d, %v", i, n, err)
					}
					if after, _ := s.Doc(defaultIndex, id); after.Version != before.Version+1 {
						t.Fatalf("step %d: the refresh took version %d to %d; the fake is not what it should be", i, before.Version, after.Version)
					}
				} else {
					mustDeliver(t, sink, step.change)
				}
				d, ok := s.Doc(defaultIndex, id)
				held := int64(0)
				if ok {
					held = map[int64]int64{older.Version(): old, newer.Version(): new}[d.Version>>versionShift]
				}
				if held != step.want {
					t.Fatalf("step %d: version %d is held, not %d", i, held, step.want)
				}
			}
		})
	}
}
