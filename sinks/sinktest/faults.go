package sinktest

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// settleAll offers changes again and again, as the engine would, until each has
// been delivered. The destination is whole, but the sink may still be told to
// wait, or hold connections that are dead.
func (s *session) settleAll(changes []intel.Change) {
	s.Helper()
	left := slices.Clone(changes)
	deadline := time.Now().Add(patience)
	for len(left) > 0 {
		batch := left[:min(len(left), s.limit())]
		outcomes, err := s.offer(s.Context(), batch)
		var unsettled []intel.Change
		for i, o := range outcomes {
			switch o.Status {
			case intel.Unknown:
				unsettled = append(unsettled, batch[i])
			case intel.Rejected, intel.Skipped:
				s.Errorf("%s of %s after the fault: %s %s %s", batch[i].Action, batch[i].Indicator.ID, o.Status, o.Reason, o.Detail)
			}
		}
		left = append(unsettled, left[len(batch):]...)
		if err == nil {
			continue
		}
		if time.Now().After(deadline) {
			s.Fatalf("%d changes are not delivered long after the fault healed: %v", len(left), err)
		}
		if wait := intel.AsFailure(err).RetryAfter; wait > 0 {
			<-time.After(min(wait, 5*time.Second))
		} else {
			<-time.After(20 * time.Millisecond) // the engine's back-off
		}
	}
}

// faulty breaks the destination while a batch with every sort of change is
// offered, heals it, and demands that nothing was lost.
func faulty(s *session, fault Fault, kinds []intel.FailureKind) {
	held := Indicators(0, 8)
	wide := Multi(50, 4)
	s.mustDeliver(s.upsert(append(held, wide)...))
	if !s.dest.Inject(fault) {
		s.Skip("can not happen to this destination")
	}
	changes := s.withdraw(intel.ReasonRevoked, held[0], held[1])
	changes = append(changes, s.upsert(Newer(held[2], 1), With(wide, wide.Observables[1:3]...))...)
	changes = append(changes, s.upsert(Indicators(100, 16)...)...)

	left := changes
	for range 2 {
		begun := time.Now()
		outcomes, err := s.offer(s.Context(), left)
		if took := time.Since(begun); took > patience {
			s.Errorf("Deliver took %v; a failed destination is the engine's to retry", took)
		}
		var unsettled []intel.Change
		for i, o := range outcomes {
			switch o.Status {
			case intel.Unknown:
				unsettled = append(unsettled, left[i])
			case intel.Rejected, intel.Skipped:
				s.Errorf("%s was given up because of the destination: %s %s %s", left[i].Indicator.ID, o.Status, o.Reason, o.Detail)
			}
		}
		if s.h.Local && kinds != nil {
			kinds = []intel.FailureKind{intel.FailLocal, intel.FailTimeout}
		}
		restart := fault == RestartKeep || fault == RestartLose // may be over before the sink notices
		switch {
		case kinds == nil && err != nil:
			s.Errorf("Deliver: %v; want no error", err)
		case kinds != nil && err == nil && !restart:
			s.Errorf("Deliver reports no error")
		case kinds != nil && err != nil && !slices.Contains(kinds, intel.AsFailure(err).Kind):
			s.Errorf("Deliver: kind %s; want one of %v: %v", intel.AsFailure(err).Kind, kinds, err)
		}
		if left = unsettled; len(left) == 0 {
			break
		}
	}
	if kinds != nil && fault != RestartKeep && fault != RestartLose && len(left) == 0 {
		s.Errorf("everything was delivered during the fault")
	}
	s.dest.Heal()
	s.settleAll(left)
	s.compare()

	// The sink is as good as new.
	s.mustDeliver(s.upsert(Indicators(200, 5)...))
	s.compare()
}

