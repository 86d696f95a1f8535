package forwarder

import (
	"context"
	"testing"
	"testing/synctest"

	"taxii-forwarder/forwarder/replica"
)

// A record that was read while its object's last change was in flight has a
// ledger entry that is out of date, even if that change is settled by the time
// anyone asks.
func TestRecordsReadTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flight := func(oid int64) []decision { return []decision{{record: replica.Record{OID: oid}}} }
		recs := []replica.Record{{OID: 1}, {OID: 2}}
		var s oidSet
		check := func(what string, wantFresh, wantOK bool) {
			t.Helper()
			if fresh, ok := s.wait(t.Context(), recs); fresh != wantFresh || ok != wantOK {
				t.Errorf("%s: fresh %v, ok %v; want %v, %v", what, fresh, ok, wantFresh, wantOK)
			}
		}
		s.reading()
		check("nothing in flight", true, true)

		s.add(flight(2))
		s.reading()
		go func() {
			synctest.Wait() // until wait below blocks
			s.remove(flight(2))
		}()
		check("settled while waited for", false, true)
		s.reading()
		check("read again", true, true)

		s.add(flight(1))
		s.reading()
		s.remove(flight(1))
		check("settled between the reading and the question", false, true)
		s.reading()
		check("read again", true, true)

		s.add(flight(3))
		s.reading()
		s.remove(flight(3))
		check("another object", true, true)

		s.add(flight(1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := s.wait(ctx, recs); ok {
			t.Error("waiting outlived its context")
		}
	})
}
