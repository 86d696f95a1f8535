package forwarder

import (
	"context"
	"slices"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

// settle records what became of batches, in one transaction, and moves the
// cursor past them unless held is set: then one of them, or one before them,
// has to be offered again.
func (r *routeLoop) settle(ctx context.Context, batches []*flight, held bool) error {
	now := r.now()
	var cursor int64
	var rows []replica.Settlement
	var intents []int64
	var t tally
	for _, f := range batches {
		if f.intent != 0 {
			intents = append(intents, f.intent)
		}
		for i := range f.decisions {
			d := &f.decisions[i]
			s := replica.Settlement{Seq: d.record.Seq, OID: d.record.OID}
			switch {
			case d.dead != nil:
				d.dead.Feed, d.dead.Sink, d.dead.STIXID = r.Feed, r.Sink, d.record.ID
				d.dead.OID, d.dead.Seq, d.dead.Version, d.dead.Time = d.record.OID, d.record.Seq, d.record.Version, now
				s.Dead = d.dead
				s.Entry = &replica.Entry{Version: d.record.Version, Digest: d.digest, Status: intel.Rejected, Reason: d.dead.Reason, First: now, Last: now}
				if holds(d.record.Ledger) {
					s.Entry.Refs, s.Entry.First = d.record.Ledger.Refs, d.record.Ledger.First
				}
				t.reject(d.dead.Reason)
			case d.forget:
				s.Entry = d.forgotten(now)
			case d.change == nil && f.retries:
				// Nothing to send any more; off the queue all the same.
				if d.record.Ledger != nil {
					s.Entry = d.unchanged()
				}
			case d.change == nil:
				continue
			default:
				out := f.outcomes[i]
				if out.Status == intel.Unknown && f.intent == 0 {
					continue // it was not sent
				}
				s.Entry, s.Open = d.entry(out, now), out.Status == intel.Unknown
				t.count(d.change.Action, out)
				if out.Status == intel.Rejected {
					s.Dead = &replica.DeadLetter{
						Feed: r.Feed, Sink: r.Sink, STIXID: d.record.ID, OID: d.record.OID, Seq: d.record.Seq,
						Version: d.record.Version, Time: now, Reason: out.Reason, Detail: out.Detail,
						Sent: clip(out.Sent), Raw: d.record.Raw,
					}
				}
			}
			rows = append(rows, s)
		}
		if !f.retries {
			cursor = f.through
		}
	}
	if held {
		cursor = 0
	}
	if len(rows) == 0 && cursor == 0 && len(intents) == 0 {
		return nil
	}
	if err := r.store.Settle(ctx, r.row, cursor, rows, intents...); err != nil {
		return err
	}
	t.report(r)
	return nil
}

// clip bounds what a dead letter keeps of a request.
func clip(b []byte) []byte { return slices.Clip(b[:min(len(b), 16<<10)]) }

// tally counts the outcomes of some batches for metrics and log.
type tally struct {
	delivered map[intel.Action]int
	skipped   map[string]int
	rejected  map[string]int
}

func bump[K comparable](m *map[K]int, k K) {
	if *m == nil {
		*m = make(map[K]int)
	}
	(*m)[k]++
}

func (t *tally) reject(reason string) { bump(&t.rejected, reason) }

func (t *tally) count(a intel.Action, out intel.Outcome) {
	switch out.Status {
	case intel.Delivered:
		bump(&t.delivered, a)
	case intel.Skipped:
		bump(&t.skipped, out.Reason)
	case intel.Rejected:
		t.reject(out.Reason)
	}
}

func (t *tally) report(r *routeLoop) {
	for a, n := range t.delivered {
		r.metrics.Delivered(r.Feed, r.Sink, a, n)
	}
	for reason, n := range t.skipped {
		r.metrics.Skipped(r.Feed, r.Sink, reason, n)
	}
	for reason, n := range t.rejected {
		r.metrics.Rejected(r.Feed, r.Sink, reason, n)
		r.rejected.Add(int64(n))
		r.log.Warn("destination refused indicators; see dead-letters list", "reason", reason, "count", n)
	}
	if len(t.delivered) > 0 || len(t.skipped) > 0 {
		r.log.Debug("batch settled", "upserts", t.delivered[intel.Upsert], "withdrawals", t.delivered[intel.Withdraw], "skipped", t.skipped, "rejected", t.rejected)
	}
}