// poison: an object that the destination refuses becomes a rejected change with
// a reason, and its neighbours are delivered.
func poison(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		bad  []int
	}{
		{"first", []int{0}},
		{"middle", []int{9}},
		{"last", []int{19}},
		{"several", []int{0, 3, 4, 11, 18, 19}},
		{"all but one", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19}},
		{"all", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t, h, patience)
			inds := Indicators(0, 20)
			inds[4] = Multi(4, 3)
			var ids []string
			for _, i := range c.bad {
				ids = append(ids, inds[i].ID)
			}
			if !s.dest.Poison(ids...) {
				s.Skip("the destination never refuses single objects")
			}
			changes := s.upsert(inds...)
			for i, o := range s.deliver(changes) {
				if !slices.Contains(c.bad, i) {
					if o.Status != intel.Delivered {
						s.Errorf("neighbour %d: %s %s %s", i, o.Status, o.Reason, o.Detail)
					}
					continue
				}
				if o.Status != intel.Rejected {
					s.Errorf("poisoned %d: %s %s", i, o.Status, o.Reason)
				} else if o.Detail == "" || len(o.Sent) == 0 {
					s.Errorf("poisoned %d: rejected as %s without the destination's words (%q) or what was sent (%d bytes)", i, o.Reason, o.Detail, len(o.Sent))
				}
				for held := range s.want {
					if held.ID == inds[i].ID && !slices.Contains(o.Held, held.Ref) {
						delete(s.want, held)
					}
				}
			}
			s.compare()
		})
	}
}

// random plays the engine: a seeded history of versions, withdrawals and
// returns of some indicators, offered in batches to a destination that breaks
// now and then and to sinks that are closed and opened again. What was not
// settled is offered again in its newest state. SINKTEST_SEED repeats a run.
func random(s *session) {
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("SINKTEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("repeat with SINKTEST_SEED=%d", seed)
		}
	})
	rng := rand.New(rand.NewPCG(seed, 0))
	faults := []Fault{Refuse, CutBeforeAccept, CutAfterAccept, HTML, ServerError, RestartKeep, RestartLose, Unauthorized, DiskFull}

	const population = 40
	current := make([]*intel.Indicator, population)
	pending := map[int]intel.Change{} // newest unsettled change per indicator
	for range 60 {
		for range 1 + rng.IntN(12) {
			i := rng.IntN(population)
			switch ind := current[i]; {
			case ind == nil:
				current[i] = Multi(i, 1+rng.IntN(4))
				pending[i] = s.upsert(current[i])[0]
			case rng.IntN(4) == 0:
				current[i] = Newer(ind, 1)
				pending[i] = s.withdraw(intel.ReasonGone, current[i])[0]
			case rng.IntN(2) == 0:
				current[i] = Newer(ind, 1)
				pending[i] = s.upsert(current[i])[0]
			default:
				all := Multi(i, 6).Observables
				rng.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
				current[i] = With(ind, all[:1+rng.IntN(len(all))]...)
				pending[i] = s.upsert(current[i])[0]
			}
		}
		broken := false
		if rng.IntN(3) == 0 {
			broken = s.dest.Inject(faults[rng.IntN(len(faults))])
		}
		batch := inOrder(pending)
		outcomes, err := s.offer(s.Context(), batch)
		if err != nil && !broken {
			// Right after a fault a sink may still be waiting or hold dead connections.
			s.Logf("without a fault: %v", err)
		}
		for i, o := range outcomes {
			switch o.Status {
			case intel.Delivered:
				for k, c := range pending {
					if c.Seq == batch[i].Seq {
						delete(pending, k)
					}
				}
			case intel.Rejected, intel.Skipped:
				s.Errorf("%s was given up: %s %s %s", batch[i].Indicator.ID, o.Status, o.Reason, o.Detail)
			}
		}
		if broken {
			s.dest.Heal()
		}
		if rng.IntN(15) == 0 {
			s.close()
			s.open(shortTimeout)
		}
	}
	s.settleAll(inOrder(pending))
	s.compare()
	if s.Failed() {
		s.Logf("%d changes in all", s.seq)
	}
}

// inOrder returns changes by number, as the replica would.
func inOrder(pending map[int]intel.Change) []intel.Change {
	var all []intel.Change
	for _, c := range pending {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b intel.Change) int { return int(a.Seq - b.Seq) })
	return all
}
