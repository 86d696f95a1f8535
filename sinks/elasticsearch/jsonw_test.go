package elasticsearch

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"taxii-forwarder/forwarder/intel"
)

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", `say "hi"`, `C:\x`, "1234567", "12345678", "1234567\n", "12345678\x7f", "ünïcode", "\xff\xfe", "\u2028", "1234\x00678", strings.Repeat("x", 100) + `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w writer
		w.quote(s)
		var back string
		if err := json.Unmarshal(w.b, &back); err != nil {
			t.Fatalf("%q: %v", w.b, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && back != want {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(1_772_366_400), int64(123_456_789))
	f.Add(int64(253_402_300_799), int64(999_999_999))
	f.Add(int64(-62_135_596_800), int64(1000))
	f.Fuzz(func(t *testing.T, s, ns int64) {
		at := time.Unix(s, ns).UTC().Truncate(time.Microsecond)
		if at.Year() < 1 || at.Year() > 9999 {
			t.Skip()
		}
		back, err := time.Parse(time.RFC3339Nano, string(appendTime(nil, at)))
		if err != nil || !back.Equal(at) {
			t.Fatalf("%v became %s (%v)", at, appendTime(nil, at), err)
		}
	})
}

// FuzzDocument: whatever the text, a document is one line of valid JSON and
// says what the observable is.
func FuzzDocument(f *testing.F) {
	for i, kind := range []intel.ObservableType{intel.TypeIPv4, intel.TypeDomain, intel.TypeURL, intel.TypeRegistryKey, intel.TypeFile, intel.TypeASN, intel.TypeMAC} {
		f.Add(string(kind), []string{"192.0.2.1/33", "..", "http://[::1%25a]:99999/%zz?#", `HKEY_LOCAL_MACHINE\`, "a\nb", "AS1", ":"}[i], "path", `C:\`)
	}
	f.Fuzz(func(t *testing.T, kind, value, field, data string) {
		ind := &intel.Indicator{Feed: data, ID: value, Name: field, PatternType: "stix", Labels: []string{data, "", data}, Observables: []intel.Observable{
			{Type: intel.ObservableType(kind), Value: value, Fields: []intel.Field{{Name: field, Value: data}}},
		}}
		line, o := NewEncoder().Append(nil, &intel.Change{Action: intel.Upsert, Indicator: ind, At: now})
		if o.Status != intel.Delivered || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("%v: %q", o, line)
		}
		var doc map[string]any
		if err := json.Unmarshal(line, &doc); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if id := documentID(ind, ind.Observables[0].Ref()); len(id) > maxDocumentID {
			t.Fatalf("_id of %d bytes", len(id))
		}
		if got, _ := at(doc, "threat.indicator.name").(string); utf8.ValidString(value) && got != value {
			t.Fatalf("name %q; want %q", got, value)
		}
	})
}
