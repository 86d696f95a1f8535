package elasticsearch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// attempts bounds how often what a server that accepts other documents is too
// busy for is offered again before the engine's back-off takes over.
const attempts = 4

// delivery is one call of [Sink.Deliver].
type delivery struct {
	sink     *Sink
	batch    []intel.Change
	states   []state
	bulk     *bulk
	accepted int // operations that the server took
	suspects []suspect
}

// state is what is known of one change.
type state struct {
	complete bool // all its operations have been handed to the server
	pending  int  // operations whose fate is not known
	outcome  intel.Outcome
	held     []intel.Ref
}

// Deliver sends the batch as bulk requests, see [intel.Sink].
func (s *Sink) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	outcomes := make([]intel.Outcome, len(batch))
	if len(batch) == 0 {
		return outcomes, nil
	}
	if err := s.prepare(ctx); err != nil {
		return outcomes, s.fail("prepare", err)
	}
	d := &delivery{sink: s, batch: batch, states: make([]state, len(batch)), bulk: s.bulks.Get().(*bulk)}
	d.bulk.reset()
	defer s.release(d.bulk)
	err := d.run(ctx)
	for i := range outcomes {
		outcomes[i] = d.outcome(i)
	}
	if err != nil {
		// Whatever it was, the template may be gone with it.
		s.unprepare()
		return outcomes, s.fail("deliver", err)
	}
	return outcomes, nil
}

func (d *delivery) run(ctx context.Context) error {
	for i := range d.batch {
		c := &d.batch[i]
		st := &d.states[i]
		if c.Action == intel.Upsert {
			if reason := unsearchable(c.Indicator); reason != "" {
				st.outcome = intel.Outcome{Status: intel.Skipped, Reason: reason}
				continue
			}
		}
		err := d.bulk.addChange(&d.sink.encoder, i, c, func() error {
			st.pending++
			return d.flush(ctx, false)
		})
		if err != nil {
			return err
		}
		st.complete = true
	}
	if err := d.flush(ctx, true); err != nil {
		return err
	}
	return d.convict()
}

// outcome concludes what became of a change.
func (d *delivery) outcome(i int) intel.Outcome {
	st := &d.states[i]
	switch {
	case st.outcome.Status == intel.Skipped:
		return st.outcome
	case !st.complete || st.pending > 0:
		return intel.Outcome{}
	case st.outcome.Status == intel.Rejected:
		st.outcome.Held = st.held
		return st.outcome
	}
	return intel.Outcome{Status: intel.Delivered}
}

// flush sends what has gathered when it fills a request, or all.
func (d *delivery) flush(ctx context.Context, all bool) error {
	b := d.bulk
	limit := int(d.sink.maxBytes.Load())
	for len(b.ops) > 0 && (all || len(b.ops) >= d.sink.maxDocuments || len(b.buf) >= limit) {
		// The operation that went over the limit waits for the next request.
		n := min(len(b.ops), d.sink.maxDocuments)
		for n > 1 && b.ops[n-1].end > limit {
			n--
		}
		if err := d.send(ctx, b.part(0, n)); err != nil {
			return err
		}
		b.drop(n)
	}
	return nil
}

// send delivers the operations of b, halving the request where it is too large
// as a whole, and repeating the part that the server asks to be repeated.
func (d *delivery) send(ctx context.Context, b bulk) error {
	for attempt := 1; ; attempt++ {
		before := d.accepted
		again, waiting, err := d.exchange(ctx, &b)
		var whole *refusal
		switch {
		case errors.As(err, &whole):
			return d.divide(ctx, &b, whole)
		case err != nil:
			return err
		case len(again) == 0:
			return nil
		}
		if waiting != nil {
			// A server that took nothing at all is not to be pressed.
			if d.accepted == before || attempt >= attempts {
				return waiting
			}
			pause := time.Duration(attempt*attempt) * 100 * time.Millisecond
			if err := d.sink.pause(ctx, pause+rand.N(pause)); err != nil {
				return err
			}
		}
		b = b.again(again)
	}
}

// refusal is the error of a request that the server refused as a whole for
// what is in it.
type refusal struct {
	outcome intel.Outcome
	err     *intel.Failure
}

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

// divide sends the halves of a refused request, down to the single operation
// that is to blame.
func (d *delivery) divide(ctx context.Context, b *bulk, why *refusal) error {
	if n := len(b.ops); n > 1 {
		first, second := b.part(0, n/2), b.part(n/2, n)
		if err := d.send(ctx, first); err != nil {
			return err
		}
		return d.send(ctx, second)
	}
	o := b.ops[0]
	d.suspects = append(d.suspects, suspect{op: o, why: why, lines: slices.Clone(b.lines(&o))})
	return nil
}

