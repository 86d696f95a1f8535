package sentinel

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenChange is the input of a golden file.
type goldenChange struct {
	Action         string           `json:"action"`
	Reason         intel.Reason     `json:"reason"`
	Remove         []string         `json:"remove"`
	FirstDelivered time.Time        `json:"first_delivered"`
	Indicator      *intel.Indicator `json:"indicator"`
}

func readChange(t testing.TB, file string) intel.Change {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var g goldenChange
	if err := d.Decode(&g); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	c := intel.Change{Action: intel.Upsert, Reason: g.Reason, Indicator: g.Indicator, At: at, FirstDelivered: g.FirstDelivered}
	if g.Action == "withdraw" {
		c.Action = intel.Withdraw
	}
	for _, s := range g.Remove {
		ref, ok := intel.ParseRef(s)
		if !ok {
			t.Fatalf("%s: bad ref %q", file, s)
		}
		c.Remove = append(c.Remove, ref)
	}
	return c
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			c := readChange(t, file)
			var got bytes.Buffer
			for _, compound := range []string{"forward", "split", "skip"} {
				lines, out := NewEncoder(EncoderOptions{Compound: compound}).Append(nil, &c)
				fmt.Fprintf(&got, "# compound = %s: %s %s\n", compound, out.Status, out.Reason)
				for line := range bytes.Lines(lines) {
					if err := json.Indent(&got, line, "", "  "); err != nil {
						t.Errorf("not JSON: %v\n%s", err, line)
					}
				}
			}
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("differs from %s:\n%s", golden, got.Bytes())
			}
		})
	}
}

func TestSkipped(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options EncoderOptions
		change  func(*intel.Indicator)
		want    string
	}{
		{"plain", EncoderOptions{}, func(i *intel.Indicator) {}, ""},
		{"id of another type", EncoderOptions{}, func(i *intel.Indicator) { i.ID = "malware--00000000-0000-4000-8000-000000000001" }, "bad_id"},
		{"id without UUID", EncoderOptions{}, func(i *intel.Indicator) { i.ID = "indicator--1" }, "bad_id"},
		{"no pattern", EncoderOptions{}, func(i *intel.Indicator) { i.Pattern = "" }, "missing_required"},
		{"no times", EncoderOptions{}, func(i *intel.Indicator) { i.Created, i.Modified = time.Time{}, time.Time{} }, "missing_required"},
		{"no created", EncoderOptions{}, func(i *intel.Indicator) { i.Created = time.Time{} }, ""},
		{"no valid_from", EncoderOptions{}, func(i *intel.Indicator) { i.ValidFrom = time.Time{} }, ""},
		{"expired", EncoderOptions{}, func(i *intel.Indicator) { i.ValidUntil = at }, "expired"},
		{"not yet expired", EncoderOptions{}, func(i *intel.Indicator) { i.ValidUntil = at.Add(time.Second) }, ""},
		{"ends before it begins", EncoderOptions{}, func(i *intel.Indicator) { i.ValidFrom, i.ValidUntil = at.Add(2*time.Hour), at.Add(time.Hour) }, "validity"},
		{"ends as it begins", EncoderOptions{}, func(i *intel.Indicator) {
			i.ValidFrom, i.ValidUntil = at.Add(time.Hour), at.Add(time.Hour+time.Microsecond)
		}, "validity"},
		{"invalid pattern", EncoderOptions{}, func(i *intel.Indicator) {
			i.Observables, i.Fidelity, i.FidelityReason = nil, intel.FidelityUnsupported, "invalid_pattern"
		}, "invalid_pattern"},
		{"yara", EncoderOptions{}, func(i *intel.Indicator) { i.PatternType = "yara" }, ""},
		{"yara unwanted", EncoderOptions{PatternTypes: []string{"stix"}}, func(i *intel.Indicator) { i.PatternType = "yara" }, "pattern_type"},
		{"yara wanted", EncoderOptions{PatternTypes: []string{"STIX", "Yara"}}, func(i *intel.Indicator) { i.PatternType = "yara" }, ""},
		{"stix2", EncoderOptions{PatternTypes: []string{"stix"}}, func(i *intel.Indicator) { i.PatternType = "stix2" }, ""},
		{"negation, forwarded", EncoderOptions{}, func(i *intel.Indicator) {
			i.Observables, i.Fidelity, i.FidelityReason = nil, intel.FidelityUnsupported, "negation"
		}, ""},
		{"negation, split", EncoderOptions{Compound: "split"}, func(i *intel.Indicator) {
			i.Observables, i.Fidelity, i.FidelityReason = nil, intel.FidelityUnsupported, "negation"
		}, "negation"},
		{"negation, skip", EncoderOptions{Compound: "skip"}, func(i *intel.Indicator) {
			i.Observables, i.Fidelity, i.FidelityReason = nil, intel.FidelityUnsupported, "negation"
		}, "negation"},
		{"superset, skip", EncoderOptions{Compound: "skip"}, func(i *intel.Indicator) { i.Fidelity = intel.FidelitySuperset }, "compound"},
		{"two hashes, skip", EncoderOptions{Compound: "skip"}, func(i *intel.Indicator) {
			i.Observables = []intel.Observable{{Type: intel.TypeFile, Value: "aa", Fields: []intel.Field{{Name: intel.FieldMD5, Value: "bb"}, {Name: intel.FieldSHA1, Value: "aa"}}}}
		}, "compound"},
		{"single, skip", EncoderOptions{Compound: "skip"}, func(i *intel.Indicator) {}, ""},
	} {
		ind := indicator(1)
		tt.change(ind)
		c := upsert(ind)
		line, out := NewEncoder(tt.options).Append([]byte("before"), &c)
		if out.Reason != tt.want || (out.Status == intel.Skipped) != (tt.want != "") {
			t.Errorf("%s: %s %q, want %q", tt.name, out.Status, out.Reason, tt.want)
		}
		if sent := string(line) != "before"; sent != (tt.want == "") {
			t.Errorf("%s: appended %q", tt.name, line[len("before"):])
		}
	}
}

