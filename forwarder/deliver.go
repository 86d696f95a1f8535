package forwarder

import (
	"context"
	"slices"
	"sync"
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
	wake       chan struct{} // holds at most one token: there may be changes
	interrupts chan interrupt
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
	retry := backoff{floor: time.Second, ceiling: 5 * time.Minute}
	for soft.Err() == nil {
		var progress bool
		var err error
		ctx, stop := r.until(soft)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			progress, err = r.session(ctx, hard)
		}()
		asked := r.await(ended, soft.Done())
		stop()
		<-ended
		if asked != nil {
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
		pause, cancel := context.WithTimeout(soft, wait)
		if asked := r.await(pause.Done(), nil); asked != nil {
			asked.do()
			close(asked.done)
		}
		cancel()
	}
}

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

// flight is a batch between being read from the replica and being recorded.
type flight struct {
	decisions []decision
	through   int64 // the cursor's place once this batch and all before it are settled
	retries   bool  // dead letters offered again; they do not move the cursor
	intent    int64 // of the replica, once it may have been sent
	outcomes  []intel.Outcome
	done      chan struct{} // closed when outcomes and err are final
	err       error
}

// session reads batches above the cursor and keeps some in flight until soft
// ends or the destination fails. It returns the failure, and whether anything
// was delivered before it.
func (r *routeLoop) session(soft, hard context.Context) (progress bool, err error) {
	reading, stop := context.WithCancel(soft)
	defer stop()
	changes, inFlight := r.limits()
	s := &session{
		loop:    r,
		changes: changes,
		slots:   make(chan struct{}, inFlight),
		order:   make(chan *flight, inFlight),
	}
	var readErr error
	go func() {
		defer close(s.order)
		readErr = s.read(reading, hard)
	}()

	var next *flight
	for {
		f := next
		next = nil
		if f == nil {
			var ok bool
			if f, ok = <-s.order; !ok {
				break
			}
		}
		<-f.done
		batches := []*flight{f}
		batches, next = s.alsoDone(batches)
		for _, b := range batches {
			if b.err != nil && err == nil {
				err = b.err
				stop()
			}
		}
		// Even after a failure what is known is recorded, so that it is not sent
		// again; only the cursor stays before the first batch that failed. A stop
		// does not cancel this: what was delivered must not be forgotten.
		if serr := r.settle(context.WithoutCancel(hard), batches, err != nil); serr != nil {
			if err == nil {
				err = serr
			}
			stop()
		} else if err == nil {
			progress = true
		}
		for _, b := range batches {
			s.airborne.remove(b.decisions)
			<-s.slots
		}
	}
	if err == nil {
		err = readErr
	}
	return progress, err
}

// session is the part of a delivery loop between two failures.
type session struct {
	loop     *routeLoop
	changes  int           // most changes in a batch
	slots    chan struct{} // one token per batch that is read and not yet recorded
	order    chan *flight  // batches in the order read
	airborne oidSet
}

// alsoDone adds to batches those that follow and are done as well, so that
// they share a transaction; next is the first that is not.
func (s *session) alsoDone(batches []*flight) (done []*flight, next *flight) {
	for len(batches) < settleAtOnce {
		select {
		case f, ok := <-s.order:
			if !ok {
				return batches, nil
			}
			select {
			case <-f.done:
				batches = append(batches, f)
			default:
				return batches, f
			}
		default:
			return batches, nil
		}
	}
	return batches, nil
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

// read turns records above the cursor into flights and starts them.
func (s *session) read(ctx, hard context.Context) error {
	r := s.loop
	cursor, err := r.cursor(ctx)
	if err != nil {
		return err
	}
	if n, err := r.store.Recover(ctx, r.row); err != nil {
		return err
	} else if n > 0 {
		r.log.Info("the last run ended while requests were under way; what they may have delivered is offered again", "indicators", n)
	}
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		f, err := s.next(ctx, &cursor)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if f == nil {
			return nil
		}
		s.airborne.add(f.decisions)
		s.order <- f // never blocks: a slot was taken
		go r.fly(hard, f)
	}
}

