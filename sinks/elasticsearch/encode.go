package elasticsearch

import (
	"cmp"
	"slices"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

const (
	ecsVersion = "9.4.0"
	module     = "ti_taxii" // event.module; the rules ask for threatintel or ti_*
	dataset    = "ti_taxii.indicator"
)

// maxPatternBytes bounds how much of all documents of one indicator may be
// repetitions of its pattern: a list of thousands of values is one pattern, and
// each value a document.
const maxPatternBytes = 1 << 20

// Encoder maps changes to ECS documents. It holds no state and may be used by
// several goroutines.
type Encoder struct{}

// NewEncoder returns an Encoder.
func NewEncoder() *Encoder { return &Encoder{} }

// Append appends the documents of a change to dst, one a line: one for each
// observable of an upsert, and one of event.type "deletion" for each observable
// to be withdrawn, for destinations that can only append. (The Elasticsearch
// sink deletes the document instead.) The Outcome is Skipped with its reason
// when the indicator has nothing to search for.
func (e *Encoder) Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	if c.Action == intel.Withdraw {
		return e.appendWithdrawals(dst, c, c.Reason), intel.Outcome{Status: intel.Delivered}
	}
	if reason := unsearchable(c.Indicator); reason != "" {
		return dst, intel.Outcome{Status: intel.Skipped, Reason: reason}
	}
	for i := range documents(c.Indicator) {
		dst = append(e.appendDocument(dst, c, observable(c.Indicator, i)), '\n')
	}
	return e.appendWithdrawals(dst, c, "superseded"), intel.Outcome{Status: intel.Delivered}
}

// unsearchable says why an indicator can not be held; "" = it can.
func unsearchable(ind *intel.Indicator) string {
	if len(ind.Observables) > 0 || otherLanguage(ind) {
		return ""
	}
	return cmp.Or(ind.FidelityReason, "no_observable")
}

// otherLanguage reports whether the pattern is in another language than STIX.
func otherLanguage(ind *intel.Indicator) bool {
	switch ind.PatternType {
	case "", "stix", "stix2":
		return false
	}
	return true
}

// documents returns how many documents an indicator has, and observable the
// i-th's observable; nil stands for the indicator as a whole.
func documents(ind *intel.Indicator) int { return max(len(ind.Observables), 1) }

func observable(ind *intel.Indicator, i int) *intel.Observable {
	if len(ind.Observables) == 0 {
		return nil
	}
	return &ind.Observables[i]
}

const prologue = `{"ecs":{"version":"` + ecsVersion + `"},"event":{"kind":"enrichment","category":["threat"],"type":["indicator"],"module":"` +
	module + `","dataset":"` + dataset + `"`

// appendDocument appends the document of one observable, or of the whole
// indicator when o is nil, without a line feed.
func (e *Encoder) appendDocument(dst []byte, c *intel.Change, o *intel.Observable) []byte {
	ind := c.Indicator
	w := writer{b: append(dst, prologue...)}
	w.time("ingested", c.At)
	w.b = append(w.b, '}')
	w.time("@timestamp", c.At)

	threat := w.open("threat")
	feed := w.open("feed")
	w.string("name", ind.Feed)
	w.close(feed)
	indicator := w.open("indicator")
	e.describe(&w, ind)
	if o == nil {
		w.string("name", cmp.Or(ind.Name, ind.ID))
	} else {
		w.string("type", string(o.Type))
		w.string("name", o.Value)
		writeAtomic(&w, o)
	}
	w.close(indicator)
	writeAttack(&w, ind)
	w.close(threat)

	if o != nil {
		writeRelated(&w, o)
	}
	writeTags(&w, ind)
	writeSTIX(&w, ind, o)
	return append(w.b, '}')
}

// describe writes those members of threat.indicator that every observable of
// the indicator shares.
func (e *Encoder) describe(w *writer, ind *intel.Indicator) {
	w.strings("id", []string{ind.ID})
	w.string("description", ind.Description)
	w.string("provider", cmp.Or(ind.CreatedBy, ind.Feed))
	w.string("confidence", confidenceWord(ind.Confidence))
	for i := range ind.ExternalReferences {
		if u := ind.ExternalReferences[i].URL; u != "" {
			w.string("reference", u)
			break
		}
	}
	w.time("first_seen", firstSeen(ind))
	if s := ind.Sightings; s != nil {
		w.time("last_seen", s.Last)
		w.int("sightings", s.Count)
	}
	if ind.Modified.IsZero() {
		w.time("modified_at", ind.Created)
	} else {
		w.time("modified_at", ind.Modified)
	}
	if ind.TLP != intel.TLPNone {
		marking := w.open("marking")
		w.string("tlp", strings.ToUpper(string(ind.TLP)))
		w.string("tlp_version", "2.0") // whatever it was marked with, the level is named as TLP 2 does
		w.close(marking)
	}
}

// confidenceWord is the scale of ECS by the cut-offs of STIX 2.1 appendix A.
func confidenceWord(confidence *int) string {
	switch {
	case confidence == nil || *confidence < 0:
		return "Not Specified"
	case *confidence == 0:
		return "None"
	case *confidence < 30:
		return "Low"
	case *confidence < 70:
		return "Medium"
	}
	return "High"
}

// writeTags writes what an analyst filters by: labels and indicator types.
func writeTags(w *writer, ind *intel.Indicator) {
	if len(ind.Labels) == 0 && len(ind.IndicatorTypes) == 0 {
		return
	}
	var few [16]string
	tags := few[:0]
	for _, list := range [][]string{ind.Labels, ind.IndicatorTypes} {
		for _, t := range list {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	w.strings("tags", tags)
}

// appendWithdrawals appends a document for each observable in c.Remove that
// says that it is no longer to be looked for. It is no enrichment, so that no
// rule takes it for an indicator.
func (e *Encoder) appendWithdrawals(dst []byte, c *intel.Change, reason intel.Reason) []byte {
	remove := c.Remove
	if c.Action == intel.Withdraw && len(remove) == 0 {
		remove = []intel.Ref{{}}
	}
	ind := c.Indicator
	for _, ref := range remove {
		w := writer{b: append(dst, '{')}
		w.time("@timestamp", c.At)
		ecs := w.open("ecs")
		w.string("version", ecsVersion)
		w.close(ecs)
		event := w.open("event")
		w.string("kind", "event")
		w.strings("category", []string{"threat"})
		w.strings("type", []string{"deletion"})
		w.string("module", module)
		w.string("dataset", dataset)
		w.string("action", "withdraw")
		w.string("reason", string(reason))
		w.close(event)
		threat := w.open("threat")
		feed := w.open("feed")
		w.string("name", ind.Feed)
		w.close(feed)
		indicator := w.open("indicator")
		w.strings("id", []string{ind.ID})
		w.string("type", string(ref.Type))
		w.string("name", cmp.Or(ref.Value, ind.Name, ind.ID))
		w.close(indicator)
		w.close(threat)
		stix := w.open("stix")
		w.string("id", ind.ID)
		w.time("modified", ind.Modified)
		w.close(stix)
		dst = append(w.b, '}', '\n')
	}
	return dst
}
