package stix

import (
	"net/netip"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// conjunction turns the comparisons of one AND into one observable, or drops
// them with a reason.
func (d *deriver) conjunction(terms []term, s scope) {
	object, reason, best := "", "", -1
	exact := true
	degrade := func(why string) {
		exact = false
		if reason == "" {
			reason = why
		}
	}
	for i := range terms {
		t := &terms[i]
		if object == "" {
			object = t.cmp.Path.Type
		} else if object != t.cmp.Path.Type {
			d.drop(ReasonCrossType)
			return
		}
		switch {
		case t.reason != "":
			degrade(t.reason)
		case t.meaning.isKey():
			if best < 0 || t.meaning.rank > terms[best].meaning.rank {
				best = i
			}
		}
	}
	if best < 0 {
		switch {
		case reason != "":
		case terms[0].meaning.role == roleUnknown:
			reason = ReasonUnknownType
		default:
			reason = ReasonNoObservable
		}
		d.drop(reason)
		return
	}
	directory := directoryOf(terms)
	key := &terms[best]
	path := ""
	if key.meaning.role == roleFileName && key.value.field != intel.FieldPath && directory != "" {
		path = joinPath(directory, key.value.text)
	}
	for i := range terms {
		t := &terms[i]
		switch {
		case i == best || t.reason != "" || t.meaning.role == roleGuard:
		case t.meaning.role == roleDirectory:
			if path == "" || t.cmp.Operator == In && len(t.cmp.Literals) > 1 {
				degrade(ReasonExtraConditions)
			}
		case sameProperty(t, key):
			narrower, ok := agree(t, key)
			if !ok {
				d.drop(ReasonContradiction)
				return
			}
			key = narrower
		case t.meaning.role == roleHash && key.meaning.role == roleHash && t.meaning.loose == key.meaning.loose:
			// Several hashes of one file: each of them identifies it.
		default:
			degrade(ReasonExtraConditions)
		}
	}
	if key.meaning.loose || key.value.port != "" {
		degrade(ReasonExtraConditions)
	}
	if key.value.wildcard {
		degrade(ReasonWildcard)
	}
	if s.part && key.meaning.weak && path == "" && key.value.field != intel.FieldPath {
		d.drop(s.reason)
		return
	}
	if s.reason != "" {
		exact, reason = false, s.reason
	}
	o := intel.Observable{Type: key.value.typ, Value: key.value.text, Fidelity: intel.FidelityExact}
	if path != "" {
		o.Value = path
	}
	if !exact {
		o.Fidelity = intel.FidelitySuperset
	}
	o.Fields = fieldsOf(terms, key, path)
	d.add(o, reason)
}

// sameProperty reports whether two keys speak of one property that has one
// value.
func sameProperty(a, b *term) bool {
	if a.meaning.role != b.meaning.role || a.value.field != b.value.field || a.meaning.tagValue != b.meaning.tagValue {
		return false
	}
	p, q := a.cmp.Path.Steps, b.cmp.Path.Steps
	if len(p) != len(q) {
		return false
	}
	for i := range p {
		if p[i] != q[i] || p[i].IsIndex {
			return false // a list may hold both
		}
	}
	return true
}

// agree returns the narrower of two values of one property: the same, or one
// range within the other.
func agree(a, b *term) (*term, bool) {
	if a.value.text == b.value.text && a.value.typ == b.value.typ {
		return b, true
	}
	p, errP := prefixOf(a.value.text)
	q, errQ := prefixOf(b.value.text)
	if errP != nil || errQ != nil || !p.Overlaps(q) {
		return nil, false
	}
	if p.Bits() > q.Bits() {
		return a, true
	}
	return b, true
}

func prefixOf(s string) (netip.Prefix, error) {
	if strings.IndexByte(s, '/') >= 0 {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err
}

func directoryOf(terms []term) string {
	for i := range terms {
		if t := &terms[i]; t.meaning.role == roleDirectory && t.reason == "" && len(t.cmp.Literals) == 1 {
			return t.cmp.Literals[0].Text()
		}
	}
	return ""
}

// joinPath joins with the separator that the directory uses.
func joinPath(directory, name string) string {
	separator := "/"
	if strings.IndexByte(directory, '\\') >= 0 || len(directory) == 2 && directory[1] == ':' {
		separator = `\`
	}
	if strings.HasSuffix(directory, separator) {
		return directory + name
	}
	return directory + separator + name
}

// fieldsOf files the conditions in pattern order.
func fieldsOf(terms []term, key *term, path string) []intel.Field {
	var fields []intel.Field
	if len(terms) > 1 || key.value.field != "" || key.meaning.tag != "" || key.value.port != "" {
		fields = make([]intel.Field, 0, len(terms)+1)
	}
	for i := range terms {
		t := &terms[i]
		if t.reason != "" || t.meaning.role == roleGuard {
			continue
		}
		switch {
		case t.meaning.isKey():
			name, value := t.value.field, t.value.text
			if name == "" && t != key && !sameProperty(t, key) {
				name = t.cmp.Path.String()
			}
			if name != "" {
				fields = addField(fields, intel.Field{Name: name, Value: value})
			}
			if t != key {
				break
			}
			if path != "" {
				fields = addField(fields, intel.Field{Name: intel.FieldPath, Value: path})
			}
			if t.value.port != "" {
				port := intel.FieldDstPort
				if t.meaning.tagValue == "src" {
					port = intel.FieldSrcPort
				}
				fields = addField(fields, intel.Field{Name: port, Value: t.value.port})
			}
			if t.meaning.tag != "" {
				fields = addField(fields, intel.Field{Name: t.meaning.tag, Value: t.meaning.tagValue})
			}
		default:
			name := t.meaning.field
			if name == "" {
				name = t.cmp.Path.String()
			}
			for _, lit := range t.cmp.Literals {
				if len(fields) >= maxFields {
					break
				}
				fields = addField(fields, intel.Field{Name: name, Value: fieldValue(name, lit)})
			}
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return fields
}
