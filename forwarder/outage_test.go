package forwarder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// outage is a sink whose destination is down for a time.
type outage struct {
	*scripted
	down     atomic.Bool
	attempts atomic.Int64 // while down
	flying   atomic.Int64 // changes in Deliver
	peak     atomic.Int64
	first    atomic.Int64 // when the destination first took something, Unix nanoseconds
	last     atomic.Int64 // when it last did
}

func (o *outage) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	o.peak.Store(max(o.peak.Load(), o.flying.Add(int64(len(batch)))))
	defer o.flying.Add(-int64(len(batch)))
	time.Sleep(20 * time.Millisecond) // what a request takes
	if o.down.Load() {
		o.attempts.Add(1)
		return make([]intel.Outcome, len(batch)), intel.Fail(intel.FailUnreachable, "nobody is there")
	}
	o.first.CompareAndSwap(0, time.Now().UnixNano())
	o.last.Store(time.Now().UnixNano())
	return o.scripted.Deliver(ctx, batch)
}

// TestLongOutage: a destination is down while every indicator changes five
// times, as in a week of a busy feed; so long that the attempts are as far apart
// as they get, from where on a longer outage is no other. The other sink is given every change within
// moments. The state does not grow with the outage, nor does what is in memory.
// When the destination is back, it is given each indicator once, in the newest
// version, in full batches one after the other, and then everything is as ever.
func TestLongOutage(t *testing.T) {
	const (
		indicators, rounds, limit = 1000, 5, 250
		between                   = 40 * time.Minute // one round and the next
	)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := replica.Open(t.Context(), replica.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close() // twice does no harm
		good, bad := &outage{scripted: newScripted()}, &outage{scripted: newScripted()}
		good.limit, bad.limit = limit, limit
		engine := New(Options{Store: store})
		if err := engine.Start(t.Context(), Config{
			Sinks:  []Sink{{Kind: "scripted", Name: "good", Sink: good}, {Kind: "scripted", Name: "bad", Sink: bad}},
			Routes: []Route{{Feed: "feed", Sink: "scripted.good"}, {Feed: "feed", Sink: "scripted.bad"}},
		}); err != nil {
			t.Fatal(err)
		}
		defer engine.Stop(context.Background())
		apply := func(from, to, day int) {
			var objects []replica.Object
			for n := from; n < to; n++ {
				raw := newer(ipIndicator(n, fmt.Sprintf(`"description":"as of day %d"`, day)), fmt.Sprintf("2026-01-%02dT00:00:00.000Z", 1+day))
				got, broken, _ := convert([]jsonRaw{raw}, false, nil)
				if len(broken) > 0 {
					t.Fatal(broken)
				}
				objects = append(objects, got...)
			}
			if _, err := store.Apply(t.Context(), replica.Batch{Collection: rigKey, Objects: objects}); err != nil {
				t.Fatal(err)
			}
			engine.Wake()
		}
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}

		bad.down.Store(true)
		apply(0, indicators, 0)
		time.Sleep(time.Hour)
		memory := heap()
		for day := 1; day <= rounds; day++ {
			apply(0, indicators, day)
			time.Sleep(time.Minute)
			if n := good.total(); n != (day+1)*indicators {
				t.Errorf("day %d: the other sink was sent %d changes, want %d", day, n, (day+1)*indicators)
			}
			time.Sleep(between)
		}
		if good.attempts.Load() > 0 || good.peak.Load() > 3*limit {
			t.Errorf("the other sink failed %d times, %d changes at once", good.attempts.Load(), good.peak.Load())
		}
		// Some attempts while the back-off grows, then 2.5 to 5 minutes between two,
		// of three batches each.
		if n := bad.attempts.Load(); n < int64(rounds*between/(5*time.Minute)) || n > 3*(20+int64((rounds*between+time.Hour)/(150*time.Second))) {
			t.Errorf("%d batches were tried in the outage", n)
		}
		// What the sinks remember for the test is among it: six rounds of changes.
		if grown := heap(); grown > memory+64<<20 {
			t.Errorf("memory grew from %d to %d bytes in the outage", memory, grown)
		}

		bad.down.Store(false)
		up := time.Now()
		time.Sleep(10 * time.Minute)
		back := time.Unix(0, bad.first.Load()) // until then the back-off goes on
		if n, took := bad.total(), back.Sub(up); n != indicators || took > 5*time.Minute {
			t.Errorf("%d changes were sent, the first after %s; want each of %d indicators once, within the longest back-off", n, took, indicators)
		}
		for n := range indicators {
			if v := bad.held[testID(n)]; v != good.held[testID(n)] || v == 0 {
				t.Fatalf("indicator %d is held in version %d, by the other sink in %d", n, v, good.held[testID(n)])
			}
		}
		if n := len(bad.batches); n != indicators/limit {
			t.Errorf("catching up took %d batches, want %d full ones", n, indicators/limit)
		}
		if took := time.Unix(0, bad.last.Load()).Sub(back); took > time.Second {
			t.Errorf("catching up took %s after the first batch, though a request takes 20 ms", took)
		}
		if bad.peak.Load() > 3*limit {
			t.Errorf("%d changes were in memory at once", bad.peak.Load())
		}

		apply(0, 1, rounds+1)
		time.Sleep(100 * time.Millisecond)
		if bad.total() != indicators+1 || good.total() != (rounds+1)*indicators+1 {
			t.Error("a change after the outage did not arrive at once")
		}

		if err := errors.Join(engine.Stop(t.Context()), store.Close()); err != nil {
			t.Fatal(err)
		}
		// Half a kilobyte each, and what two routes know of them: not six versions.
		if info, err := os.Stat(store.Path()); err != nil || info.Size() > 2000*indicators {
			t.Errorf("the state is %d bytes of %d indicators: %v", info.Size(), indicators, err)
		}
	})
}
