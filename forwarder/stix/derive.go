package stix

import (
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Derive parses ind's pattern and sets Observables, Fidelity and
// FidelityReason. START … STOP on the whole pattern narrows ValidFrom and
// ValidUntil; calling Derive again changes nothing.
//
// # Rules
//
// OR on either level, and IN, split exactly. AND within one object becomes one
// observable with all conditions as fields: several hashes of a file, or its name
// and directory, are exact; anything else beside the value makes it a superset.
// Guards like dst_ref.type = 'ipv4-addr' are dropped. (A OR B) AND C is
// multiplied out up to [MaxExpansion].
//
// Conditions that do not say what something is (!=, NOT, LIKE with a wildcard,
// MATCHES, <, EXISTS) never become observables: beside one they make it a
// superset, alone they are unsupported. So are ports, protocols and sizes alone,
// AND across object types (which no object can satisfy), and values that are not
// what their path says nor anything else that is known.
//
// […] AND […], FOLLOWEDBY, REPEATS, WITHIN, and START … STOP on a part, make
// their observables supersets; where a pattern needs several observations, weak
// values such as a file's name are left out.
//
// # Fidelity
//
// Observables of one Ref are merged. The indicator is unsupported if there are
// none, else superset if any is or if a part of the pattern has none, else exact.
// FidelityReason is one of [Reasons]; that of a part without observables comes
// first.
func Derive(ind *intel.Indicator) {
	ind.Observables, ind.Fidelity, ind.FidelityReason = nil, intel.FidelityUnsupported, ""
	switch {
	case ind.Pattern == "":
		ind.FidelityReason = ReasonNoPattern
		return
	case ind.PatternType != "stix" && ind.PatternType != "":
		ind.FidelityReason = ReasonPatternType
		return
	}
	p, err := parsePattern(ind.Pattern)
	if err != nil {
		ind.FidelityReason = ReasonInvalidPattern
		return
	}
	narrow(ind, p.Root)
	var d deriver
	d.keep = d.keepFlat
	d.observation(p.Root, scope{root: true})
	ind.Observables = d.out
	ind.Fidelity, ind.FidelityReason = d.fidelity()
}

// narrow intersects the validity window with START … STOP on the whole pattern.
func narrow(ind *intel.Indicator, root *Observation) {
	for _, q := range root.Qualifiers {
		if q.Kind != StartStop {
			continue
		}
		if start, ok := qualifierTime(q.A); ok && start.After(ind.ValidFrom) {
			ind.ValidFrom = start
		}
		if stop, ok := qualifierTime(q.B); ok && (ind.ValidUntil.IsZero() || stop.Before(ind.ValidUntil)) {
			ind.ValidUntil = stop
		}
	}
}

func qualifierTime(raw string) (time.Time, bool) {
	if raw[0] == 't' {
		raw = raw[1:]
	}
	return parseTime(raw[1 : len(raw)-1])
}

// A deriver collects the observables of one pattern.
type deriver struct {
	out   []intel.Observable
	index map[intel.Ref]int // once out is long

	superset string // first reason for a superset
	dropped  string // first reason for a part without observables
	expanded int    // conjunctions multiplied out so far

	leaf   [1]term
	flat   []term
	values []value
	keep   func([]term) // keepFlat
}

// A scope is what surrounds an observation.
type scope struct {
	root bool
	// reason says why whatever is found here is but a superset; "" if it is not.
	reason string
	// part is set where the pattern needs further observations.
	part bool
}

func (d *deriver) observation(o *Observation, s scope) {
	for _, q := range o.Qualifiers {
		reason := ""
		switch {
		case q.Kind == Within:
			reason = ReasonWithin
		case q.Kind == Repeats && q.A != "0" && q.A != "1" && q.A != "+1" && q.A != "+0":
			reason = ReasonRepeats
		case q.Kind == StartStop && !s.root:
			reason = ReasonStartStop
		}
		if s.reason == "" {
			s.reason = reason
		}
	}
	s.root = false
	switch o.Junction {
	case Leaf:
		d.expand(o.Condition, func(conjunction []term) { d.conjunction(conjunction, s) })
		return
	case And:
		s.part = true
		if s.reason == "" {
			s.reason = ReasonObservationAnd
		}
	case FollowedBy:
		s.part = true
		if s.reason == "" {
			s.reason = ReasonFollowedBy
		}
	}
	for _, operand := range o.Operands {
		d.observation(operand, s)
	}
}

func (d *deriver) drop(reason string) {
	if d.dropped == "" {
		d.dropped = reason
	}
}

// fidelity sums the observables up.
func (d *deriver) fidelity() (intel.Fidelity, string) {
	if len(d.out) == 0 {
		if d.dropped == "" {
			d.dropped = ReasonNoObservable
		}
		return intel.FidelityUnsupported, d.dropped
	}
	if d.dropped != "" {
		return intel.FidelitySuperset, d.dropped
	}
	for i := range d.out {
		if d.out[i].Fidelity != intel.FidelityExact {
			return intel.FidelitySuperset, d.superset
		}
	}
	return intel.FidelityExact, ""
}

// indexFrom is the number of observables from which a map finds duplicates.
const indexFrom = 16

// add merges an observable into those found. An exact one needs no further
// conditions, so it wins over a superset of the same Ref.
func (d *deriver) add(o intel.Observable, reason string) {
	if o.Fidelity != intel.FidelityExact && d.superset == "" {
		d.superset = reason
	}
	at := -1
	if d.index == nil {
		for i := range d.out {
			if d.out[i].Value == o.Value && d.out[i].Type == o.Type {
				at = i
				break
			}
		}
	} else if i, ok := d.index[o.Ref()]; ok {
		at = i
	}
	if at >= 0 {
		known := &d.out[at]
		switch {
		case known.Fidelity == o.Fidelity:
			for _, f := range o.Fields {
				known.Fields = addField(known.Fields, f)
			}
		case o.Fidelity == intel.FidelityExact:
			*known = o
		}
		return
	}
	d.out = append(d.out, o)
	if d.index != nil {
		d.index[o.Ref()] = len(d.out) - 1
	} else if len(d.out) == indexFrom {
		d.index = make(map[intel.Ref]int, 4*indexFrom)
		for i := range d.out {
			d.index[d.out[i].Ref()] = i
		}
	}
}

// maxFields bounds the conditions kept with one observable.
const maxFields = 64

func addField(fields []intel.Field, f intel.Field) []intel.Field {
	if len(fields) >= maxFields {
		return fields
	}
	for i := range fields {
		if fields[i] == f {
			return fields
		}
	}
	return append(fields, f)
}
