package forwarder

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/stix"
)

// decision is what a route does about one record of the replica.
type decision struct {
	record replica.Record
	digest uint64
	// change is what the sink is given; nil = the destination is in step already.
	change *intel.Change
	// also are the keys besides its observables' that the sink holds the change's
	// indicator under; see [intel.Keyer].
	also []string
	// forget: the ledger row says nothing any more and can go.
	forget bool
	// dead is set for a record that can not even be made into a change.
	dead *replica.DeadLetter
}

// decide compares the newest version of an indicator with what the route has
// delivered of it. It is a pure function: the same record gives the same
// decision, which is what makes walking a route again from the start quiet.
func decide(feed string, where Filter, rec replica.Record, now time.Time) decision {
	d := decision{record: rec}
	held := holds(rec.Ledger)
	if rec.State != replica.Current && !held {
		// Nothing was sent, so there is nothing to withdraw.
		d.forget = rec.Ledger != nil && !withdrawn(rec.Ledger)
		return d
	}
	d.digest = digest(&rec)
	if rec.State == replica.Current && rec.Ledger != nil && !rec.Ledger.Replay && rec.Ledger.Digest == d.digest && where == nil && !lapses(rec.Raw) {
		return d // settled before in this very form; the common case of a route walked again
	}

	ind, _, err := stix.DecodeIndicator(rec.Raw)
	if err != nil {
		d.dead = &replica.DeadLetter{Reason: "undecodable", Detail: err.Error(), Raw: rec.Raw}
		return d
	}
	ind.Feed, ind.Collection = feed, rec.Collection
	stix.Enrich(ind, rec.Context)
	stix.Derive(ind)

	reason, wanted := verdict(ind, rec.State, where, now)
	switch {
	case wanted && rec.Ledger != nil && !rec.Ledger.Replay && rec.Ledger.Digest == d.digest:
		return d
	case wanted:
		d.change = &intel.Change{Seq: rec.Seq, Action: intel.Upsert, Indicator: ind, At: now}
		if known(rec.Ledger) {
			d.change.FirstDelivered = rec.Ledger.First
			d.change.Remove = missing(refs(rec.Ledger), ind.Observables)
			d.change.Whole = whole(rec.Ledger)
		}
	case held:
		d.change = &intel.Change{
			Seq: rec.Seq, Action: intel.Withdraw, Reason: reason, Indicator: ind, At: now,
			Remove: refs(rec.Ledger), Whole: whole(rec.Ledger), FirstDelivered: rec.Ledger.First,
		}
	default:
		d.forget = rec.Ledger != nil && !withdrawn(rec.Ledger)
	}
	return d
}

// verdict says whether a destination should hold the indicator, and if not why.
func verdict(ind *intel.Indicator, state replica.State, where Filter, now time.Time) (intel.Reason, bool) {
	switch state {
	case replica.Revoked:
		return intel.ReasonRevoked, false
	case replica.Expired:
		return intel.ReasonExpired, false
	case replica.Gone:
		return intel.ReasonGone, false
	}
	switch {
	case ind.Revoked:
		return intel.ReasonRevoked, false
	case !ind.ValidUntil.IsZero() && !ind.ValidUntil.After(now):
		return intel.ReasonExpired, false
	case slices.Contains(ind.IndicatorTypes, "benign"):
		return intel.ReasonBenign, false
	case where != nil && !where.Match(ind):
		return intel.ReasonFiltered, false
	}
	return "", true
}

// holds reports whether the destination has, or may have, something of the
// indicator.
func holds(e *replica.Entry) bool {
	return e != nil && (e.Status == intel.Delivered || len(e.Refs) > 0)
}

// whole reports whether the destination has, or may have, the indicator from
// when it had no observables.
func whole(e *replica.Entry) bool {
	return holds(e) && (len(e.Refs) == 0 || slices.Contains(e.Refs, unobserved))
}

// withdrawn reports whether the destination had something of the indicator and
// has nothing any more. The row stays, so that should the indicator come back,
// the sink knows that it is not the first time.
func withdrawn(e *replica.Entry) bool {
	return e != nil && e.Status == intel.Unknown && len(e.Refs) == 0
}

// known reports whether the destination has, may have, or once had something
// of the indicator. A row of what it could not or would not take says so by a
// first delivery that is not the attempt itself.
func known(e *replica.Entry) bool {
	return holds(e) || withdrawn(e) || e != nil && !e.First.Equal(e.Last)
}

// lapses reports whether an object may have an end of validity, which time
// alone can bring about.
func lapses(raw []byte) bool {
	return bytes.Contains(raw, []byte(`"valid_until"`)) || bytes.Contains(raw, []byte("STOP"))
}

