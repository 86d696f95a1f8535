package forwarder

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
)

// Bounds of one batch. What a route holds in memory is at most batchBytes
// times its batches in flight, whatever the outage or the collection.
const (
	batchChanges = 1000
	batchBytes   = 4 << 20
	settleAtOnce = 4 // batches recorded in one transaction when they are ready together
)

// routeLoop delivers one feed's changes to one sink.
type routeLoop struct {
	Route
	sink       Sink
	row        replica.Route // set when a session starts, constant during it
	store      *replica.Store
	log        hclog.Logger
	metrics    *metrics.Metrics
	now        func() time.Time
	within     time.Duration // see Options.RetryWithin
	wake       chan struct{} // holds at most one token: there may be changes
	interrupts chan interrupt
	pulses     *pulses
	health     health
	rejected   atomic.Int64
	caughtUp   atomic.Bool
}

// interrupt asks the loop to run do while nothing of it is in flight.
type interrupt struct {
	do   func()
	done chan struct{}
}

func (r *routeLoop) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run delivers until soft ends; requests under way then may finish until hard
// ends.
func (r *routeLoop) run(soft, hard context.Context) {
	retry := backoff{floor: time.Second, ceiling: 5 * time.Minute}.within(r.within)
	p := r.pulses.begin(r.loop())
	defer p.end()
	for soft.Err() == nil {
		var progress bool
		var err error
		ctx, stop := r.until(soft)
		ended := make(chan struct{})
		p.enter("delivers", forever)
		go func() {
			defer close(ended)
			progress, err = r.session(ctx, hard)
		}()
		asked := r.await(ended, soft.Done())
		stop()
		<-ended
		if asked != nil {
			p.enter("does what a command asked for", replicaWide)
			asked.do()
			close(asked.done)
			continue
		}
		if soft.Err() != nil {
			return
		}
		if err == nil {
			continue // the filter is to be asked again
		}
		if progress {
			retry.reset()
		}
		wait := retry.next(err)
		now := r.now()
		r.metrics.SinkFailure(r.Feed, r.Sink, intel.AsFailure(err).Kind)
		r.health.fail(r.log, "delivery", err, now, now.Add(wait))
		p.enter("waits to try again", wait)
		pause, cancel := context.WithTimeout(soft, wait)
		if asked := r.await(pause.Done(), nil); asked != nil {
			p.enter("does what a command asked for", replicaWide)
			asked.do()
			close(asked.done)
		}
		cancel()
	}
}

// loop is the route's name among the loops that are watched.
func (r *routeLoop) loop() string { return "deliver " + r.Feed + " to " + r.Sink }

// until ends soft sooner when the route's filter is volatile.
func (r *routeLoop) until(soft context.Context) (context.Context, context.CancelFunc) {
	if r.volatile() {
		return context.WithDeadline(soft, r.now().UTC().Truncate(rewalk).Add(rewalk))
	}
	return context.WithCancel(soft)
}

// await blocks until one of two things has happened, or the loop is asked to
// interrupt itself.
func (r *routeLoop) await(one, other <-chan struct{}) *interrupt {
	select {
	case <-one:
	case <-other:
	case i := <-r.interrupts:
		return &i
	}
	return nil
}

// between runs do while nothing of the route is in flight, or reports false
// when ctx ends before that.
func (r *routeLoop) between(ctx context.Context, do func()) bool {
	i := interrupt{do: do, done: make(chan struct{})}
	select {
	case r.interrupts <- i:
		<-i.done
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *routeLoop) limits() (changes, inFlight int) {
	if l, ok := r.sink.Sink.(intel.Limiter); ok {
		changes, inFlight = l.BatchLimit()
	}
	if changes <= 0 || changes > batchChanges {
		changes = batchChanges
	}
	if inFlight <= 0 {
		inFlight = 2
	}
	return changes, min(inFlight, 8)
}

// fly hands a batch to the sink. It owns f until done is closed.
func (r *routeLoop) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	f.outcomes = make([]intel.Outcome, len(f.decisions))
	var batch []intel.Change
	var index []int
	var intents []replica.Intent
	keyer, _ := r.sink.Sink.(intel.Keyer)
	for i := range f.decisions {
		if c := f.decisions[i].change; c != nil {
			if keyer != nil && c.Action == intel.Upsert {
				for _, ref := range keyer.AlsoHeld(c) {
					f.decisions[i].also = append(f.decisions[i].also, ref.String())
				}
			}
			batch = append(batch, *c)
			index = append(index, i)
			intents = append(intents, f.decisions[i].intent())
		}
	}
	if len(batch) == 0 {
		return
	}
	p := r.pulses.begin(r.loop())
	defer p.end()
	// Noted before it is sent: whatever then becomes of the request, the answer
	// or this process, what may have arrived can be withdrawn.
	if f.intent, f.err = r.store.Intend(ctx, r.row, intents); f.err != nil {
		return
	}
	ctx = p.call(ctx, "hands a batch to the sink")
	started := time.Now()
	var outcomes []intel.Outcome
	outcomes, f.err = r.offer(ctx, batch)
	var withdraw []intel.Change
	for k, i := range index {
		if k < len(outcomes) {
			f.outcomes[i] = outcomes[k]
		}
		// The sink can not hold the new version: the one it holds must go.
		if d := &f.decisions[i]; f.outcomes[i].Status == intel.Skipped && d.change.Action == intel.Upsert && holds(d.record.Ledger) {
			w := *d.change
			w.Action, w.Reason, w.Remove = intel.Withdraw, intel.ReasonUnsupported, refs(d.record.Ledger)
			withdraw = append(withdraw, w)
			if f.err != nil {
				f.outcomes[i] = intel.Outcome{} // not withdrawn yet, so not settled either
			}
		}
	}
	if f.err == nil && len(withdraw) > 0 {
		ctx = p.call(ctx, "hands withdrawals to the sink")
		f.err = r.withdrawSkipped(ctx, f, withdraw)
	}
	if f.err == nil {
		r.metrics.Batch(r.Feed, r.Sink, len(batch), time.Since(started))
		r.health.ok(r.log, "delivery", r.now())
	}
}

// withdrawSkipped removes the held versions of indicators whose new version
// the sink can not hold; until that has succeeded their outcome is unknown.
func (r *routeLoop) withdrawSkipped(ctx context.Context, f *flight, batch []intel.Change) error {
	outcomes, err := r.offer(ctx, batch)
	bySeq := make(map[int64]intel.Outcome, len(batch))
	for k := range batch {
		var o intel.Outcome
		if k < len(outcomes) {
			o = outcomes[k]
		}
		bySeq[batch[k].Seq] = o
	}
	for i := range f.decisions {
		c := f.decisions[i].change
		if c == nil {
			continue
		}
		if o, ok := bySeq[c.Seq]; ok && o.Status != intel.Delivered && o.Status != intel.Skipped {
			f.outcomes[i] = o
		}
	}
	return err
}

// checked holds a sink to its contract: an outcome for every change, none
// unknown unless it reports a failure.
func checked(sink string, n int, outcomes []intel.Outcome, err error) error {
	if err != nil {
		return err
	}
	if len(outcomes) != n {
		return intel.Fail(intel.FailProtocol, "sink %s: reported %d outcomes for %d changes", sink, len(outcomes), n)
	}
	for i := range outcomes {
		if outcomes[i].Status == intel.Unknown {
			return intel.Fail(intel.FailProtocol, "sink %s: left the outcome of change %d of %d open", sink, i+1, n)
		}
	}
	return nil
}
