package splunk

import (
	"context"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// windowBytes is how much of a batch is encoded at a time, so that memory does
// not grow with the batch or with an indicator of thousands of observables.
const windowBytes = 4 << 20

// maxSent bounds Outcome.Sent.
const maxSent = 64 << 10

// delivery is one Deliver.
type delivery struct {
	s        *Sink
	ch       *channel
	batch    []intel.Change
	outcomes []intel.Outcome
	tracks   []track

	next int     // the next change to encode
	it   *events // the change being encoded, if it did not fit into the window

	*window

	accepted int  // events so far
	probed   bool // see [delivery.reject]
	resends  int  // see [delivery.lost]
}

// window is the part of a batch that is encoded and not settled yet.
type window struct {
	buf     []byte
	events  []event
	todo    []span // what is to be sent; a stack, so that the order is kept
	unacked []unacked
}

var windows = sync.Pool{New: func() any { return new(window) }}

// track is what is known of one change.
type track struct {
	open    int           // events not settled
	encoded bool          // all events are encoded
	final   intel.Outcome // the outcome if no event is refused; set when encoded

	refused        []intel.Ref // the events that were
	reason, detail string      // the first refusal
	sent           []byte
}

// event is one event of the window.
type event struct {
	start, end int
	change     int
	item       item
}

// span is a run of events of the window.
type span struct {
	from, to int
	// suspect is the size of the request in which the span's first event was
	// refused in a way that can also mean that the request was too large.
	suspect int
}

type unacked struct {
	span
	id int64
}

func newDelivery(s *Sink, batch []intel.Change) *delivery {
	return &delivery{
		s: s, ch: s.acquire(), batch: batch, window: windows.Get().(*window),
		outcomes: make([]intel.Outcome, len(batch)),
		tracks:   make([]track, len(batch)),
	}
}

func (d *delivery) release() {
	if d.it != nil {
		d.it.release()
	}
	if len(d.unacked) == 0 && !d.ch.moved {
		d.s.giveBack(d.ch)
	}
	if w := d.window; cap(w.buf) <= 2*windowBytes {
		clear(w.events[:cap(w.events)])
		w.buf, w.events, w.todo, w.unacked = w.buf[:0], w.events[:0], w.todo[:0], nil
		windows.Put(w)
	}
}

// fill encodes the next window; it returns false when nothing is left.
func (d *delivery) fill() bool {
	d.buf, d.events = d.buf[:0], d.events[:0]
	for len(d.buf) < windowBytes {
		if d.it == nil {
			if d.next == len(d.batch) {
				break
			}
			d.it = d.s.encoder.start(&d.batch[d.next])
			d.next++
		}
		start, change := len(d.buf), d.next-1
		buf, it, ok := d.it.next(d.buf)
		if ok {
			d.buf = append(buf, '\n')
			d.events = append(d.events, event{start: start, end: len(d.buf), change: change, item: it})
			d.tracks[change].open++
			continue
		}
		t := &d.tracks[change]
		t.final, t.encoded = d.it.outcome(), true
		d.it.release()
		d.it = nil
		if t.open == 0 { // there was none, or all were in earlier windows
			d.finish(change)
		}
	}
	if len(d.events) == 0 {
		return false
	}
	d.todo = append(d.todo[:0], span{from: 0, to: len(d.events)})
	return true
}

// drain settles every event of the window, or returns why it can not.
func (d *delivery) drain(ctx context.Context) error {
	for {
		for len(d.todo) > 0 {
			sp := d.todo[len(d.todo)-1]
			d.todo = d.todo[:len(d.todo)-1]
			sp = d.cut(sp)
			a, err := d.s.send(ctx, d.ch, d.bytes(sp), sp.to-sp.from)
			if len(d.unacked) == 0 {
				d.ch.moved = false // nothing of ours was left behind
			}
			if err == nil {
				err = d.handle(ctx, sp, a)
			}
			if err != nil {
				return err
			}
		}
		if len(d.unacked) == 0 {
			return nil
		}
		if err := d.awaitAcks(ctx); err != nil {
			return err
		}
	}
}

// cut shortens sp to what one request may hold and puts the rest back.
func (d *delivery) cut(sp span) span {
	limit := int(d.s.maxBytes.Load())
	to := sp.from + 1
	for to < sp.to && to-sp.from < d.s.maxEvents && d.events[to].end-d.events[sp.from].start <= limit {
		to++
	}
	if to < sp.to {
		d.todo = append(d.todo, span{from: to, to: sp.to})
		sp.to = to
	}
	return sp
}

func (d *delivery) bytes(sp span) []byte {
	return d.buf[d.events[sp.from].start:d.events[sp.to-1].end]
}

// handle draws the consequences of an answer.
func (d *delivery) handle(ctx context.Context, sp span, a answer) error {
	n := sp.to - sp.from
	switch a.verdict {
	case accepted:
		if sp.suspect > 0 {
			// Alone it was fine, so it was the size (Splunk Cloud says code 6, event 0).
			d.s.shrink(sp.suspect)
		}
		if err := d.accept(sp, a); err != nil {
			return err
		}
		if a.slow {
			return d.wait(ctx, d.s.times.slow)
		}
		return nil

	case poisoned:
		bad := sp.from + a.bad
		d.push(bad+1, sp.to)
		if a.code == codeInvalidFormat && a.bad == 0 && n > 1 {
			d.todo = append(d.todo, span{from: bad, to: bad + 1, suspect: len(d.bytes(sp))})
			return nil
		}
		if err := d.accept(span{from: sp.from, to: bad}, a); err != nil {
			return err
		}
		return d.reject(ctx, bad, a)

	case refused, tooLarge:
		if n == 1 {
			return d.reject(ctx, sp.from, a)
		}
		if a.verdict == tooLarge {
			d.s.shrink(len(d.bytes(sp)))
		}
		half := sp.from + n/2
		d.push(half, sp.to)
		d.push(sp.from, half)
		return nil
	}
	if err := d.accept(span{from: sp.from, to: sp.from + a.bad}, a); err != nil {
		return err
	}
	return a.fail
}

func (d *delivery) push(from, to int) {
	if from < to {
		d.todo = append(d.todo, span{from: from, to: to})
	}
}

// wait pauses, or returns why it can not.
func (d *delivery) wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return intel.Fail(intel.FailTimeout, "deliver to splunk: %w", context.Cause(ctx))
	}
}
