package splunk

import (
	"crypto/sha256"
	"slices"

	"taxii-forwarder/forwarder/intel"
)

// typePattern is the type in the Ref of the event that stands for an indicator
// without observables. Its value is empty: an indicator has one pattern.
const typePattern intel.ObservableType = "pattern"

var patternRef = intel.Ref{Type: typePattern}

// reasonReplaced is the withdraw_reason of an observable that a newer version
// of its indicator no longer has.
const reasonReplaced intel.Reason = "replaced"

// events goes through the events of one change, so that a change with tens of
// thousands of observables needs no more memory than one with few.
type events struct {
	encoder *Encoder
	c       *intel.Change

	obs, field int // the next observable, and in it the next condition; field -1 = the value itself
	sole       bool
	removed    int // the next of remove
	remove     []intel.Ref
	seen       map[intel.Ref]struct{} // in use when track
	track      bool
	upserts    int
	held       []intel.Ref // what is upserted and no observable's own Ref

	// What the events of the change have in common, encoded once.
	envelope, tail, withdrawTail, key []byte
}

func (e *Encoder) start(c *intel.Change) *events {
	it := e.pool.Get().(*events)
	ind := c.Indicator
	*it = events{
		encoder: e, c: c, field: -1,
		sole:     len(ind.Observables) == 0 && ind.Pattern != "",
		remove:   it.remove[:0],
		seen:     it.seen,
		envelope: e.appendEnvelope(it.envelope[:0], c),
		tail:     it.tail[:0], withdrawTail: it.withdrawTail[:0],
		key: append(append(append(append(it.key[:0], ind.Feed...), 0), ind.ID...), 0),
	}
	it.plan()
	return it
}

func (it *events) release() {
	const keep = 1 << 20
	if cap(it.tail) > keep || len(it.seen) > 4096 {
		return
	}
	clear(it.seen)
	clear(it.remove[:cap(it.remove)])
	it.c, it.held = nil, nil
	it.encoder.pool.Put(it)
}

// plan settles what is to be removed and whether an item could come twice: two
// files of one indicator may share a hash.
func (it *events) plan() {
	c := it.c
	if c.Action == intel.Upsert {
		it.remove = append(it.remove, c.Remove...)
		if !it.sole {
			it.removeWhole()
		}
		it.track = len(it.remove) > 0
		for i := range c.Indicator.Observables {
			o := &c.Indicator.Observables[i]
			for j := 0; j < len(o.Fields) && !it.track; j++ {
				it.track = isSecondHash(o, j)
			}
		}
	} else {
		it.obs, it.sole = len(c.Indicator.Observables), false
		it.remove = append(it.remove, c.Remove...)
		it.removeWhole()
		it.removeHashes()
		it.track = len(it.remove) > 1
		if len(it.remove) == 0 {
			// Something was given, and it was no observable.
			it.remove = append(it.remove, patternRef)
		}
	}
	if it.track && it.seen == nil {
		it.seen = make(map[intel.Ref]struct{})
	}
}

// removeWhole adds the event of an indicator without observables, where it may
// have arrived although its delivery was never answered; else it is in Remove.
func (it *events) removeWhole() {
	if it.c.Whole && !slices.Contains(it.remove, patternRef) {
		it.remove = append(it.remove, patternRef)
	}
}

// removeHashes adds the further hashes of the files that are withdrawn, as far
// as the newest version still has them: a Ref names a file by one hash.
func (it *events) removeHashes() {
	all := it.c.Indicator.Observables
	var removed map[intel.Ref]struct{}
	for i := range all {
		for j := range all[i].Fields {
			if !isSecondHash(&all[i], j) {
				continue
			}
			if removed == nil {
				removed = make(map[intel.Ref]struct{}, len(it.c.Remove))
				for _, ref := range it.c.Remove {
					removed[ref] = struct{}{}
				}
			}
			if _, ok := removed[all[i].Ref()]; ok {
				it.remove = append(it.remove, intel.Ref{Type: all[i].Type, Value: all[i].Fields[j].Value})
			}
		}
	}
}

// first reports whether ref comes for the first time in this change.
func (it *events) first(ref intel.Ref) bool {
	if !it.track {
		return true
	}
	if _, ok := it.seen[ref]; ok {
		return false
	}
	it.seen[ref] = struct{}{}
	return true
}

// item is what one event is about.
type item struct {
	ref    intel.Ref
	action intel.Action
}

