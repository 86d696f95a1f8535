package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/stix"
)

// truth is the feed as it should be known: the newest version of each
// indicator that the server has had.
type truth struct {
	newest map[string][]byte
}

// note takes in an object that the server has now. What is no indicator, or no
// STIX object at all, says nothing about what a destination should hold.
func (k *truth) note(raw []byte) {
	ind, _, err := stix.DecodeIndicator(raw)
	if err != nil {
		return
	}
	if old, ok := k.newest[ind.ID]; ok {
		before, _, err := stix.DecodeIndicator(old)
		if err == nil && ind.Version() < before.Version() {
			return
		}
	}
	k.newest[ind.ID] = slices.Clone(raw)
}

// inForce returns the indicators that are neither revoked nor expired nor
// benign, with their observables.
func (k *truth) inForce(t testing.TB, at time.Time) []*intel.Indicator {
	t.Helper()
	var out []*intel.Indicator
	for _, raw := range k.newest {
		ind, _, err := stix.DecodeIndicator(raw)
		if err != nil {
			t.Fatal(err)
		}
		stix.Derive(ind)
		if ind.Revoked || slices.Contains(ind.IndicatorTypes, "benign") || !ind.ValidUntil.IsZero() && !ind.ValidUntil.After(at) {
			continue
		}
		out = append(out, ind)
	}
	return out
}

// held is what a destination holds: by STIX id, the observables. An indicator
// that is held without any is there with an empty list.
type held map[string][]intel.Ref

func (h held) add(id string, refs ...intel.Ref) {
	h[id] = append(h[id], refs...)
}

// count returns how many observables are held.
func (h held) count() int {
	n := 0
	for _, refs := range h {
		n += len(refs)
	}
	return n
}

// expectation is what a destination should hold, and of how many indicators it
// should say for what reason that it can not hold them.
type expectation struct {
	held    held
	skipped map[string]int64
}

// expect says what becomes of the indicators at each sink. It is written from
// the sinks' documentation, not with their code.
func expect(all []*intel.Indicator) map[string]expectation {
	want := map[string]expectation{}
	for _, s := range everySink {
		want[s] = expectation{held{}, map[string]int64{}}
	}
	for _, ind := range all {
		var refs []intel.Ref
		for i := range ind.Observables {
			refs = append(refs, ind.Observables[i].Ref())
		}
		// The file keeps every indicator.
		want[fileSink].held.add(ind.ID, refs...)

		// Splunk: an event per observable and further hash of a file, else one for
		// the pattern.
		events := slices.Clone(refs)
		for i := range ind.Observables {
			events = append(events, furtherHashes(&ind.Observables[i])...)
		}
		if len(events) == 0 {
			events = []intel.Ref{{Type: "pattern"}}
		}
		want[splunkSink].held.add(ind.ID, distinct(events)...)

		// Sentinel: the pattern as it is, unless that is no pattern.
		if ind.FidelityReason == "invalid_pattern" {
			want[sentinelSink].skipped["invalid_pattern"]++
		} else {
			want[sentinelSink].held.add(ind.ID, refs...)
		}

		// Elasticsearch: a document per observable, and one for a rule in another
		// language; a pattern that yields nothing to search for is skipped.
		if len(refs) == 0 && ind.PatternType == "stix" {
			want[elasticSink].skipped[ind.FidelityReason]++
		} else {
			want[elasticSink].held.add(ind.ID, refs...)
		}
	}
	return want
}

// furtherHashes returns the cryptographic hashes of a file besides the one that
// it is keyed on.
func furtherHashes(o *intel.Observable) []intel.Ref {
	if o.Type != intel.TypeFile {
		return nil
	}
	var out []intel.Ref
	for _, f := range o.Fields {
		kind, ok := strings.CutPrefix(f.Name, "hash.")
		if ok && (kind == "md5" || strings.HasPrefix(kind, "sha")) && f.Value != o.Value {
			out = append(out, intel.Ref{Type: o.Type, Value: f.Value})
		}
	}
	return out
}

func distinct(refs []intel.Ref) []intel.Ref {
	var out []intel.Ref
	for _, r := range refs {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// compare reports every difference between two holdings, the first few in full.
func compare(t testing.TB, where string, want, got held) {
	t.Helper()
	problems := 0
	report := func(format string, args ...any) {
		t.Helper()
		if problems++; problems <= 10 {
			t.Errorf(where+": "+format, args...)
		}
	}
	for id, refs := range want {
		found, ok := got[id]
		if !ok {
			report("%s is missing", id)
			continue
		}
		for _, r := range refs {
			if !slices.Contains(found, r) {
				report("%s lacks %s", id, r)
			}
		}
	}
	for id, refs := range got {
		expected, ok := want[id]
		if !ok {
			report("%s should not be there", id)
			continue
		}
		for i, r := range refs {
			if !slices.Contains(expected, r) {
				report("%s should not have %s", id, r)
			}
			if slices.Contains(refs[:i], r) {
				report("%s has %s twice", id, r)
			}
		}
	}
	if problems > 10 {
		t.Errorf("%s: %d differences in all", where, problems)
	}
}
