package elasticsearch

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// rich is an indicator with everything that a producer can say.
func rich() *intel.Indicator {
	confidence := 85
	file := intel.Observable{
		Type: intel.TypeFile, Value: "a31f222fc283227f5e7988d1ad9c0aecd66d58bb7b4d8518ae23e110308dbf91", Fidelity: intel.FidelitySuperset,
		Fields: []intel.Field{
			{Name: intel.FieldMD5, Value: "5d41402abc4b2a76b9719d911017c592"},
			{Name: intel.FieldSHA1, Value: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
			{Name: intel.FieldSHA256, Value: "a31f222fc283227f5e7988d1ad9c0aecd66d58bb7b4d8518ae23e110308dbf91"},
			{Name: intel.FieldSHA3256, Value: "3338be694f50c5f338814986cdf0686453a888b84f424d792af4b9202398f392"},
			{Name: intel.FieldSSDEEP, Value: "96:4ABCdefGHI:4ABCdefGHI"},
			{Name: intel.FieldImphash, Value: "f34d5f2d4577ed6d9ceec516c1f5a744"},
			{Name: intel.FieldName, Value: "invoice.pdf.exe"},
			{Name: intel.FieldDirectory, Value: `C:\Users\Public`},
			{Name: intel.FieldSize, Value: "48640"},
		},
	}
	return &intel.Indicator{
		Feed: "osint", Collection: "91a7b528-80eb-42ed-a74d-c6fbd5a26116",
		ID: "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", SpecVersion: "2.1",
		Name: "Example \"Loader\" – sample", Description: "Dropped by\nan example.", Lang: "en",
		IndicatorTypes: []string{"malicious-activity"}, Labels: []string{"loader", "malicious-activity"}, Confidence: &confidence,
		Created: time.Date(2025, 11, 2, 8, 0, 0, 1_000_000, time.UTC), Modified: time.Date(2026, 2, 27, 9, 30, 0, 123_456_000, time.UTC),
		ValidFrom: time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC), ValidUntil: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Pattern: "[file:hashes.'SHA-256' = 'a31f222fc283227f5e7988d1ad9c0aecd66d58bb7b4d8518ae23e110308dbf91']", PatternType: "stix", PatternVersion: "2.1",
		CreatedByRef: "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff", CreatedBy: "Example CERT",
		KillChainPhases: []intel.KillChainPhase{
			{KillChain: "mitre-attack", Phase: "command-and-control"}, {KillChain: "lockheed-martin-cyber-kill-chain", Phase: "delivery"},
		},
		ExternalReferences: []intel.ExternalReference{
			{SourceName: "cve", ExternalID: "CVE-2025-0001"},
			{SourceName: "Example report", URL: "https://reports.example.com/42", Description: "page 7"},
		},
		MarkingRefs: []string{"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"}, TLP: intel.TLPAmberStrict,
		Related: []intel.Related{
			{Type: "malware", ID: "malware--1", Name: "ExampleLoader", ExternalID: "S9001", URL: "https://attack.mitre.org/software/S9001/"},
			{Type: "tool", ID: "tool--1", Name: "ExampleTool"},
			{Type: "intrusion-set", ID: "intrusion-set--1", Name: "Example Bear", ExternalID: "G9001"},
			{Type: "attack-pattern", ID: "attack-pattern--1", Name: "Ingress Tool Transfer", ExternalID: "T1105", URL: "https://attack.mitre.org/techniques/T1105/"},
			{Type: "attack-pattern", ID: "attack-pattern--2", Name: "PowerShell", ExternalID: "T1059.001"},
			{Type: "campaign", ID: "campaign--1", Name: "Example Campaign"},
		},
		Sightings:   &intel.Sightings{Count: 7, First: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC), Last: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
		Observables: []intel.Observable{file}, Fidelity: intel.FidelitySuperset, FidelityReason: "extra_conditions",
	}
}

// goldenCases are changes by the name of their golden file.
func goldenCases() map[string][]intel.Change {
	whole := rich()
	cases := map[string][]intel.Change{
		"every-type":   upsert(now, sinktest.EveryType(1)...),
		"rich":         upsert(now, whole),
		"yara":         upsert(now, sinktest.Unsupported(3)),
		"withdraw":     {withdraw(now, whole)},
		"bare-minimum": upsert(now, &intel.Indicator{Feed: "f", ID: "indicator--x", PatternType: "stix", Observables: []intel.Observable{{Type: intel.TypeDomain, Value: "localhost"}}}),
	}
	lost := upsert(now, sinktest.Multi(5, 2))
	lost[0].FirstDelivered = now.Add(-time.Hour)
	lost[0].Remove = []intel.Ref{{Type: intel.TypeDomain, Value: "gone.example.com"}}
	cases["new-version"] = lost
	return cases
}

// TestGolden compares what a bulk request holds, action lines and documents,
// with testdata; and demands that a strict server takes every line.
func TestGolden(t *testing.T) {
	s := elastictest.NewServer(elastictest.Options{APIKey: testKey})
	defer s.Close()
	sink := open(t, s)
	for name, changes := range goldenCases() {
		t.Run(name, func(t *testing.T) {
			var lines []byte
			for i := range changes {
				var o intel.Outcome
				if lines, o = sink.Preview(lines, &changes[i]); o.Status != intel.Delivered {
					t.Fatalf("%d: %v", i, o)
				}
			}
			compareGolden(t, filepath.Join("testdata", name+".json"), lines)
			mustDeliver(t, sink, changes...)
		})
	}
}

// TestGoldenAppend does the same for what the file sink's format ecs writes.
func TestGoldenAppend(t *testing.T) {
	for _, name := range []string{"rich", "withdraw", "new-version"} {
		var lines []byte
		for _, c := range goldenCases()[name] {
			lines, _ = NewEncoder().Append(lines, &c)
		}
		compareGolden(t, filepath.Join("testdata", "append-"+name+".json"), lines)
	}
}

func compareGolden(t *testing.T, file string, lines []byte) {
	t.Helper()
	var got bytes.Buffer
	for line := range bytes.Lines(lines) {
		if !json.Valid(line) {
			t.Fatalf("no JSON: %s", line)
		}
		v := jsontext.Value(bytes.Clone(line))
		if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got.Write(bytes.TrimSpace(v))
		got.WriteByte('\n')
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
	if !bytes.Equal(got.Bytes(), want) {
		a, b := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
		for i := range min(len(a), len(b)) {
			if !bytes.Equal(a[i], b[i]) {
				t.Fatalf("%s:%d:\n got %s\nwant %s", file, i+1, a[i], b[i])
			}
		}
		t.Fatalf("%s: %d lines instead of %d", file, len(a), len(b))
	}
}