// TestWithdrawAlways: whatever the newest version looks like, what was sent
// can be taken back.
func TestWithdrawAlways(t *testing.T) {
	for name, change := range map[string]func(*intel.Indicator){
		"plain":       func(i *intel.Indicator) {},
		"no pattern":  func(i *intel.Indicator) { i.Pattern, i.Observables = "", nil },
		"no times":    func(i *intel.Indicator) { i.Created, i.Modified, i.ValidFrom = time.Time{}, time.Time{}, time.Time{} },
		"expired":     func(i *intel.Indicator) { i.ValidUntil = at.Add(-time.Hour) },
		"no validity": func(i *intel.Indicator) { i.ValidUntil = i.ValidFrom.Add(-time.Hour) },
		"from the future": func(i *intel.Indicator) {
			i.Created, i.Modified, i.ValidFrom = at.Add(99*time.Hour), at.Add(100*time.Hour), at.Add(99*time.Hour)
		},
		"yara":    func(i *intel.Indicator) { i.PatternType = "yara" },
		"invalid": func(i *intel.Indicator) { i.Pattern, i.FidelityReason = "[", "invalid_pattern" },
	} {
		for _, compound := range []string{"forward", "split", "skip"} {
			e := NewEncoder(EncoderOptions{Compound: compound, PatternTypes: []string{"stix"}})
			ind := indicator(1)
			change(ind)
			c := withdraw(ind, intel.ReasonGone)
			line, out := e.Append(nil, &c)
			var o struct {
				Revoked     bool
				Pattern     string
				Modified    time.Time
				Created     time.Time
				ValidFrom   time.Time `json:"valid_from"`
				ValidUntil  time.Time `json:"valid_until"`
				PatternType string    `json:"pattern_type"`
			}
			if err := json.Unmarshal(line, &o); err != nil || out.Status != intel.Delivered {
				t.Errorf("%s/%s: %s %v: %s", name, compound, out.Status, err, line)
				continue
			}
			if !o.Revoked || o.Pattern == "" || o.PatternType == "" || !o.ValidUntil.After(o.ValidFrom) || o.Modified.Before(o.Created) || !o.Modified.After(ind.Modified) {
				t.Errorf("%s/%s: %s", name, compound, line)
			}
			again, _ := e.Append(nil, &c)
			if !bytes.Equal(line, again) {
				t.Errorf("%s/%s: not the same twice", name, compound)
			}
		}
	}
}

