package forwarder

import (
	"context"

	"taxii-forwarder/forwarder/intel"
)

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

	p := r.pulses.begin(r.loop())
	defer p.end()
	var next *flight
	for {
		p.enter("waits for batches under way", forever)
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
		p.enter("records outcomes", 0)
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
		if err == nil && r.health.failing() {
			r.wakeUp() // what failed may have been all there was to do
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
	pulse    *pulse // of what reads
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

// read turns records above the cursor into flights and starts them.
func (s *session) read(ctx, hard context.Context) error {
	r := s.loop
	s.pulse = r.pulses.begin(r.loop())
	defer s.pulse.end()
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
		s.pulse.enter("waits for batches under way", forever)
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
		s.airborne.reading()
		s.pulse.enter("reads changes", 0)
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
			if s.airborne.empty() {
				if r.health.idle(r.log, "delivery", r.now()) {
					r.metrics.SinkIdle(r.Feed, r.Sink)
				}
			}
			s.pulse.enter("waits for changes", forever)
			select {
			case <-r.wake:
			case <-ctx.Done():
			}
			continue
		}
		r.caughtUp.Store(false)
		// An object changed again while its last change was in flight: two requests
		// about it could overtake each other, and what was read of it does not know
		// yet what became of the first. It is read again once that is settled.
		s.pulse.enter("waits for batches under way", forever)
		fresh, ok := s.airborne.wait(ctx, recs)
		if !ok {
			break
		}
		if !fresh {
			continue
		}
		s.pulse.enter("decides about changes", 0)
		now := r.now()
		f := &flight{retries: retries, done: make(chan struct{}), decisions: make([]decision, len(recs))}
		for i := range recs {
			if retries && recs[i].Ledger != nil {
				recs[i].Ledger.Replay = true
			}
			f.decisions[i] = r.decide(recs[i], now)
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
