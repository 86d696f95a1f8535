//go:build interop

package interop

import (
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

const day = 24 * time.Hour

// TestVersions plays what can happen to one document, in whatever order it
// arrives.
func TestVersions(t *testing.T) {
	older := sinktest.Indicator(1)
	newer := sinktest.Newer(older, 1)
	now := time.Now()
	type step struct {
		change  []intel.Change
		refresh bool
		want    *intel.Indicator // that is held after it; nil = none
	}
	write := func(at time.Duration, ind, want *intel.Indicator) step {
		return step{change: upsert(now.Add(at), ind), want: want}
	}
	gone := func(at time.Duration, ind, want *intel.Indicator) step {
		return step{change: withdraw(now.Add(at), ind), want: want}
	}
	const old = -25 * day
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"repeat", []step{write(0, older, older), write(0, older, older)}},
		{"next version", []step{write(0, older, older), write(0, newer, newer)}},
		{"older version late", []step{write(0, newer, newer), write(time.Hour, older, newer)}},
		{"older delete late", []step{write(0, newer, newer), gone(time.Hour, older, newer)}},
		{"older version after a delete", []step{write(0, newer, newer), gone(0, newer, nil), write(time.Hour, older, nil)}},
		{"delete of the same version", []step{write(0, older, older), gone(0, older, nil), gone(0, older, nil)}},
		{"delete of what was never there", []step{gone(0, older, nil), write(0, newer, newer)}},
		{"the index operation that hung", []step{write(0, older, older), gone(time.Second, newer, nil), write(0, older, nil)}},
		{"comes back in the same version", []step{write(0, older, older), gone(0, older, nil), write(time.Second, older, older), gone(2*time.Second, older, nil)}},
		{"withdrawn after a refresh", []step{write(old, older, older), {refresh: true, want: older}, gone(0, older, nil)}},
		{"replayed after a refresh", []step{write(old, older, older), {refresh: true, want: older}, write(0, older, older)}},
		{"replayed after a refresh, clock set back", []step{write(old, older, older), {refresh: true, want: older}, write(old, older, older), gone(old, older, nil)}},
		{"next version after a refresh", []step{write(old, older, older), {refresh: true, want: older}, write(0, newer, newer), write(0, older, newer)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			index := newIndex(t)
			sink := open(t, index)
			for i, s := range c.steps {
				if s.refresh {
					must(t, "POST", "/"+index+"/_refresh", nil, nil)
					if n, err := sink.Refresh(t.Context()); n != 1 || err != nil {
						t.Fatalf("step %d: Refresh = %d, %v", i, n, err)
					}
				} else {
					mustDeliver(t, sink, s.change...)
				}
				docs := documents(t, index)
				if s.want == nil {
					if len(docs) != 0 {
						t.Fatalf("step %d: %d documents, want none", i, len(docs))
					}
					continue
				}
				h, ok := docs[only(t, sink, upsert(now, s.want)[0])]
				if !ok || len(docs) != 1 || h.Version>>versionShift != s.want.Version() {
					t.Fatalf("step %d: %+v, want version %d", i, docs, s.want.Version())
				}
			}
		})
	}
}

// TestRefresh moves 10,200 documents, more than one round has, back into the
// 30 days that rules look at.
func TestRefresh(t *testing.T) {
	index := newIndex(t)
	sink := open(t, index)
	now := time.Now()
	const old, fresh = 10_200, 50
	for from := 0; from < old; from += 1700 {
		inds := sinktest.Indicators(from, 1700)
		if from == 0 {
			inds[0].ValidUntil = now.Add(-time.Hour) // a withdrawal is under way
		}
		mustDeliver(t, sink, upsert(now.Add(-35*day), inds...)...)
	}
	mustDeliver(t, sink, upsert(now.Add(-19*day), sinktest.Indicators(old, fresh)...)...)
	count := func(q query) int {
		t.Helper()
		must(t, "POST", "/"+index+"/_refresh", nil, nil)
		var answer struct{ Count int }
		must(t, "POST", "/"+index+"/_count", query{"query": q}, &answer)
		return answer.Count
	}
	window := query{"range": query{"@timestamp": query{"gte": "now-30d/d"}}}
	if n := count(window); n != fresh {
		t.Fatalf("%d documents in the window before, want %d", n, fresh)
	}
	n, err := sink.Refresh(t.Context())
	if err != nil || n != old-1 {
		t.Fatalf("Refresh = %d, %v; want %d", n, err, old-1)
	}
	if n := count(window); n != old-1+fresh {
		t.Errorf("%d documents in the window after, want %d", n, old-1+fresh)
	}
	if n := count(query{"range": query{"@timestamp": query{"gte": now.Format(time.RFC3339)}}}); n != old-1 {
		t.Errorf("%d documents were set to now, want %d", n, old-1)
	}
	if n := count(query{"range": query{"event.ingested": query{"gte": now.Add(-20 * day).Format(time.RFC3339)}}}); n != fresh {
		t.Errorf("the refresh changed more than @timestamp: event.ingested of %d documents", n)
	}
	if n, err := sink.Refresh(t.Context()); n != 0 || err != nil {
		t.Errorf("a second Refresh = %d, %v", n, err)
	}
}

// TestRefreshDuringDelivery: documents that were written since the index was
// last refreshed are met as conflicts, and are touched all the same.
func TestRefreshDuringDelivery(t *testing.T) {
	index := newIndex(t)
	sink := open(t, index)
	at := time.Now().Add(-25 * day)
	changes := upsert(at, sinktest.Indicators(0, 40)...)
	mustDeliver(t, sink, changes...)
	must(t, "POST", "/"+index+"/_refresh", nil, nil)
	mustDeliver(t, sink, changes[:20]...) // not visible yet
	if n, err := sink.Refresh(t.Context()); n != 40 || err != nil {
		t.Errorf("Refresh = %d, %v", n, err)
	}
	for id, h := range documents(t, index) {
		if d, err := decode(h.Source); err != nil || time.Since(d.Timestamp) > time.Hour {
			t.Errorf("%s has @timestamp %s, %v", id, d.Timestamp, err)
		}
	}
}
