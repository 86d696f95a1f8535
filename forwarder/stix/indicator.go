package stix

import (
	"fmt"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// DecodeIndicator reads an indicator in one pass: everything except what
// [Enrich] and [Derive] add. The second result names odd members that were
// tolerated, as "member: what". The indicator keeps raw.
//
// It fails only if raw is not a JSON object, is not an indicator, or has no id.
func DecodeIndicator(raw []byte) (*intel.Indicator, []string, error) {
	// One copy of the text holds all strings that need no unescaping.
	r := reader{scanner: scanner{buf: raw, text: string(raw)}}
	ind := &intel.Indicator{Raw: raw}
	var typ string
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		if string(name) == "type" {
			r.typeName(&typ)
			continue
		}
		r.indicatorMember(ind, name)
	}
	if err := r.end(); err != nil {
		return nil, nil, fmt.Errorf("decode indicator: %w", err)
	}
	if typ != "indicator" {
		return nil, nil, fmt.Errorf("decode indicator %.80q: its type is %.80q", ind.ID, typ)
	}
	if ind.ID == "" {
		return nil, nil, fmt.Errorf("decode indicator: %w", errNoID)
	}
	r.settle(ind)
	return ind, r.issues, nil
}

func (r *reader) indicatorMember(ind *intel.Indicator, name []byte) {
	switch string(name) {
	case "id":
		r.str("id", &ind.ID)
	case "spec_version":
		r.specVersion(&ind.SpecVersion)
	case "name":
		r.str("name", &ind.Name)
	case "description":
		r.str("description", &ind.Description)
	case "indicator_types":
		r.list("indicator_types", &ind.IndicatorTypes)
	case "labels":
		r.list("labels", &ind.Labels)
	case "confidence":
		r.confidence(&ind.Confidence)
	case "lang":
		r.str("lang", &ind.Lang)
	case "created":
		r.timestamp("created", &ind.Created)
	case "modified":
		r.timestamp("modified", &ind.Modified)
	case "valid_from":
		r.timestamp("valid_from", &ind.ValidFrom)
	case "valid_until":
		r.timestamp("valid_until", &ind.ValidUntil)
	case "revoked":
		r.boolean("revoked", &ind.Revoked)
	case "pattern":
		r.str("pattern", &ind.Pattern)
	case "pattern_type":
		r.str("pattern_type", &ind.PatternType)
	case "pattern_version":
		r.str("pattern_version", &ind.PatternVersion)
	case "created_by_ref":
		r.str("created_by_ref", &ind.CreatedByRef)
	case "kill_chain_phases":
		r.killChainPhases(&ind.KillChainPhases)
	case "killChainPhases":
		r.note("killChainPhases", oddName)
		r.killChainPhases(&ind.KillChainPhases)
	case "external_references":
		r.externalReferences(&ind.ExternalReferences)
	case "object_marking_refs":
		r.list("object_marking_refs", &ind.MarkingRefs)
	case "granular_markings":
		r.granularMarkings(&ind.GranularMarkings)
	default:
		r.skip()
	}
}

// settle fills in what the specification defaults and names what is missing or
// contradictory.
func (r *reader) settle(ind *intel.Indicator) {
	if ind.SpecVersion == "" {
		ind.SpecVersion = "2.0"
	}
	if ind.SpecVersion == "2.0" && len(ind.IndicatorTypes) == 0 {
		// STIX 2.0 §2.5: labels are the indicator's types.
		ind.IndicatorTypes = ind.Labels
	}
	switch t := ind.PatternType; t {
	case "stix":
	case "":
		ind.PatternType = "stix"
		if ind.SpecVersion != "2.0" {
			r.note("pattern_type", oddMissing)
		}
	default:
		if ind.PatternType = strings.ToLower(strings.TrimSpace(t)); strings.HasPrefix(ind.PatternType, "stix") {
			ind.PatternType = "stix" // "stix2", "stix-pattern"
		}
		if ind.PatternType != t {
			r.note("pattern_type", oddValue)
		}
	}
	if ind.Pattern == "" {
		r.note("pattern", oddMissing)
	}
	if ind.Created.IsZero() {
		r.note("created", oddMissing)
	}
	if ind.Modified.IsZero() {
		r.note("modified", oddMissing)
	}
	if ind.ValidFrom.IsZero() {
		r.note("valid_from", oddMissing)
	}
	if !ind.ValidUntil.IsZero() && !ind.ValidUntil.After(ind.ValidFrom) {
		r.note("valid_until", "not after valid_from")
	}
	ind.TLP = fixedTLP(ind)
}

