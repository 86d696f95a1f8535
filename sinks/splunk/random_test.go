package splunk

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// TestRandomFaults lets a feed live through hundreds of changes while the
// destination fails in every way, and offers what failed again, as the engine
// does. In the end Splunk shows exactly the feed's truth.
func TestRandomFaults(t *testing.T) {
	for _, ack := range []bool{false, true} {
		for range 3 {
			seed := rand.Uint64()
			t.Run(fmt.Sprintf("ack=%v,seed=%d", ack, seed), func(t *testing.T) { runRandom(t, seed, ack) })
		}
	}
}

func runRandom(t *testing.T, seed uint64, ack bool) {
	rng := rand.New(rand.NewPCG(seed, 1))
	srv := server(t, splunktest.Options{Ack: ack, AckPolls: 1, Sticky: ack})
	s := open(t, srv, withAck(AckAuto))
	s.times.ackTimeout = 100 * time.Millisecond
	faults := []splunktest.Fault{
		splunktest.CutBefore(), splunktest.CutAfter(), splunktest.Code(9), splunktest.Code(8), splunktest.Throttle(time.Second),
		{Code: 8, Take: true}, {HTML: 502}, {HTML: 502, Take: true}, {HTML: 200}, {Body: "{}"}, splunktest.Code(4), splunktest.Code(7),
		{Code: 9, Part: 3, Take: true}, {Code: 7, Part: 4, Take: true}, {Code: 24, Take: true}, {HTML: 413},
	}
	if ack {
		faults = append(faults, splunktest.Fault{Endpoint: "ack", Cut: true}, splunktest.Fault{Endpoint: "ack", Cut: true, Take: true}, splunktest.Fault{Endpoint: "ack", HTML: 502})
	}

	truth := map[int]*intel.Indicator{} // in force at the feed, by number
	held := map[int][]intel.Ref{}       // what the sink said that Splunk has
	clock := testNow
	for round := range 25 {
		var batch []intel.Change
		var numbers []int
		for _, n := range rng.Perm(60)[:1+rng.IntN(30)] {
			clock = clock.Add(time.Millisecond)
			ind := testIndicator(n, obs(intel.TypeDomain, fmt.Sprintf("h%d.example.com", rng.IntN(3))),
				obs(intel.TypeFile, sha256A, intel.FieldSHA256, sha256A, intel.FieldMD5, md5A)) // the second goes below, at times
			switch rng.IntN(3) {
			case 0:
				ind.Observables = ind.Observables[:1]
			case 1:
				ind.Observables, ind.Fidelity = nil, intel.FidelityUnsupported
			}
			ind.Modified = clock
			c := intel.Change{Seq: int64(round), Action: intel.Upsert, Indicator: ind}
			if rng.IntN(4) == 0 {
				if held[n] == nil {
					continue // nothing to withdraw
				}
				c.Action, c.Reason = intel.Withdraw, intel.ReasonRevoked
				delete(truth, n)
			} else {
				truth[n] = ind
			}
			c.Remove = held[n]
			batch, numbers = append(batch, c), append(numbers, n)
		}
		for range rng.IntN(4) {
			f := faults[rng.IntN(len(faults))]
			f.Times, f.Skip = 1, rng.IntN(3)
			srv.Inject(f)
		}
		if rng.IntN(5) == 0 {
			srv.MoveSessions()
		}
		if rng.IntN(5) == 0 {
			if err := srv.Restart(false); err != nil {
				t.Fatal(err)
			}
		}
		for try := 0; len(batch) > 0; try++ {
			if try == 20 {
				t.Fatal("the batch is never delivered")
			}
			clock = clock.Add(time.Millisecond)
			for i := range batch {
				batch[i].At = clock
			}
			out, err := s.Deliver(t.Context(), batch)
			var again []intel.Change
			var left []int
			for i := range out {
				switch out[i].Status {
				case intel.Delivered:
					n := numbers[i]
					held[n] = nil
					if batch[i].Action == intel.Upsert {
						for j := range batch[i].Indicator.Observables {
							held[n] = append(held[n], batch[i].Indicator.Observables[j].Ref())
						}
						held[n] = append(held[n], out[i].Held...)
					}
				case intel.Unknown:
					if err == nil {
						t.Fatal("an unknown outcome without an error")
					}
					again, left = append(again, batch[i]), append(left, numbers[i])
				default:
					// A 413 for one event alone is a refusal, whatever the event; offer it
					// again, as an admin would.
					again, left = append(again, batch[i]), append(left, numbers[i])
				}
			}
			batch, numbers = again, left
		}
		srv.Clear()
	}

	want := map[string]bool{}
	for n, ind := range truth {
		for _, ref := range held[n] {
			want[ind.ID+" "+ref.String()] = true
		}
	}
	for _, e := range srv.Current() {
		k := e.STIXID + " " + e.Type + ":" + e.Value
		if !want[k] {
			t.Errorf("left over: %s", k)
		}
		delete(want, k)
	}
	for k := range want {
		t.Errorf("lost: %s", k)
	}
}
