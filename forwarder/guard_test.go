package forwarder

import (
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// A filter that panics over one indicator.
type explosive string

func (e explosive) Match(ind *intel.Indicator) bool {
	if ind.ID == string(e) {
		panic("in the filter")
	}
	return true
}

func (explosive) String() string { return "explosive" }

func TestPanicCostsOneIndicator(t *testing.T) {
	bad := testID(4)
	for _, row := range []struct {
		name  string
		where Filter
		sink  func([]intel.Change) ([]intel.Outcome, error)
		twice bool // neighbours may be sent twice
	}{
		{name: "decide", where: explosive(bad)},
		{name: "deliver", twice: true, sink: func(b []intel.Change) ([]intel.Outcome, error) {
			out := make([]intel.Outcome, len(b))
			for i := range out {
				if out[i].Status = intel.Delivered; b[i].Indicator.ID == bad {
					panic("in the sink")
				}
			}
			return out, nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, row.where)
			r.sink.script(row.sink)
			r.apply(many(0, 25)...)
			r.until("the neighbours held", func() bool { return len(r.versions()) == 24 && r.settled() })
			letters, err := r.store.DeadLetters(t.Context(), replica.DeadFilter{})
			if err != nil || len(letters) != 1 {
				t.Fatalf("dead letters %v, %v; want one", letters, err)
			}
			if d := letters[0]; d.STIXID != bad || d.Reason != "internal_error" || !strings.Contains(d.Detail, "in the ") {
				t.Errorf("dead letter %+v", d)
			}
			if got := r.sink.sent(testID(20)); got != 1 { // of another batch
				t.Errorf("an indicator of another batch was sent %d times", got)
			}
			if got := r.sink.sent(testID(3)); got != 1 && !row.twice || got > 2 {
				t.Errorf("a neighbour was sent %d times", got)
			}
		})
	}
}

// TestPanicAfterSending: what the sink had sent when it panicked is withdrawn
// when its time comes.
func TestPanicAfterSending(t *testing.T) {
	r := newRig(t, nil)
	r.sink.script(func(b []intel.Change) ([]intel.Outcome, error) {
		r.sink.held[b[0].Indicator.ID] = b[0].Indicator.Version()
		panic("over the answer")
	})
	r.apply(ipIndicator(4, ""))
	r.until("a dead letter", func() bool {
		letters, err := r.store.DeadLetters(t.Context(), replica.DeadFilter{})
		return err == nil && len(letters) == 1
	})
	r.sink.script(nil)
	r.apply(newer(ipIndicator(4, `"revoked":true`), "2026-02-01T00:00:00.000Z"))
	r.until("withdrawn", func() bool { return len(r.versions()) == 0 })
}
