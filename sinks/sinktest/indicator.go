package sinktest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Epoch is when the first indicator was created; the helpers count from it.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// Feed and Collection are where the helpers' indicators come from.
const (
	Feed       = "osint"
	Collection = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
)

// Indicator returns the n-th indicator: one observable, whose type goes round
// the common ones, in its first version.
func Indicator(n int) *intel.Indicator {
	kinds := common()
	return New(n, kinds[n%len(kinds)](n))
}

// Indicators returns the indicators from, from+1, … n of them.
func Indicators(from, n int) []*intel.Indicator {
	all := make([]*intel.Indicator, n)
	for i := range all {
		all[i] = Indicator(from + i)
	}
	return all
}

// EveryType returns indicators that between them have every type of observable
// a pattern can yield, ranges, several hashes and further conditions included,
// numbered from from.
func EveryType(from int) []*intel.Indicator {
	kinds := append(common(), rare()...)
	all := make([]*intel.Indicator, len(kinds))
	for i, kind := range kinds {
		all[i] = New(from+i, kind(from+i))
	}
	return all
}

// Multi returns the n-th indicator with k domain names in one pattern.
func Multi(n, k int) *intel.Indicator {
	observables := make([]intel.Observable, k)
	for i := range observables {
		observables[i] = domain(n*10_000 + i)
	}
	return New(n, observables...)
}

// Unsupported returns the n-th indicator with a YARA rule for a pattern, which
// yields no observable.
func Unsupported(n int) *intel.Indicator {
	ind := New(n)
	ind.PatternType = "yara"
	ind.Pattern = fmt.Sprintf("rule r%d { condition: false }", n)
	ind.Fidelity, ind.FidelityReason = intel.FidelityUnsupported, "pattern_type"
	ind.Raw = raw(ind)
	return ind
}

// New returns the n-th indicator with the given observables, any of which
// matching makes the pattern match.
func New(n int, observables ...intel.Observable) *intel.Indicator {
	confidence := n * 7 % 101
	created := Epoch.Add(time.Duration(n) * time.Second)
	ind := &intel.Indicator{
		Feed:            Feed,
		Collection:      Collection,
		ID:              ID(n),
		SpecVersion:     "2.1",
		Name:            fmt.Sprintf("Indicator %d", n),
		Description:     fmt.Sprintf("Seen in exercise %d; \"quoted\", <b>marked up</b>, ünïcode ✓ and a \\ backslash.", n),
		IndicatorTypes:  []string{"malicious-activity"},
		Labels:          []string{"exercise", fmt.Sprintf("batch-%d", n%5)},
		Confidence:      &confidence,
		Created:         created,
		Modified:        created,
		ValidFrom:       created,
		ValidUntil:      Epoch.AddDate(20, 0, 0),
		PatternType:     "stix",
		PatternVersion:  "2.1",
		CreatedByRef:    "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",
		CreatedBy:       "Example Research",
		KillChainPhases: []intel.KillChainPhase{{KillChain: "lockheed-martin-cyber-kill-chain", Phase: "delivery"}},
		ExternalReferences: []intel.ExternalReference{
			{SourceName: "example", URL: fmt.Sprintf("https://reports.example.org/%d", n), ExternalID: fmt.Sprintf("EX-%d", n)},
		},
		MarkingRefs: []string{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"},
		TLP:         intel.TLPGreen,
		Observables: observables,
		Fidelity:    intel.FidelityExact,
	}
	if len(observables) == 0 {
		ind.Fidelity, ind.FidelityReason = intel.FidelityUnsupported, "no_observable"
	}
	for _, o := range observables {
		if o.Fidelity != intel.FidelityExact {
			ind.Fidelity, ind.FidelityReason = o.Fidelity, "extra_conditions"
		}
	}
	ind.Pattern = pattern(observables)
	ind.Raw = raw(ind)
	return ind
}

// ID returns the STIX id of the n-th indicator.
func ID(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "indicator %d", n))
	h := hex.EncodeToString(sum[:16])
	return fmt.Sprintf("indicator--%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}

// Newer returns a copy of ind in the version that comes steps hours later.
func Newer(ind *intel.Indicator, steps int) *intel.Indicator {
	next := *ind
	next.Modified = ind.Modified.Add(time.Duration(steps) * time.Hour)
	next.Raw = raw(&next)
	return &next
}

// With returns a copy of ind one version later with other observables.
func With(ind *intel.Indicator, observables ...intel.Observable) *intel.Indicator {
	next := Newer(ind, 1)
	next.Observables = observables
	next.Pattern = pattern(observables)
	if len(observables) == 0 {
		next.Fidelity, next.FidelityReason = intel.FidelityUnsupported, "no_observable"
	}
	next.Raw = raw(next)
	return next
}

// Refs returns the Refs of ind's observables.
func Refs(ind *intel.Indicator) []intel.Ref {
	var refs []intel.Ref
	for i := range ind.Observables {
		refs = append(refs, ind.Observables[i].Ref())
	}
	return refs
}

// pattern writes a STIX pattern for observables. For types without a rendering
// of their own it is about a file of that name, so that it is at least valid.
func pattern(observables []intel.Observable) string {
	if len(observables) == 0 {
		return "[file:size > 0]"
	}
	terms := make([]string, len(observables))
	for i, o := range observables {
		path := "file:name"
		switch o.Type {
		case intel.TypeIPv4, intel.TypeIPv6, intel.TypeDomain, intel.TypeURL, intel.TypeEmail, intel.TypeMAC:
			path = string(o.Type) + ":value"
		case intel.TypeFile:
			if h := o.Field(intel.FieldSHA256); h == o.Value {
				path = "file:hashes.'SHA-256'"
			} else if h := o.Field(intel.FieldMD5); h == o.Value {
				path = "file:hashes.MD5"
			}
		case intel.TypeMutex:
			path = "mutex:name"
		case intel.TypeRegistryKey:
			path = "windows-registry-key:key"
		case intel.TypeASN:
			terms[i] = "[autonomous-system:number = " + o.Value + "]"
			continue
		}
		value := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(o.Value)
		terms[i] = "[" + path + " = '" + value + "']"
	}
	return strings.Join(terms, " OR ")
}

// raw returns the STIX object that ind could have come from.
func raw(ind *intel.Indicator) json.RawMessage {
	const layout = "2006-01-02T15:04:05.000Z"
	object := map[string]any{
		"type": "indicator", "spec_version": ind.SpecVersion, "id": ind.ID,
		"created": ind.Created.Format(layout), "modified": ind.Modified.Format(layout),
		"created_by_ref": ind.CreatedByRef, "name": ind.Name, "description": ind.Description,
		"indicator_types": ind.IndicatorTypes, "labels": ind.Labels, "confidence": ind.Confidence,
		"pattern": ind.Pattern, "pattern_type": ind.PatternType, "pattern_version": ind.PatternVersion,
		"valid_from": ind.ValidFrom.Format(layout), "valid_until": ind.ValidUntil.Format(layout),
		"kill_chain_phases": ind.KillChainPhases, "external_references": ind.ExternalReferences,
		"object_marking_refs": ind.MarkingRefs,
	}
	if ind.Revoked {
		object["revoked"] = true
	}
	b, err := json.Marshal(object)
	if err != nil {
		panic("sinktest: " + err.Error())
	}
	return b
}
