package elasticsearch

import (
	"time"

	"taxii-forwarder/forwarder/intel"
)

// firstSeen is when the indicator began to be one.
func firstSeen(ind *intel.Indicator) time.Time {
	if ind.ValidFrom.IsZero() {
		return ind.Created
	}
	return ind.ValidFrom
}

// writeSTIX writes the custom object stix: what the producer said that ECS has
// no field for. Its mapping is not dynamic; the members that are worth a search
// are mapped, see mapping.json, and the rest is in _source to be read.
func writeSTIX(w *writer, ind *intel.Indicator, o *intel.Observable) {
	m := w.open("stix")
	defer w.close(m)
	w.string("id", ind.ID)
	w.string("spec_version", ind.SpecVersion)
	w.string("collection", ind.Collection)
	w.string("name", ind.Name)
	w.string("lang", ind.Lang)
	w.time("created", ind.Created)
	w.time("modified", ind.Modified)
	w.time("valid_from", ind.ValidFrom)
	w.time("valid_until", ind.ValidUntil)
	if ind.Confidence != nil {
		w.int("confidence", int64(*ind.Confidence))
	}
	if len(ind.Pattern)*len(ind.Observables) <= maxPatternBytes {
		w.string("pattern", ind.Pattern)
	} else {
		w.true("pattern_omitted", true)
	}
	w.string("pattern_type", ind.PatternType)
	w.string("pattern_version", ind.PatternVersion)
	w.strings("indicator_types", ind.IndicatorTypes)
	w.strings("labels", ind.Labels)
	w.string("created_by_ref", ind.CreatedByRef)
	w.string("created_by", ind.CreatedBy)
	w.string("tlp", string(ind.TLP))
	w.strings("object_marking_refs", ind.MarkingRefs)
	writeList(w, "kill_chain_phases", ind.KillChainPhases, func(p *intel.KillChainPhase) {
		w.string("kill_chain_name", p.KillChain)
		w.string("phase_name", p.Phase)
	})
	writeList(w, "external_references", ind.ExternalReferences, func(r *intel.ExternalReference) {
		w.string("source_name", r.SourceName)
		w.string("external_id", r.ExternalID)
		w.string("url", r.URL)
		w.string("description", r.Description)
	})
	writeList(w, "related", ind.Related, func(r *intel.Related) {
		w.string("type", r.Type)
		w.string("id", r.ID)
		w.string("name", r.Name)
		w.string("external_id", r.ExternalID)
		w.string("url", r.URL)
	})
	w.string("fidelity", string(ind.Fidelity))
	w.string("fidelity_reason", ind.FidelityReason)
	if o != nil {
		observable := w.open("observable")
		w.string("type", string(o.Type))
		w.string("value", o.Value)
		w.string("fidelity", string(o.Fidelity))
		writeList(w, "fields", o.Fields, func(f *intel.Field) {
			w.string("name", f.Name)
			w.string("value", f.Value)
		})
		w.close(observable)
	}
}

// writeList writes an array of objects; nothing when it is empty.
func writeList[T any](w *writer, name string, list []T, each func(*T)) {
	if len(list) == 0 {
		return
	}
	w.key(name)
	w.b = append(w.b, '[')
	for i := range list {
		w.comma()
		w.b = append(w.b, '{')
		each(&list[i])
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}
