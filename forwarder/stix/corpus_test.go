package stix

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

// bundleObjects returns every object of every bundle or envelope in a file, nil
// if it holds none.
func bundleObjects(raw []byte) []json.RawMessage {
	var bundle struct{ Objects []json.RawMessage }
	if json.Unmarshal(raw, &bundle) != nil {
		return nil
	}
	return bundle.Objects
}

func walkCorpus(t *testing.T, dirs []string, visit func(path string, object []byte)) {
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(corpus(t), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, object := range bundleObjects(raw) {
				visit(path, object)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCorpusCampaigns decodes, enriches and derives two publishers' campaigns.
func TestCorpusCampaigns(t *testing.T) {
	context := map[string][][]byte{}
	var indicators [][]byte
	names := map[string][]byte{}
	walkCorpus(t, []string{"amnesty", "mvt"}, func(path string, raw []byte) {
		o, err := DecodeObject(raw)
		if err != nil || len(o.Issues) > 0 {
			t.Errorf("%s: %v %v", path, err, o.Issues)
		}
		switch o.Type {
		case "indicator":
			indicators = append(indicators, raw)
		case "relationship":
			context[o.SourceRef] = append(context[o.SourceRef], raw)
		case "malware":
			names[o.ID] = raw
		}
	})
	fidelities := map[intel.Fidelity]int{}
	reasons := map[string]int{}
	types := map[intel.ObservableType]int{}
	related := 0
	for _, raw := range indicators {
		ind, issues, err := DecodeIndicator(raw)
		if err != nil || len(issues) > 0 {
			t.Errorf("%s: %v %v", raw, err, issues)
			continue
		}
		Derive(ind)
		checkInvariants(t, ind)
		about := context[ind.ID]
		for _, r := range slices.Clone(about) {
			o, _ := DecodeObject(r)
			about = append(about, names[o.TargetRef])
		}
		if Enrich(ind, about); len(ind.Related) > 0 && ind.Related[0].Name != "" {
			related++
		}
		fidelities[ind.Fidelity]++
		if ind.FidelityReason != "" {
			reasons[ind.FidelityReason]++
		}
		for _, o := range ind.Observables {
			types[o.Type]++
		}
	}
	if len(indicators) != 5713 || related != 5713 {
		t.Errorf("%d indicators, %d related, want 5713", len(indicators), related)
	}
	pin(t, "fidelity", fidelities, map[intel.Fidelity]int{intel.FidelityExact: 5672, intel.FidelityUnsupported: 41})
	// app:id, app:cert.sha256, android-property:name, configuration-profile:id
	pin(t, "reason", reasons, map[string]int{ReasonUnknownType: 41})
	// 7 addresses and one URL are filed as domains.
	pin(t, "type", types, map[intel.ObservableType]int{
		intel.TypeDomain: 5305 - 8, intel.TypeIPv4: 45 + 7, intel.TypeURL: 1, intel.TypeEmail: 65,
		intel.TypeFile: 81 + 58 + 20 + 15, intel.TypeProcess: 83,
	})
}

// pin compares counts, both ways.
func pin[K ~string](t *testing.T, what string, got, want map[K]int) {
	t.Helper()
	for k, n := range got {
		if want[k] != n {
			t.Errorf("%s %s: %d, want %d", what, k, n, want[k])
		}
	}
	for k, n := range want {
		if _, ok := got[k]; !ok {
			t.Errorf("%s %s: 0, want %d", what, k, n)
		}
	}
}

// TestCorpusOthers decodes every other object there is: specification examples,
// validator tests (malformed ones too), other products' samples.
func TestCorpusOthers(t *testing.T) {
	entries, err := os.ReadDir(corpus(t))
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "amnesty" && e.Name() != "mvt" && e.Name() != "patterns" {
			dirs = append(dirs, e.Name())
		}
	}
	objects, indicators := 0, 0
	fidelities := map[intel.Fidelity]int{}
	refused := map[string]int{}
	walkCorpus(t, dirs, func(path string, raw []byte) {
		objects++
		o, err := DecodeObject(raw)
		if err != nil {
			reason := err.Error()
			refused[reason[strings.LastIndex(reason, ": ")+2:]]++
			return
		}
		decodeContext(raw)
		if o.Type != "indicator" {
			return
		}
		ind, _, err := DecodeIndicator(raw)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		indicators++
		Derive(ind)
		checkInvariants(t, ind)
		fidelities[ind.Fidelity]++
	})
	if objects != 805 || indicators != 123 {
		t.Errorf("%d objects, %d indicators, want 805 and 123", objects, indicators)
	}
	pin(t, "fidelity", fidelities, map[intel.Fidelity]int{intel.FidelityExact: 105, intel.FidelitySuperset: 13, intel.FidelityUnsupported: 5})
	pin(t, "refused", refused, map[string]int{errNoType.Error(): 50, errNoID.Error(): 12})
}