func refs(e *replica.Entry) []intel.Ref {
	out := make([]intel.Ref, 0, len(e.Refs))
	for _, s := range e.Refs {
		if r, ok := intel.ParseRef(s); ok {
			out = append(out, r)
		}
	}
	return out
}

// missing returns the refs that no observable has.
func missing(held []intel.Ref, now []intel.Observable) []intel.Ref {
	return slices.DeleteFunc(held, func(r intel.Ref) bool {
		return slices.ContainsFunc(now, func(o intel.Observable) bool { return o.Ref() == r })
	})
}

// digest identifies what a sink is told about an indicator: the object and the
// objects that enrich it.
func digest(rec *replica.Record) uint64 {
	h := xxhash.Sum64(rec.Raw)
	if stix.Named(rec.Raw) {
		h = stix.Substance(rec.Raw) // published again is no news
	}
	if len(rec.Context) == 0 {
		return h
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], h)
	binary.LittleEndian.PutUint64(b[8:], stix.DigestContext(rec.Context))
	return xxhash.Sum64(b[:])
}

// entry is the ledger row that records a change's outcome.
func (d *decision) entry(out intel.Outcome, now time.Time) *replica.Entry {
	before, c := d.record.Ledger, d.change
	if c.Action == intel.Withdraw {
		switch out.Status {
		case intel.Rejected:
			return d.unchanged() // the destination still holds what it held
		case intel.Unknown:
			// Or it does not: should the indicator be wanted again, it is sent again.
			e := d.unchanged()
			e.Digest = 0
			return e
		}
		return &replica.Entry{Version: d.record.Version, Status: intel.Unknown, First: before.First, Last: now}
	}
	if out.Status == intel.Unknown {
		return d.perhaps(now)
	}
	if out.Reason == reasonInternal {
		// Where the sink panicked, before it sent this or after, nobody knows.
		e := d.perhaps(now)
		e.Digest, e.Status, e.Reason = d.digest, out.Status, out.Reason
		return e
	}
	e := &replica.Entry{
		Version: d.record.Version, Digest: d.digest, Status: out.Status, Reason: out.Reason,
		First: now, Last: now,
	}
	if known(before) {
		e.First = before.First
	}
	switch out.Status {
	case intel.Delivered:
		e.Refs = marked(keys(c.Indicator))
	case intel.Rejected:
		// The destination still has what it had before, and perhaps part of this.
		if holds(before) {
			e.Refs = marked(slices.Clone(before.Refs))
		}
	}
	for _, r := range out.Held {
		e.Refs = with(e.Refs, r.String())
	}
	return e
}

// unchanged is the row as it was, no longer asking for a replay.
func (d *decision) unchanged() *replica.Entry {
	e := *d.record.Ledger
	e.Replay = false
	return &e
}

// perhaps is the row after an upsert that was sent and not answered: the
// destination may hold what it held, what it was sent, or both. Without a digest
// the indicator is sent again, or withdrawn if that is what comes next.
func (d *decision) perhaps(now time.Time) *replica.Entry {
	e := &replica.Entry{Version: d.record.Version, Status: intel.Unknown, First: now, Last: now}
	if before := d.record.Ledger; before != nil {
		e.Status, e.Reason, e.First = before.Status, before.Reason, before.First
		if holds(before) {
			e.Refs = marked(slices.Clone(before.Refs))
		}
	}
	for _, k := range d.intent().Refs {
		e.Refs = with(e.Refs, k)
	}
	return e
}

// forgotten is the row once the destination neither holds the indicator nor is
// to: none, unless it once had it.
func (d *decision) forgotten(now time.Time) *replica.Entry {
	before := d.record.Ledger
	if !known(before) {
		return nil
	}
	return &replica.Entry{Version: d.record.Version, Status: intel.Unknown, First: before.First, Last: now}
}

// intent is what the destination may hold once the change has been sent.
func (d *decision) intent() replica.Intent {
	return replica.Intent{OID: d.record.OID, Refs: append(marked(keys(d.change.Indicator)), d.also...)}
}

func keys(ind *intel.Indicator) []string {
	out := make([]string, len(ind.Observables))
	for i := range ind.Observables {
		out[i] = ind.Observables[i].Ref().String()
	}
	return out
}

// marked makes sure that a row of something held does not look empty.
func marked(refs []string) []string {
	if len(refs) == 0 {
		return []string{unobserved}
	}
	return refs
}

func with(refs []string, key string) []string {
	if slices.Contains(refs, key) {
		return refs
	}
	return append(refs, key)
}

// unobserved stands in a ledger row for an indicator that the destination
// holds without any observable: a YARA rule, say. It is no Ref.
const unobserved = "-"
