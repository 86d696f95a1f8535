package splunk

import (
	"context"

	"taxii-forwarder/forwarder/intel"
)

// accept notes that HEC took the events of sp.
func (d *delivery) accept(sp span, a answer) error {
	n := sp.to - sp.from
	if n == 0 {
		return nil
	}
	d.accepted += n
	waits := d.s.ack != AckOff && !d.s.ackIgnored.Load()
	switch {
	case waits && a.hasAck:
		d.s.ackOn.Store(true)
		d.unacked = append(d.unacked, unacked{span{from: sp.from, to: sp.to}, a.ackID})
		return nil
	case d.s.ack == AckRequired && a.verdict == accepted:
		d.s.ackProven.Store(false)
		return ackMissing()
	case a.verdict == accepted:
		d.s.ackOn.Store(false)
	case waits && (d.s.ackOn.Load() || d.s.ack == AckRequired):
		// A part was accepted, and nothing given to ask about it with: a crash of
		// the indexer could lose it unnoticed. Better twice than never.
		d.push(sp.from, sp.to)
		return nil
	}
	d.settle(sp)
	return nil
}

func (d *delivery) settle(sp span) {
	for i := sp.from; i < sp.to; i++ {
		d.close(d.events[i].change)
	}
}

// reject makes the change of event i Rejected.
func (d *delivery) reject(ctx context.Context, i int, a answer) error {
	if d.accepted == 0 && !d.probed && a.verdict != tooLarge {
		// Before an event is given up on while nothing was accepted, make sure that
		// requests arrive as they were sent: a proxy that drops Content-Encoding
		// makes every event an invalid one.
		d.probed = true
		if err := d.s.probe(ctx, d.ch, a); err != nil {
			return err
		}
	}
	ev := &d.events[i]
	t := &d.tracks[ev.change]
	if len(t.refused) == 0 {
		t.reason, t.detail = a.reason(), a.detail()
	}
	if room := maxSent - len(t.sent); room > 0 {
		sent := d.buf[ev.start:ev.end]
		t.sent = append(t.sent, sent[:min(len(sent), room)]...)
	}
	t.refused = append(t.refused, ev.item.ref)
	d.close(ev.change)
	return nil
}

// close counts one event of a change as settled.
func (d *delivery) close(change int) {
	t := &d.tracks[change]
	t.open--
	if t.open == 0 && t.encoded {
		d.finish(change)
	}
}

// finish sets the outcome of a change whose events are all settled.
func (d *delivery) finish(change int) {
	t := &d.tracks[change]
	d.outcomes[change] = t.final
	if len(t.refused) > 0 {
		d.outcomes[change] = intel.Outcome{
			Status: intel.Rejected, Reason: t.reason, Detail: t.detail, Sent: t.sent, Held: d.held(change),
		}
	}
	*t = track{encoded: true}
}

// held returns what was accepted of an upsert of which some was refused.
func (d *delivery) held(change int) []intel.Ref {
	if d.batch[change].Action != intel.Upsert {
		return nil
	}
	refused := make(map[intel.Ref]bool)
	for _, ref := range d.tracks[change].refused {
		refused[ref] = true
	}
	it := d.s.encoder.start(&d.batch[change])
	defer it.release()
	var held []intel.Ref
	for scratch := []byte(nil); ; {
		out, item, ok := it.next(scratch[:0])
		if !ok {
			return held
		}
		if item.action == intel.Upsert && !refused[item.ref] {
			held = append(held, item.ref)
		}
		scratch = out
	}
}