// suspect is a single operation for which the server refused the request.
type suspect struct {
	op    op
	why   *refusal
	lines []byte
}

// convict rejects the suspects, unless the server refused one request after
// another and took nothing: then something is wrong with all of them, and none
// is given up.
func (d *delivery) convict() error {
	if d.accepted == 0 && len(d.suspects) > 1 {
		return d.suspects[0].why.err
	}
	for i := range d.suspects {
		s := &d.suspects[i]
		d.reject(&s.op, s.why.outcome.Reason, s.why.outcome.Detail, s.lines)
	}
	return nil
}

// exchange makes one bulk request and settles what the reply tells. again are
// the operations to repeat; waiting is set when the server was too busy for
// some of them.
func (d *delivery) exchange(ctx context.Context, b *bulk) (again []op, waiting *intel.Failure, err error) {
	body := b.body()
	status, reply, err := d.sink.postBulk(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	if status < 200 || status > 299 {
		err := wholeFailure(d.sink, status, reply)
		var whole *refusal
		if errors.As(err, &whole) && whole.outcome.Reason == tooLarge && len(b.ops) > 1 {
			d.sink.lowerLimit(len(body) / 2)
		}
		return nil, nil, err
	}

	n := 0
	var fault *intel.Failure
	perr := parseReply(reply.body, func(it *item) bool {
		if n >= len(b.ops) {
			fault = intel.Fail(intel.FailProtocol, "the reply has more items than the %d operations sent", len(b.ops))
			return false
		}
		o := &b.ops[n]
		want := "index"
		if o.remove {
			want = "delete"
		}
		if id := string(b.buf[o.id[0]:o.id[1]]); it.action != want || it.id != id && !strings.ContainsRune(it.id, '\\') && !strings.ContainsRune(id, '\\') {
			fault = intel.Fail(intel.FailProtocol, "item %d of the reply is of %s %q, where %s %q was sent", n+1, it.action, it.id, want, id)
			return false
		}
		n++
		again, waiting, fault = d.settle(b, o, it, again, waiting, fault)
		return true
	})
	switch {
	case perr != nil:
		return nil, nil, intel.Fail(intel.FailProtocol, "the reply can not be read: %w", perr).
			WithHint("something between here and Elasticsearch may have cut or replaced it")
	case fault != nil:
		return nil, nil, fault
	case n < len(b.ops):
		return nil, nil, intel.Fail(intel.FailProtocol, "the reply has %d items for %d operations", n, len(b.ops))
	}
	return again, waiting, nil
}

// settle records what an item says of an operation. It returns its last three
// parameters, perhaps with the operation added to those to repeat.
func (d *delivery) settle(b *bulk, o *op, it *item, again []op, waiting, fault *intel.Failure) ([]op, *intel.Failure, *intel.Failure) {
	switch judge(it, o.remove) {
	case accepted:
		d.accept(o)
	case conflict:
		current, ok := conflictVersion(it.err)
		switch {
		case ok && current > o.version && sameModified(current, o.version) && o.tries < 3:
			// The same version of the indicator, written in between by a refresh, by hand
			// or under another clock: what is to be written now is newer than that.
			repeat := *o
			repeat.version = current
			repeat.tries++
			again = append(again, repeat)
		default:
			d.accept(o) // a newer version is there already
		}
	case refused:
		d.reject(o, refusedReason(it), refusedDetail(it, d.sink.secrets), b.lines(o))
	case busy:
		again = append(again, *o)
		if waiting == nil {
			waiting = itemFailure(d.sink, it)
		}
	case broken:
		if fault == nil {
			fault = itemFailure(d.sink, it)
		}
	}
	return again, waiting, fault
}

func (d *delivery) accept(o *op) {
	d.accepted++
	st := &d.states[o.change]
	st.pending--
	if !o.remove && o.ref != (intel.Ref{}) && len(d.batch[o.change].Indicator.Observables) > 1 {
		st.held = append(st.held, o.ref)
	}
}

func (d *delivery) reject(o *op, reason, detail string, lines []byte) {
	st := &d.states[o.change]
	st.pending--
	if st.outcome.Status != intel.Rejected {
		st.outcome = intel.Outcome{Status: intel.Rejected, Reason: reason, Detail: detail}
	}
	const limit = 64 << 10 // an indicator of many observables may have as many refusals
	if len(st.outcome.Sent) < limit {
		st.outcome.Sent = append(st.outcome.Sent, lines[:min(len(lines), limit)]...)
	}
}