// confidence reads STIX 2.1 §3.2's 0 to 100; the words of its appendix A count
// as the number they map to.
func (r *reader) confidence(into **int) {
	var n int64
	if r.peek() == '"' {
		from, to, escaped := r.stringSpan()
		text := strings.ToLower(strings.TrimSpace(r.string(from, to, escaped)))
		r.note("confidence", oddType)
		switch text {
		case "none":
			n = 0
		case "low":
			n = 15
		case "med", "medium":
			n = 50
		case "high":
			n = 85
		default:
			sub := reader{scanner: scanner{buf: []byte(text)}}
			if !sub.integer("confidence", &n) || sub.end() != nil {
				r.note("confidence", oddValue)
				return
			}
		}
	} else if !r.integer("confidence", &n) {
		return
	}
	if n < 0 { // some producers' "unknown"
		r.note("confidence", oddValue)
		return
	}
	if n > 100 {
		r.note("confidence", oddValue)
		n = 100
	}
	v := int(n)
	*into = &v
}

func (r *reader) killChainPhases(into *[]intel.KillChainPhase) {
	var out []intel.KillChainPhase
	r.each("kill_chain_phases", func() {
		var p intel.KillChainPhase
		for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
			switch string(name) {
			case "kill_chain_name", "killChainName":
				r.str("kill_chain_phases", &p.KillChain)
			case "phase_name", "phaseName":
				r.str("kill_chain_phases", &p.Phase)
			default:
				r.skip()
			}
		}
		if p != (intel.KillChainPhase{}) {
			out = append(out, p)
		}
	})
	*into = out
}

func (r *reader) externalReferences(into *[]intel.ExternalReference) {
	var out []intel.ExternalReference
	r.each("external_references", func() {
		var e intel.ExternalReference
		for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
			switch string(name) {
			case "source_name":
				r.str("external_references", &e.SourceName)
			case "description":
				r.str("external_references", &e.Description)
			case "url":
				r.str("external_references", &e.URL)
			case "external_id":
				r.str("external_references", &e.ExternalID)
			case "hashes":
				r.hashes(&e.Hashes)
			default:
				r.skip()
			}
		}
		out = append(out, e)
	})
	*into = out
}

func (r *reader) hashes(into *map[string]string) {
	if r.peek() != '{' {
		if !r.null("external_references") {
			r.note("external_references", oddType)
			r.skip()
		}
		return
	}
	out := make(map[string]string)
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		key, value := strings.ToValidUTF8(string(name), "\uFFFD"), ""
		if r.str("external_references", &value); value != "" {
			out[key] = value
		}
	}
	if len(out) > 0 {
		*into = out
	}
}

func (r *reader) granularMarkings(into *[]intel.GranularMarking) {
	var out []intel.GranularMarking
	r.each("granular_markings", func() {
		var g intel.GranularMarking
		for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
			switch string(name) {
			case "selectors":
				r.list("granular_markings", &g.Selectors)
			case "marking_ref":
				r.str("granular_markings", &g.MarkingRef)
			case "lang":
				r.str("granular_markings", &g.Lang)
			default:
				r.skip()
			}
		}
		out = append(out, g)
	})
	*into = out
}
