package forwarder

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// last returns the newest change that a sink was handed of an indicator.
func (s *scripted) last(id string) (last intel.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		for _, c := range b {
			if c.Indicator.ID == id {
				last = c
			}
		}
	}
	return last
}

// all answers every change of a batch alike.
func all(out intel.Outcome, err error) func([]intel.Change) ([]intel.Outcome, error) {
	return func(b []intel.Change) ([]intel.Outcome, error) {
		return slices.Repeat([]intel.Outcome{out}, len(b)), err
	}
}

// A dead letter that is offered again, but never answered, is still queued:
// nothing else would ever offer it again, as the cursor is past it.
func TestRetryThatIsNotAnswered(t *testing.T) {
	r := newRig(t, nil)
	r.sink.script(all(intel.Outcome{Status: intel.Rejected, Reason: "bad_field", Detail: "no"}, nil))
	r.apply(ipIndicator(1, ""))
	letters := func() []replica.DeadLetter {
		list, err := r.store.DeadLetters(t.Context(), replica.DeadFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	r.until("a dead letter", func() bool { return len(letters()) == 1 && r.settled() })
	r.sink.script(all(intel.Outcome{}, intel.Fail(intel.FailUnreachable, "the connection broke")))
	if n, err := r.store.RetryDead(t.Context(), replica.DeadFilter{}); err != nil || n != 1 {
		t.Fatalf("retry: %d, %v", n, err)
	}
	r.engine.Wake()
	r.until("the attempt", func() bool { return r.sink.sent(testID(1)) > 1 })
	r.close()
	r.open(nil) // the queue is in the state
	if l := letters(); len(l) != 1 || !l[0].Retry {
		t.Errorf("after an attempt that was not answered the dead letters are %+v, want the one, queued", l)
	}
	r.sink.script(nil)
	r.until("delivery", func() bool { return len(r.versions()) == 1 && len(letters()) == 0 })
}

// What a destination once had is remembered over a version that it could not
// hold: an upload that follows must not look like the first.
func TestFirstDeliveryOverASkippedVersion(t *testing.T) {
	for _, away := range []string{"", `"revoked":true`} {
		t.Run(away, func(t *testing.T) {
			r := newRig(t, nil)
			version := 0
			next := func(more string) {
				version++
				r.apply(newer(ipIndicator(1, more), fmt.Sprintf("2026-01-%02dT00:00:00.000Z", 1+version)))
			}
			next("")
			r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
			held := time.Now()

			r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
				out := make([]intel.Outcome, len(b))
				for i := range b {
					out[i] = intel.Outcome{Status: intel.Delivered}
					if b[i].Action == intel.Upsert {
						out[i] = intel.Outcome{Status: intel.Skipped, Reason: "invalid_pattern"}
					}
				}
				return out, nil
			})
			for range 2 { // it is skipped more than once
				next("")
				r.until("withdrawn", func() bool { return len(r.versions()) == 0 && r.settled() })
			}
			if away != "" {
				next(away)
				r.until("settled", r.settled)
			}
			r.sink.script(nil)
			next("")
			r.until("held again", func() bool { return len(r.versions()) == 1 && r.settled() })
			if got := r.sink.last(testID(1)).FirstDelivered; got.IsZero() || got.After(held) {
				t.Errorf("first delivered %v, want the time of the first delivery, before %v", got, held)
			}
		})
	}
}

// What was never delivered has no first delivery, however often it was skipped.
func TestNoFirstDelivery(t *testing.T) {
	r := newRig(t, nil)
	r.sink.script(all(intel.Outcome{Status: intel.Skipped, Reason: "invalid_pattern"}, nil))
	for day := 2; day < 5; day++ {
		r.apply(newer(ipIndicator(1, ""), fmt.Sprintf("2026-01-%02dT00:00:00.000Z", day)))
		r.until("settled", func() bool { return r.sink.sent(testID(1)) == day-1 && r.settled() })
	}
	r.sink.script(nil)
	r.apply(newer(ipIndicator(1, ""), "2026-02-01T00:00:00.000Z"))
	r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
	if got := r.sink.last(testID(1)).FirstDelivered; !got.IsZero() {
		t.Errorf("first delivered %v, though it never was", got)
	}
}

// keyed is a sink that files every indicator under a key of its own as well.
type keyed struct{ *scripted }

func (keyed) AlsoHeld(c *intel.Change) []intel.Ref {
	return []intel.Ref{{Type: "version", Value: fmt.Sprint(c.Indicator.Version())}}
}

// A request that was never answered may have left what the sink adds to the
// observables, too: that is withdrawn with the next version.
func TestKeysOfWhatWasNotAnswered(t *testing.T) {
	r := newRig(t, nil)
	r.close()
	r.openWith(keyed{r.sink}, nil)
	r.sink.script(all(intel.Outcome{}, intel.Fail(intel.FailUnreachable, "the connection broke")))
	r.apply(ipIndicator(1, ""))
	r.until("an attempt", func() bool { return r.sink.sent(testID(1)) > 0 })
	lost := keyed{}.AlsoHeld(new(r.sink.last(testID(1))))[0]
	r.apply(newer(ipIndicator(1, ""), "2026-01-02T00:00:00.000Z"))
	r.sink.script(nil)
	r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
	if got := r.sink.last(testID(1)).Remove; !slices.Contains(got, lost) {
		t.Errorf("the next version removes %v, without %v", got, lost)
	}
}

// nothing is a filter that lets nothing pass.
type nothing struct{}

func (nothing) Match(*intel.Indicator) bool { return false }
func (nothing) String() string              { return "false" }

// A withdrawal that was never answered may have been carried out. When the
// filter lets the indicator in again, it has to be sent again, though nothing
// about it has changed.
func TestWithdrawalThatIsNotAnswered(t *testing.T) {
	r := newRig(t, nil)
	r.apply(ipIndicator(1, ""))
	r.until("held", func() bool { return len(r.versions()) == 1 && r.settled() })
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) { // it takes it, and does not say so
		r.sink.held = map[string]int64{}
		return make([]intel.Outcome, len(b)), intel.Fail(intel.FailUnreachable, "the connection broke")
	})
	r.close()
	r.open(nothing{})
	r.until("withdrawn", func() bool { return len(r.versions()) == 0 })
	r.close()
	r.sink.script(nil)
	r.open(nil)
	r.until("held again", func() bool { return len(r.versions()) == 1 && r.settled() })
}
