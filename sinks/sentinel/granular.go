package sentinel

import (
	"strconv"
	"strings"
)

// appendGranular writes the granular markings (STIX 2.1 §7.2.3) whose
// selectors point into what is sent: one that pointed at a property left out
// would make the object invalid.
func (o *object) appendGranular(dst []byte, tags int) []byte {
	before := len(dst)
	dst = append(dst, `,"granular_markings":[`...)
	empty := len(dst)
	for _, m := range o.ind.GranularMarkings {
		if m.MarkingRef == "" && m.Lang == "" {
			continue
		}
		start := len(dst)
		dst = append(dst, `{"selectors":[`...)
		none := len(dst)
		for _, s := range m.Selectors {
			if o.has(s, tags) {
				dst = quote(dst, s)
				dst = append(dst, ',')
			}
		}
		if len(dst) == none {
			dst = dst[:start]
			continue
		}
		dst = closeList(dst)
		dst = appendText(dst, "marking_ref", sentinelMarking(m.MarkingRef))
		dst = appendText(dst, "lang", m.Lang)
		dst = append(dst, '}', ',')
	}
	if len(dst) == empty {
		return dst[:before]
	}
	return closeList(dst)
}

// has reports whether o is sent with the property that a selector names.
func (o *object) has(selector string, tags int) bool {
	ind := o.ind
	root, rest, _ := strings.Cut(selector, ".")
	within := func(n int) bool {
		if rest == "" {
			return n > 0
		}
		number, _, _ := strings.Cut(rest, ".")
		number, ok := strings.CutPrefix(number, "[")
		number, closed := strings.CutSuffix(number, "]")
		i, err := strconv.Atoi(number)
		return ok && closed && err == nil && i >= 0 && i < n
	}
	switch root {
	case "type", "id", "created", "modified", "revoked", "pattern", "pattern_type", "valid_from", "valid_until", "spec_version":
		return rest == ""
	case "name":
		return ind.Name != ""
	case "description":
		return ind.Description != ""
	case "lang":
		return ind.Lang != ""
	case "pattern_version":
		return o.patternVersion != ""
	case "created_by_ref":
		return strings.HasPrefix(ind.CreatedByRef, "identity--")
	case "confidence":
		return ind.Confidence != nil && *ind.Confidence >= 0 && *ind.Confidence <= 100
	case "labels":
		return within(tags)
	case "indicator_types":
		return !o.is20() && within(len(ind.IndicatorTypes))
	case "kill_chain_phases":
		return within(len(ind.KillChainPhases))
	case "external_references":
		// In a split object the indices are off by one.
		return within(len(ind.ExternalReferences)) && (o.splitFrom == "" || rest == "")
	case "object_marking_refs":
		return rest == "" && len(ind.MarkingRefs) > 0
	}
	return false
}
