package forwarder

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// # Panics
//
// What a feed serves goes through much code, and a mistake in it must cost one
// object, not all of them at every start. A panic over an object is caught where
// it can be laid at that object's door: it is counted as broken when it arrives,
// and becomes a dead letter when it is to be delivered. Anywhere else a panic
// ends the process, as it should.

// reasonInternal is the reason of a dead letter that a panic caused.
const reasonInternal = "internal_error"

// caught turns a panic into an error that says where it happened.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{value: p, stack: string(debug.Stack())}
	}
}

type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string {
	return fmt.Sprintf("a mistake in this program (please report it): %v", e.value)
}

// convertOne is convertObject, but for the panics.
func convertOne(raw json.RawMessage, byContent bool) (o replica.Object, odd []string, err error) {
	defer caught(&err)
	return convertObject(raw, byContent)
}

// decide is [decide] with the route's filter; a record that it panics over is
// dead.
func (r *routeLoop) decide(rec replica.Record, now time.Time) decision {
	d, err := func() (d decision, err error) {
		defer caught(&err)
		return decide(r.Feed, r.Where, rec, now), nil
	}()
	if err != nil {
		r.report(err, rec.ID)
		d = decision{record: rec, dead: &replica.DeadLetter{Reason: reasonInternal, Detail: err.Error(), Raw: rec.Raw}}
	}
	return d
}

// offer is the sink's Deliver, held to its contract. When the sink panics, the
// changes are offered one by one, and those that it panics over alone are
// rejected.
func (r *routeLoop) offer(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	outcomes, err := r.try(ctx, batch)
	if _, panicked := err.(*panicError); !panicked {
		return outcomes, err
	}
	outcomes = make([]intel.Outcome, len(batch))
	for i := range batch {
		one, err := r.try(ctx, batch[i:i+1])
		switch _, panicked := err.(*panicError); {
		case panicked:
			r.report(err, batch[i].Indicator.ID)
			outcomes[i] = intel.Outcome{Status: intel.Rejected, Reason: reasonInternal, Detail: err.Error()}
		case err != nil:
			return outcomes, err
		default:
			outcomes[i] = one[0]
		}
	}
	return outcomes, nil
}

func (r *routeLoop) try(ctx context.Context, batch []intel.Change) (outcomes []intel.Outcome, err error) {
	defer caught(&err)
	outcomes, err = r.sink.Deliver(ctx, batch)
	return outcomes, checked(r.Sink, len(batch), outcomes, err)
}

func (r *routeLoop) report(err error, id string) {
	r.log.Error("could not handle an indicator; see dead-letters list", "indicator", id, "error", err, "stack", err.(*panicError).stack)
}
