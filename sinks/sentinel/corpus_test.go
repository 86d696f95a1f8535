package sentinel

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/stix"
	"taxii-forwarder/sinks/sentinel/sentineltest"
)

// corpus returns the indicators of the files under CORPUS_DIR.
func corpus(t testing.TB) []*intel.Indicator {
	t.Helper()
	dir := os.Getenv("CORPUS_DIR")
	if dir == "" {
		t.Skip("CORPUS_DIR is not set")
	}
	var all []*intel.Indicator
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".stix2") && !strings.HasSuffix(path, ".json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var bundle struct {
			Objects []json.RawMessage `json:"objects"`
		}
		if json.Unmarshal(data, &bundle) != nil {
			return nil
		}
		for _, raw := range bundle.Objects {
			if o, err := stix.DecodeObject(raw); err != nil || o.Type != "indicator" || seen[o.ID] {
				continue
			}
			ind, _, err := stix.DecodeIndicator(raw)
			if err != nil {
				continue
			}
			seen[ind.ID] = true
			ind.Feed = "corpus"
			stix.Derive(ind)
			all = append(all, ind)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 1000 {
		t.Fatalf("only %d indicators under %s", len(all), dir)
	}
	return all
}

// TestCorpus: everything that real feeds hold is accepted by the strict
// server, every pattern that we write is one, and every observable that was
// split off is there; then all of it is withdrawn.
func TestCorpus(t *testing.T) {
	all := corpus(t)
	for _, compound := range []string{"forward", "split"} {
		t.Run(compound, func(t *testing.T) {
			server := newServer(t, sentineltest.Options{RequestsPerMinute: -1, Forget: true})
			config := configFor(t, server)
			config.Compound, config.RequestsPerMinute = compound, maxRequestsPerMinute
			sink := newSink(t, config)
			want := map[string]bool{}
			var batch, back []intel.Change
			for _, ind := range all {
				c := upsert(ind)
				back = append(back, withdraw(ind, intel.ReasonGone))
				batch = append(batch, c)
				_, out := sink.Preview(nil, &c)
				switch {
				case out.Status == intel.Skipped:
				case compound == "split" && len(ind.Observables) > 0:
					for i := range ind.Observables {
						want[derivedID(ind.ID, ind.Observables[i].Ref())] = true
					}
				default:
					want[ind.ID] = true
				}
			}
			out := deliver(t, sink, batch)
			t.Log(statuses(out))
			for _, o := range out {
				if o.Status == intel.Rejected {
					t.Errorf("rejected: %s\n%s", o.Detail, o.Sent)
				}
			}
			objects := server.Active()
			if len(objects) != len(want) {
				t.Errorf("%d objects, want %d", len(objects), len(want))
			}
			for _, o := range objects {
				if !want[o.ID] {
					t.Errorf("unexpected object %s", o.Raw)
				}
				var kind struct {
					PatternType string `json:"pattern_type"`
				}
				if json.Unmarshal(o.Raw, &kind); kind.PatternType != "stix" {
					continue
				}
				if _, err := stix.ParsePattern(o.Pattern); err != nil {
					t.Errorf("%s: %v", o.Pattern, err)
				}
			}
			for _, o := range deliver(t, sink, back) {
				if o.Status == intel.Rejected {
					t.Errorf("withdrawal rejected: %s\n%s", o.Detail, o.Sent)
				}
			}
			if left := server.Active(); len(left) > 0 {
				t.Errorf("%d objects are left, such as %s", len(left), left[0].Raw)
			}
		})
	}
}

// TestSinglePatternsMean what they replace: parsed again, they yield the same
// observable, exactly.
func TestSinglePatternsMean(t *testing.T) {
	for _, ind := range corpus(t) {
		single, ok := singlePattern(ind)
		if !ok {
			continue
		}
		again := &intel.Indicator{Pattern: single, PatternType: "stix", SpecVersion: ind.SpecVersion}
		stix.Derive(again)
		if len(again.Observables) != 1 || again.Observables[0].Ref() != ind.Observables[0].Ref() || again.Fidelity != intel.FidelityExact {
			t.Errorf("%s became %s, which means %+v instead of %+v", ind.Pattern, single, again.Observables, ind.Observables)
		}
	}
}