// next waits for changes above cursor, moves it past them and returns what to
// do about them; nil when ctx ends first.
func (s *session) next(ctx context.Context, cursor *int64) (*flight, error) {
	r := s.loop
	for ctx.Err() == nil {
		recs, through, err := r.store.Changes(ctx, r.row, *cursor, s.changes, batchBytes)
		if err != nil {
			return nil, err
		}
		retries := false
		if len(recs) == 0 && through == *cursor {
			if recs, err = r.store.Retries(ctx, r.row, s.changes); err != nil {
				return nil, err
			}
			// Letters that are being retried right now are still queued.
			recs = s.airborne.absent(recs)
			retries = len(recs) > 0
		}
		if len(recs) == 0 && through == *cursor {
			if !r.caughtUp.Swap(true) {
				r.log.Debug("delivered everything so far")
			}
			select {
			case <-r.wake:
			case <-ctx.Done():
			}
			continue
		}
		r.caughtUp.Store(false)
		// An object changed again while its last change is in flight: two requests
		// about it could overtake each other, so the later one waits.
		if !s.airborne.wait(ctx, recs) {
			break
		}
		now := r.now()
		f := &flight{retries: retries, done: make(chan struct{}), decisions: make([]decision, len(recs))}
		for i := range recs {
			if retries && recs[i].Ledger != nil {
				recs[i].Ledger.Replay = true
			}
			f.decisions[i] = decide(r.Feed, r.Where, recs[i], now)
		}
		if !retries {
			*cursor, f.through = through, through
		}
		return f, nil
	}
	return nil, nil
}

// cursor reads the cursor anew: a replay may have moved it.
func (r *routeLoop) cursor(ctx context.Context) (int64, error) {
	row, err := r.store.OpenRoute(ctx, r.Feed, r.Sink, r.fingerprint(r.now()))
	if err != nil {
		return 0, err
	}
	r.row = row
	return row.Cursor, nil
}

// fly hands a batch to the sink. It owns f until done is closed.
func (r *routeLoop) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	f.outcomes = make([]intel.Outcome, len(f.decisions))
	var batch []intel.Change
	var index []int
	var intents []replica.Intent
	for i := range f.decisions {
		if c := f.decisions[i].change; c != nil {
			batch = append(batch, *c)
			index = append(index, i)
			intents = append(intents, f.decisions[i].intent())
		}
	}
	if len(batch) == 0 {
		return
	}
	// Noted before it is sent: whatever then becomes of the request, the answer
	// or this process, what may have arrived can be withdrawn.
	if f.intent, f.err = r.store.Intend(ctx, r.row, intents); f.err != nil {
		return
	}
	started := time.Now()
	outcomes, err := r.sink.Deliver(ctx, batch)
	f.err = checked(r.Sink, len(batch), outcomes, err)
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
		}
	}
	if f.err == nil && len(withdraw) > 0 {
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
	outcomes, err := r.sink.Deliver(ctx, batch)
	err = checked(r.Sink, len(batch), outcomes, err)
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

// oidSet is the set of objects in flight.
type oidSet struct {
	mu     sync.Mutex
	oids   map[int64]struct{}
	landed chan struct{} // closed and replaced at every removal
}

// wait returns true once none of recs is in flight, false when ctx ends first.
func (s *oidSet) wait(ctx context.Context, recs []replica.Record) bool {
	for {
		s.mu.Lock()
		clash := false
		for i := range recs {
			if _, ok := s.oids[recs[i].OID]; ok {
				clash = true
				break
			}
		}
		if !clash {
			s.mu.Unlock()
			return true
		}
		if s.landed == nil {
			s.landed = make(chan struct{})
		}
		landed := s.landed
		s.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			return false
		}
	}
}

// absent returns those of recs that are not in flight.
func (s *oidSet) absent(recs []replica.Record) []replica.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(recs, func(rec replica.Record) bool {
		_, ok := s.oids[rec.OID]
		return ok
	})
}

func (s *oidSet) add(ds []decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oids == nil {
		s.oids = make(map[int64]struct{})
	}
	for i := range ds {
		s.oids[ds[i].record.OID] = struct{}{}
	}
}

func (s *oidSet) remove(ds []decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ds {
		delete(s.oids, ds[i].record.OID)
	}
	if s.landed != nil {
		close(s.landed)
		s.landed = nil
	}
}
