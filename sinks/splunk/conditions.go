package splunk

import (
	"slices"

	"taxii-forwarder/forwarder/intel"
)

// appendPlace appends a value under the name and collection that p says.
func appendPlace(dst []byte, p place, value string) []byte {
	dst = appendMember(dst, "threat_collection", p.collection)
	if p.field != "" {
		dst = appendMember(dst, p.field, value)
	}
	return appendMember(dst, "hash_type", p.hash)
}

// appendConditions appends what the pattern says besides the value, which came
// from condition skip.
func appendConditions(dst []byte, o *intel.Observable, skip int, p place) []byte {
	fields := o.Fields[:min(len(o.Fields), maxConditions)]
	other := false
	for i := range fields {
		f := &fields[i]
		if i == skip && p.hash == "" || f.Value == "" {
			continue
		}
		name, known := conditionNames[f.Name]
		if h, ok := hashNames[f.Name]; ok {
			if h.name == p.field {
				continue
			}
			name, known = h.name, true
		}
		if !known {
			other = true
			continue
		}
		if slices.ContainsFunc(fields[:i], func(g intel.Field) bool { return g.Name == f.Name && g.Value != "" }) {
			continue // in the list that the first of the name began
		}
		repeated := 0
		for j := i; j < len(fields); j++ {
			if fields[j].Name == f.Name {
				repeated++
			}
		}
		if repeated == 1 {
			dst = appendMember(dst, name, clip(f.Value, maxCondition))
			continue
		}
		dst = appendList(dst, name, len(fields), func(j int) string {
			if fields[j].Name != f.Name {
				return ""
			}
			return fields[j].Value
		})
	}
	if other {
		dst = appendList(dst, "conditions", len(fields), func(j int) string {
			f := &fields[j]
			if _, known := conditionNames[f.Name]; known || hashNames[f.Name].name != "" || j == skip {
				return ""
			}
			return f.Name + "=" + f.Value
		})
	}
	return dst
}