// next appends the next event to dst; ok is false when there are no more.
func (it *events) next(dst []byte) (_ []byte, _ item, ok bool) {
	if it.sole {
		it.sole = false
		it.first(patternRef)
		it.upserts++
		it.held = append(it.held, patternRef)
		return it.appendUpsert(dst, patternRef, nil, place{}, -1), item{patternRef, intel.Upsert}, true
	}
	all := it.c.Indicator.Observables
	for it.obs < len(all) {
		o := &all[it.obs]
		if it.field < 0 {
			it.field = 0
			if ref := o.Ref(); it.first(ref) {
				it.upserts++
				p, i := primary(o)
				return it.appendUpsert(dst, ref, o, p, i), item{ref, intel.Upsert}, true
			}
		}
		for it.field < len(o.Fields) {
			i := it.field
			it.field++
			if !isSecondHash(o, i) {
				continue
			}
			if ref := (intel.Ref{Type: o.Type, Value: o.Fields[i].Value}); it.first(ref) {
				it.upserts++
				it.held = append(it.held, ref)
				p, _ := placeOf(o.Type, o.Fields[i].Name)
				return it.appendUpsert(dst, ref, o, p, i), item{ref, intel.Upsert}, true
			}
		}
		it.obs, it.field = it.obs+1, -1
	}
	for it.removed < len(it.remove) {
		ref := it.remove[it.removed]
		it.removed++
		if it.first(ref) {
			return it.appendWithdraw(dst, ref), item{ref, intel.Withdraw}, true
		}
	}
	return dst, item{}, false
}

// AlsoHeld returns what there are events for besides the indicator's own
// observables: the further hashes of its files, or its pattern when it has no
// observable.
func (s *Sink) AlsoHeld(c *intel.Change) []intel.Ref {
	all := c.Indicator.Observables
	if len(all) == 0 && c.Indicator.Pattern != "" {
		return []intel.Ref{patternRef}
	}
	var also []intel.Ref
	for i := range all {
		for j := range all[i].Fields {
			if isSecondHash(&all[i], j) {
				also = append(also, intel.Ref{Type: all[i].Type, Value: all[i].Fields[j].Value})
			}
		}
	}
	return also
}

// outcome is the outcome of the change once all its events were accepted.
func (it *events) outcome() intel.Outcome {
	if it.c.Action == intel.Upsert && it.upserts == 0 {
		return intel.Outcome{Status: intel.Skipped, Reason: "no_pattern", Detail: "the indicator has neither an observable nor a pattern"}
	}
	return intel.Outcome{Status: intel.Delivered, Held: it.held}
}

// appendKey appends the item key of ref as a member.
func (it *events) appendKey(dst []byte, ref intel.Ref) []byte {
	n := len(it.key)
	it.key = append(append(append(it.key, ref.Type...), 0), ref.Value...)
	sum := sha256.Sum256(it.key)
	it.key = it.key[:n]
	dst = append(dst, `,"item_key":"`...)
	for _, b := range sum {
		dst = append(dst, hexDigits[b>>4], hexDigits[b&0xf])
	}
	return append(dst, '"')
}

// appendUpsert appends the event for ref, which is o's value or the hash in
// field i of it; o is nil for a sole pattern.
func (it *events) appendUpsert(dst []byte, ref intel.Ref, o *intel.Observable, p place, i int) []byte {
	if len(it.tail) == 0 {
		it.tail = append(appendIndicator(it.tail, it.c), '}', '}')
	}
	dst = append(dst, it.envelope...)
	dst = append(dst, `"upsert"`...)
	dst = it.appendKey(dst, ref)
	dst = appendMember(dst, "observable_type", string(ref.Type))
	dst = appendMember(dst, "observable_value", ref.Value)
	dst = appendPlace(dst, p, ref.Value)
	if o != nil {
		dst = appendMember(dst, "fidelity", string(o.Fidelity))
		dst = appendConditions(dst, o, i, p)
	} else {
		dst = appendMember(dst, "fidelity", string(it.c.Indicator.Fidelity))
	}
	return append(dst, it.tail...)
}

func (it *events) appendWithdraw(dst []byte, ref intel.Ref) []byte {
	if len(it.withdrawTail) == 0 {
		reason := it.c.Reason
		if it.c.Action == intel.Upsert {
			reason = reasonReplaced
		}
		it.withdrawTail = appendMember(it.withdrawTail, "withdraw_reason", string(reason))
		it.withdrawTail = append(appendIdentity(it.withdrawTail, it.c), '}', '}')
	}
	dst = append(dst, it.envelope...)
	dst = append(dst, `"withdraw"`...)
	dst = it.appendKey(dst, ref)
	dst = appendMember(dst, "observable_type", string(ref.Type))
	dst = appendMember(dst, "observable_value", ref.Value)
	dst = appendPlace(dst, it.find(ref), ref.Value)
	return append(dst, it.withdrawTail...)
}

// find returns the place that ref's upsert had, as far as it can be known.
func (it *events) find(ref intel.Ref) place {
	if p, ok := typePlaces[ref.Type]; ok {
		return p
	}
	// Only few indicators have several observables of which some are files; the
	// bound keeps one with thousands from costing their square.
	all := it.c.Indicator.Observables
	for i := range all[:min(len(all), 100)] {
		if all[i].Ref() == ref {
			p, _ := primary(&all[i])
			return p
		}
	}
	return guess(ref)
}