func TestDerivedID(t *testing.T) {
	ref := intel.Ref{Type: intel.TypeDomain, Value: "example.com"}
	// uuid.uuid5(UUID("00000000-0000-4000-8000-000000000001"), "domain-name:example.com")
	got := derivedID(id(1), ref)
	if !validID(got) || got[len(idPrefix)+14] != '5' {
		t.Errorf("%s is no version 5 UUID", got)
	}
	if got != derivedID(id(1), ref) || got == derivedID(id(2), ref) || got == derivedID(id(1), intel.Ref{Type: intel.TypeURL, Value: "example.com"}) {
		t.Error("ids are not a function of indicator and observable")
	}
	if want := "indicator--50fb69c2-2318-5bd5-819a-f0e894491aab"; got != want {
		t.Errorf("derived id is %s, want %s", got, want)
	}
}

func TestRelatedLabelsAreBounded(t *testing.T) {
	ind := indicator(1)
	ind.Labels = []string{"own"}
	for n := range 1000 {
		ind.Related = append(ind.Related, intel.Related{Type: "malware", Name: fmt.Sprint("m", n)})
	}
	if n := len(labels(ind)); n != 1+maxRelatedLabels {
		t.Errorf("%d labels", n)
	}
	if len(ind.Labels) != 1 {
		t.Error("the indicator was changed")
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, name := range []string{"full", "compound"} {
		for _, compound := range []string{"forward", "split"} {
			b.Run(name+"/"+compound, func(b *testing.B) {
				c := readChange(b, "testdata/golden/"+name+".json")
				e := NewEncoder(EncoderOptions{Compound: compound})
				var buf []byte
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = e.Append(buf[:0], &c)
				}
				b.SetBytes(int64(len(buf)))
			})
		}
	}
}

func FuzzEncoder(f *testing.F) {
	f.Add("name", "label", "value", "2.1", "x", int64(0), 50, uint8(0))
	f.Add("\xff\u2028\x00", "", "it's \\", "2.0", "labels.[0]", int64(-1<<40), 101, uint8(7))
	f.Fuzz(func(t *testing.T, name, label, value, spec, selector string, offset int64, confidence int, bits uint8) {
		ind := indicator(1)
		ind.Name, ind.Labels, ind.SpecVersion, ind.Confidence = name, []string{label}, spec, &confidence
		ind.GranularMarkings = []intel.GranularMarking{{Selectors: []string{selector}, Lang: "en"}}
		ind.ExternalReferences = []intel.ExternalReference{{SourceName: label, Hashes: map[string]string{name: value}}}
		ind.Observables = []intel.Observable{{Type: intel.TypeFile, Value: value}, {Type: intel.ObservableType(label), Value: name}}
		ind.ValidUntil = at.Add(time.Duration(offset))
		c := upsert(ind)
		if bits&1 != 0 {
			c = withdraw(ind, intel.ReasonGone)
		}
		if bits&2 != 0 {
			ind.Observables = ind.Observables[:1]
		}
		e := NewEncoder(EncoderOptions{Compound: []string{"forward", "split", "skip"}[bits%3]})
		lines, out := e.Append(nil, &c)
		if (len(lines) > 0) != (out.Status == intel.Delivered) {
			t.Errorf("%s with %d bytes", out.Status, len(lines))
		}
		for line := range bytes.Lines(lines) {
			if !json.Valid(line) || line[len(line)-1] != '\n' {
				t.Errorf("not a line of JSON: %q", line)
			}
		}
	})
}
