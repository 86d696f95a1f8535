package forwarder

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// publication makes the n-th indicator as published at a time, by an id that no
// other publication has.
func publication(n int, at time.Time, more string) []byte {
	raw := ipIndicator(n, more)
	raw = bytes.Replace(raw, []byte(testID(n)), fmt.Appendf(nil, "indicator--%08x-0000-4000-8000-%012x", at.Unix(), n), 1)
	return bytes.Replace(raw, []byte(`"modified":"2026-01-01T00:00:00.000Z"`), fmt.Appendf(nil, `"modified":"%s"`, at.Format("2006-01-02T15:04:05.000Z")), 1)
}

// TestIdentityByContent follows a feed that publishes its indicators again and
// again under new ids.
func TestIdentityByContent(t *testing.T) {
	const objects, publications = 40, 5
	s := taxiitest.New(taxiitest.Options{})
	t.Cleanup(s.Close)
	col := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000009"})
	publish := func(day0 int, more string) {
		for n := range objects {
			col.Add(day(day0), publication(n, day(day0), more))
		}
	}
	held := func(r *rig) func() bool {
		return func() bool { return len(r.versions()) == objects && r.settled() }
	}
	publish(0, "")
	r := newRig(t, nil)
	byContent := func(f *Feed) { f.ByContent = true }
	r.follow(s, byContent)
	r.until("all held", held(r))
	for n := 1; n < publications; n++ {
		publish(n, "")
	}
	polls := func(n int) func() bool {
		until := len(s.Requests()) + n
		return func() bool { return len(s.Requests()) > until && r.settled() }
	}
	r.until("more polls", polls(2*objects))
	if n := r.sink.total(); n != objects || len(r.versions()) != objects {
		t.Fatalf("%d changes were sent and %d indicators are held, %d were published %d times", n, len(r.versions()), objects, publications)
	}
	r.follow(s, byContent) // a restart
	r.until("more polls", polls(2*objects))
	if n := r.sink.total(); n != objects {
		t.Errorf("%d changes were sent after a restart, want %d", n, objects)
	}

	// What is new about a publication is sent, over what was there.
	publish(publications, `"confidence":90`)
	r.until("the update", func() bool { return r.sink.total() == 2*objects && r.settled() })
	if len(r.versions()) != objects {
		t.Errorf("%d indicators are held", len(r.versions()))
	}

	// Revoked under the id of any publication: the first, the last, a new one.
	for n, at := range []time.Time{day(0), day(publications), day(30)} {
		raw := publication(n, at, `"revoked":true`)
		raw = bytes.Replace(raw, fmt.Appendf(nil, `"modified":"%s"`, at.Format("2006-01-02T15:04:05.000Z")), []byte(`"modified":"2026-02-02T00:00:00.000Z"`), 1)
		col.Add(day(31), raw)
	}
	r.until("three withdrawn", func() bool { return len(r.versions()) == objects-3 && r.settled() })
	r.sink.mu.Lock()
	last := r.sink.batches[len(r.sink.batches)-1][0]
	r.sink.mu.Unlock()
	if last.Action != intel.Withdraw || last.Reason != intel.ReasonRevoked {
		t.Errorf("last change %v (%s)", last.Action, last.Reason)
	}

	// A publication of before the revocation changes nothing, a later one counts.
	col.Add(day(32), publication(0, day(20), ""))
	col.Add(day(32), publication(1, day(60), ""))
	r.until("one back", func() bool { return len(r.versions()) == objects-2 && r.settled() })

	// Back to ids: what was held by content is withdrawn, nothing is lost.
	r.follow(s, nil)
	r.until("by id", func() bool {
		for id := range r.versions() {
			if id[len("indicator--")+14] == '5' {
				return false
			}
		}
		return len(r.versions()) > objects && r.settled()
	})
}
