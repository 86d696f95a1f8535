package stix

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestByContent(t *testing.T) {
	const one = `{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = 'a.example.com']","pattern_type":"stix","created_by_ref":"identity--1","name":"n"}`
	with := func(old, new string) string {
		t.Helper()
		if !strings.Contains(one, old) {
			t.Fatalf("%s is not in the object", old)
		}
		return strings.Replace(one, old, new, 1)
	}
	idOf := func(raw []byte) string {
		ind, _, err := DecodeIndicator(raw)
		if err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		return ind.ID
	}
	base := ByContent([]byte(one))
	id := idOf(base)
	// Destinations know indicators by it: it must never change.
	if want := "indicator--3f1f8892-5e01-5ec9-81f6-aabae6245ed7"; id != want {
		t.Errorf("id %s, want %s", id, want)
	}
	var members map[string]any
	if err := json.Unmarshal(base, &members); err != nil || !json.Valid(base) {
		t.Fatalf("%v: %s", err, base)
	}
	if members[PublishedAs] != "indicator--11111111-0000-4000-8000-000000000001" || members["name"] != "n" || members["type"] != "indicator" {
		t.Errorf("members %v", members)
	}

	for _, tt := range []struct {
		name, raw          string
		sameID, sameThings bool
	}{
		{"published again", with("11111111", "22222222"), true, true},
		{"later", strings.ReplaceAll(with("11111111", "22222222"), "2026-01-01", "2026-02-02"), true, true},
		{"members in another order", with(`"pattern_type":"stix",`, "")[:len(with(`"pattern_type":"stix",`, ""))-1] + `,"pattern_type":"stix"}`, true, true},
		{"blanks around", "\n " + with(`{"type"`, "{ \n\"type\"") + " ", true, true},
		{"another name", with(`"name":"n"`, `"name":"m"`), true, false},
		{"revoked", with(`"name":"n"`, `"name":"n","revoked":true`), true, false},
		{"pattern type by default", with(`"pattern_type":"stix",`, ""), true, false},
		{"another pattern", with("a.example.com", "b.example.com"), false, false},
		{"another language", with(`"pattern_type":"stix"`, `"pattern_type":"sigma"`), false, false},
		{"another producer", with("identity--1", "identity--2"), false, false},
		{"an id that is escaped", with("indicator--1111", `indicator\u002d-1111`), true, true},
	} {
		got := ByContent([]byte(tt.raw))
		if !Named(got) {
			t.Errorf("%s: not named: %s", tt.name, got)
		}
		if same := idOf(got) == id; same != tt.sameID {
			t.Errorf("%s: same id %v, want %v", tt.name, same, tt.sameID)
		}
		if same := Substance(got) == Substance(base); same != tt.sameThings {
			t.Errorf("%s: says the same %v, want %v", tt.name, same, tt.sameThings)
		}
	}

	for name, raw := range map[string]string{
		"no indicator":           `{"type":"malware","id":"malware--1","pattern":"x"}`,
		"no pattern":             with(`"pattern":"[domain-name:value = 'a.example.com']",`, ""),
		"empty pattern":          with(`[domain-name:value = 'a.example.com']`, " "),
		"no id":                  with(`"id":"indicator--11111111-0000-4000-8000-000000000001",`, ""),
		"an empty id":            with("indicator--11111111-0000-4000-8000-000000000001", ""),
		"an id that is a number": with(`"indicator--11111111-0000-4000-8000-000000000001"`, "7"),
		"no object":              `[]`,
		"cut off":                one[:40],
		"nothing":                ``,
	} {
		if got := ByContent([]byte(raw)); string(got) != raw || Named(got) {
			t.Errorf("%s: became %s", name, got)
		}
	}
}

func FuzzByContent(f *testing.F) {
	f.Add([]byte(`{"type":"indicator","id":"indicator--1","pattern":"[a:b=1]"}`))
	f.Add([]byte(`{"type":"indicator","id":"\u0000","pattern":"[a:b=1]","id":"x"}`))
	f.Add([]byte(`{"type":"indicator","id":"","pattern":"[a:b=1]"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before, err := DecodeObject(raw)
		got := ByContent(raw)
		if !Named(got) {
			return
		}
		after, err2 := DecodeObject(got)
		if err != nil || err2 != nil {
			if (err == nil) != (err2 == nil) {
				t.Fatalf("%v, %v: %s became %s", err, err2, raw, got)
			}
			return
		}
		before.ID, after.ID = "", ""
		if before.Type != after.Type || before.Revoked != after.Revoked || !before.Modified.Equal(after.Modified) {
			t.Fatalf("%s became %s", raw, got)
		}
		Substance(got)
	})
}
