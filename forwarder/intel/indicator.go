package intel

import (
	"encoding/json"
	"time"
)

// Indicator is the current version of a STIX indicator with everything a sink
// may want to know of it. Zero times and nil pointers mean that the producer
// said nothing.
type Indicator struct {
	Feed       string `json:"feed"`
	Collection string `json:"collection"` // id of the collection that first served it

	ID             string    `json:"id"`
	SpecVersion    string    `json:"spec_version"` // "2.0" or "2.1"
	Name           string    `json:"name,omitempty"`
	Description    string    `json:"description,omitempty"`
	IndicatorTypes []string  `json:"indicator_types,omitempty"` // STIX 2.0: its labels
	Labels         []string  `json:"labels,omitempty"`
	Confidence     *int      `json:"confidence,omitempty"` // 0-100; nil = unspecified (STIX 2.1 §3.2)
	Lang           string    `json:"lang,omitempty"`
	Created        time.Time `json:"created,omitzero"`
	Modified       time.Time `json:"modified,omitzero"`
	ValidFrom      time.Time `json:"valid_from,omitzero"`
	ValidUntil     time.Time `json:"valid_until,omitzero"` // exclusive end of validity
	Revoked        bool      `json:"revoked,omitempty"`

	Pattern        string `json:"pattern"`
	PatternType    string `json:"pattern_type"` // "stix" when absent
	PatternVersion string `json:"pattern_version,omitempty"`

	CreatedByRef       string              `json:"created_by_ref,omitempty"`
	CreatedBy          string              `json:"created_by,omitempty"` // the identity's name, once known
	KillChainPhases    []KillChainPhase    `json:"kill_chain_phases,omitempty"`
	ExternalReferences []ExternalReference `json:"external_references,omitempty"`
	MarkingRefs        []string            `json:"object_marking_refs,omitempty"`
	GranularMarkings   []GranularMarking   `json:"granular_markings,omitempty"`
	TLP                TLP                 `json:"tlp,omitempty"` // the strictest of all its markings
	Related            []Related           `json:"related,omitempty"`
	Sightings          *Sightings          `json:"sightings,omitempty"`

	// Observables are the atomic values of the pattern; each has a distinct Ref.
	Observables []Observable `json:"observables,omitempty"`
	// Fidelity is the worst fidelity of the pattern's parts; FidelityReason says
	// why it is not exact, in a word from a fixed list (for counting).
	Fidelity       Fidelity `json:"fidelity"`
	FidelityReason string   `json:"fidelity_reason,omitempty"`

	// Raw is the object as the server sent it.
	Raw json.RawMessage `json:"-"`
}

// Version orders the versions of an indicator: its modified time (else its
// created time) in microseconds since 1970, never negative.
func (i *Indicator) Version() int64 {
	t := i.Modified
	if t.IsZero() {
		t = i.Created
	}
	if t.IsZero() || t.UnixMicro() < 0 {
		return 0
	}
	return t.UnixMicro()
}

// KillChainPhase is STIX 2.1 §2.11.
type KillChainPhase struct {
	KillChain string `json:"kill_chain_name"`
	Phase     string `json:"phase_name"`
}

// ExternalReference is STIX 2.1 §2.8.
type ExternalReference struct {
	SourceName  string            `json:"source_name,omitempty"`
	Description string            `json:"description,omitempty"`
	URL         string            `json:"url,omitempty"`
	ExternalID  string            `json:"external_id,omitempty"`
	Hashes      map[string]string `json:"hashes,omitempty"`
}

// GranularMarking is STIX 2.1 §7.2.3.
type GranularMarking struct {
	Selectors  []string `json:"selectors,omitempty"`
	MarkingRef string   `json:"marking_ref,omitempty"`
	Lang       string   `json:"lang,omitempty"`
}

// Related is an object that the indicator "indicates" (STIX 2.1 §4.7.2).
type Related struct {
	Type       string `json:"type"` // malware, threat-actor, campaign, tool, attack-pattern, …
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	ExternalID string `json:"external_id,omitempty"` // the ATT&CK id of an attack-pattern: T1059.001
	URL        string `json:"url,omitempty"`
}

// Sightings sums up the sighting objects of an indicator.
type Sightings struct {
	Count int64     `json:"count"`
	First time.Time `json:"first_seen,omitzero"`
	Last  time.Time `json:"last_seen,omitzero"`
}
