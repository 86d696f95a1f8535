package stix

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func TestDecodeObject(t *testing.T) {
	got, err := DecodeObject([]byte(`{"type":"relationship","spec_version":"2.1","id":"relationship--1","created":"2020-01-01T00:00:00.000Z",
		"modified":"2020-01-02T00:00:00.123456Z","created_by_ref":"identity--1","revoked":true,"relationship_type":"indicates",
		"source_ref":"indicator--1","target_ref":"malware--1","object_marking_refs":["marking-definition--1"],
		"granular_markings":[{"selectors":["a"],"marking_ref":"marking-definition--2"},{"selectors":["b"],"lang":"de"}],"x":{"y":[1,2.5e3,null]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Object{
		Type: "relationship", ID: "relationship--1", SpecVersion: "2.1",
		Created: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Modified: time.Date(2020, 1, 2, 0, 0, 0, 123456000, time.UTC),
		Revoked: true, CreatedByRef: "identity--1", MarkingRefs: []string{"marking-definition--1", "marking-definition--2"},
		RelationshipType: "indicates", SourceRef: "indicator--1", TargetRef: "malware--1",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if v := got.Version(); v != want.Modified.UnixMicro() {
		t.Errorf("version %d", v)
	}
}

func TestObjectVersion(t *testing.T) {
	for _, c := range []struct {
		members string
		want    int64
	}{
		{`,"modified":"1970-01-01T00:00:01.000001Z","created":"1970-01-01T00:00:00Z"`, 1_000_001},
		{`,"created":"1970-01-01T00:00:02Z"`, 2_000_000},
		{`,"modified":"soon","created":"1970-01-01T00:00:02Z"`, 2_000_000},
		{`,"modified":"1969-01-01T00:00:00Z"`, 0},
		{``, 0},
	} {
		o, err := DecodeObject([]byte(`{"type":"indicator","id":"indicator--1"` + c.members + `}`))
		if err != nil || o.Version() != c.want {
			t.Errorf("%s: got %d, %v", c.members, o.Version(), err)
		}
		ind, _, err := DecodeIndicator([]byte(`{"type":"indicator","id":"indicator--1"` + c.members + `}`))
		if err != nil || ind.Version() != c.want {
			t.Errorf("indicator %s: got %d, %v", c.members, ind.Version(), err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{``, "unexpected end"}, {`[]`, "want {"}, {`null`, "want {"}, {`"x"`, "want {"},
		{`{"type":"x","id":"y"`, "unexpected end"}, {`{"type":"x","id":"y"} x`, "something follows"},
		{`{"type":"x","id":"y","z":tru}`, "want true"}, {`{"type":"x","id":"y","z":01}`, "want , or }"},
		{`{"type":"x","id":"y","z":"\q"}`, "bad escape"}, {"{\"type\":\"x\",\"id\":\"y\",\"z\":\"\n\"}", "control character"},
		{`{"type":"x","id":"y","z":[1,]}`, "want a value"}, {`{"type":"x","id":"y",}`, "want a member name"},
		{`{"type":"x","id":"y","z":` + strings.Repeat("[", 20000) + `}`, "nested too deep"},
		{`{"id":"y"}`, "has no type"}, {`{"type":5,"id":"y"}`, "has no type"}, {`{"Type":"x","id":"y"}`, "has no type"},
		{`{"type":"x"}`, "has no id"}, {`{"type":"x","id":null}`, "has no id"}, {`{"type":"x","ID":"y"}`, "has no id"},
	} {
		if _, err := DecodeObject([]byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %s", c.raw, err, c.want)
		}
		if _, _, err := DecodeIndicator([]byte(c.raw)); err == nil {
			t.Errorf("indicator %.60s: no error", c.raw)
		}
	}
	if _, _, err := DecodeIndicator([]byte(`{"type":"malware","id":"malware--1"}`)); err == nil {
		t.Error("malware decoded as an indicator")
	}
}

func TestDecodeIndicator(t *testing.T) {
	raw := []byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--1","created":"2020-01-01T00:00:00.000Z","modified":"2020-01-02T00:00:00.000Z",
		"created_by_ref":"identity--1","revoked":true,"name":"N\u00e9","description":"D \"q\" \ud83d\ude00","indicator_types":["malicious-activity"],
		"labels":["l1","l2"],"confidence":85,"lang":"en","pattern":"[domain-name:value = 'it\\'s']","pattern_type":"stix","pattern_version":"2.1",
		"valid_from":"2020-01-01T00:00:00Z","valid_until":"2021-01-01T00:00:00Z",
		"kill_chain_phases":[{"kill_chain_name":"k","phase_name":"p"}],
		"external_references":[{"source_name":"s","description":"d","url":"https://example.com","external_id":"e","hashes":{"MD5":"x"}}],
		"object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"],
		"granular_markings":[{"selectors":["pattern"],"marking_ref":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}],
		"extensions":{"extension-definition--1":{"a":[]}},"x_custom":null}`)
	got, issues, err := DecodeIndicator(raw)
	if err != nil || len(issues) > 0 {
		t.Fatal(err, issues)
	}
	confidence := 85
	want := &intel.Indicator{
		ID: "indicator--1", SpecVersion: "2.1", Name: "Né", Description: `D "q" 😀`, IndicatorTypes: []string{"malicious-activity"},
		Labels: []string{"l1", "l2"}, Confidence: &confidence, Lang: "en",
		Created: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Modified: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC),
		ValidFrom: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), ValidUntil: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		Revoked: true, Pattern: `[domain-name:value = 'it\'s']`, PatternType: "stix", PatternVersion: "2.1", CreatedByRef: "identity--1",
		KillChainPhases:    []intel.KillChainPhase{{KillChain: "k", Phase: "p"}},
		ExternalReferences: []intel.ExternalReference{{SourceName: "s", Description: "d", URL: "https://example.com", ExternalID: "e", Hashes: map[string]string{"MD5": "x"}}},
		MarkingRefs:        []string{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"},
		GranularMarkings:   []intel.GranularMarking{{Selectors: []string{"pattern"}, MarkingRef: "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}},
		TLP:                intel.TLPRed, Raw: raw,
	}
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("got %s\nwant %s", g, w)
	}
}

// TestToleratedMembers decodes a complete indicator with one odd member each.
func TestToleratedMembers(t *testing.T) {
	confidence := func(want int) func(*intel.Indicator) bool {
		return func(i *intel.Indicator) bool { return i.Confidence != nil && *i.Confidence == want }
	}
	noConfidence := func(i *intel.Indicator) bool { return i.Confidence == nil }
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		members string // replace or add to the complete ones
		issues  string // joined by "; "
		ok      func(*intel.Indicator) bool
	}{
		{`"confidence":"high"`, "confidence: wrong type", confidence(85)},
		{`"confidence":"Medium"`, "confidence: wrong type", confidence(50)},
		{`"confidence":"low"`, "confidence: wrong type", confidence(15)},
		{`"confidence":"none"`, "confidence: wrong type", confidence(0)},
		{`"confidence":"70"`, "confidence: wrong type", confidence(70)},
		{`"confidence":"sure"`, "confidence: wrong type; confidence: wrong value", noConfidence},
		{`"confidence":85.0`, "confidence: wrong type", confidence(85)},
		{`"confidence":8.5e1`, "confidence: wrong type", confidence(85)},
		{`"confidence":101`, "confidence: wrong value", confidence(100)},
		{`"confidence":-1`, "confidence: wrong value", noConfidence},
		{`"confidence":1e400`, "confidence: wrong value", noConfidence},
		{`"confidence":null`, "confidence: null", noConfidence},
		{`"confidence":[85]`, "confidence: wrong type", noConfidence},
		{`"labels":"one"`, "labels: wrong type", func(i *intel.Indicator) bool { return slices.Equal(i.Labels, []string{"one"}) }},
		{`"labels":["one",2,null,"three"]`, "labels: wrong type", func(i *intel.Indicator) bool { return slices.Equal(i.Labels, []string{"one", "three"}) }},
		{`"labels":null`, "labels: null", func(i *intel.Indicator) bool { return i.Labels == nil }},
		{`"labels":{"a":1}`, "labels: wrong type", func(i *intel.Indicator) bool { return i.Labels == nil }},
		{`"killChainPhases":[{"killChainName":"k","phaseName":"p"}]`, "killChainPhases: wrong name", func(i *intel.Indicator) bool {
			return slices.Equal(i.KillChainPhases, []intel.KillChainPhase{{KillChain: "k", Phase: "p"}})
		}},
		{`"kill_chain_phases":{"kill_chain_name":"k","phase_name":"p"}`, "kill_chain_phases: wrong type", func(i *intel.Indicator) bool { return len(i.KillChainPhases) == 1 }},
		{`"kill_chain_phases":["k",7]`, "kill_chain_phases: wrong type", func(i *intel.Indicator) bool { return i.KillChainPhases == nil }},
		{`"external_references":[{"source_name":null,"hashes":7}]`, "external_references: null; external_references: wrong type", func(i *intel.Indicator) bool { return len(i.ExternalReferences) == 1 }},
		{`"object_marking_refs":"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"`, "object_marking_refs: wrong type", func(i *intel.Indicator) bool { return i.TLP == intel.TLPAmber }},
		{`"modified":"2020-01-01T02:00:00+02:00"`, "", func(i *intel.Indicator) bool { return i.Modified.Equal(at) }},
		{`"modified":"2020-01-01T00:00:00.000000000000Z"`, "", func(i *intel.Indicator) bool { return i.Modified.Equal(at) }},
		{`"modified":"2020\u002d01-01T00:00:00Z"`, "", func(i *intel.Indicator) bool { return i.Modified.Equal(at) }},
		{`"modified":"9999-12-31T23:59:59Z"`, "", func(i *intel.Indicator) bool { return i.Modified.Year() == 9999 }},
		{`"modified":"now"`, "modified: not a time stamp; modified: missing", func(i *intel.Indicator) bool { return i.Modified.IsZero() && i.Version() > 0 }},
		{`"modified":1577836800`, "modified: wrong type; modified: missing", func(i *intel.Indicator) bool { return i.Modified.IsZero() }},
		{`"modified":null`, "modified: null; modified: missing", func(i *intel.Indicator) bool { return i.Modified.IsZero() }},
		{`"valid_until":"2019-01-01T00:00:00Z"`, "valid_until: not after valid_from", func(i *intel.Indicator) bool { return i.ValidUntil.Year() == 2019 }},
		{`"revoked":"true"`, "revoked: wrong type", func(i *intel.Indicator) bool { return i.Revoked }},
		{`"revoked":1`, "revoked: wrong type", func(i *intel.Indicator) bool { return i.Revoked }},
		{`"revoked":"maybe"`, "revoked: wrong type", func(i *intel.Indicator) bool { return !i.Revoked }},
		{`"name":5`, "name: wrong type", func(i *intel.Indicator) bool { return i.Name == "5" }},
		{`"name":{"a":1}`, "name: wrong type", func(i *intel.Indicator) bool { return i.Name == "" }},
		{`"Name":"upper case is another member"`, "", func(i *intel.Indicator) bool { return i.Name == "" }},
		{`"name":"first","name":"last"`, "", func(i *intel.Indicator) bool { return i.Name == "last" }},
		{"\"name\":\"a\xffb\"", "", func(i *intel.Indicator) bool { return i.Name == "a\uFFFDb" }},
		{`"name":"a\ud800b"`, "", func(i *intel.Indicator) bool { return i.Name == "a\uFFFDb" }},
		{`"\u006eame":"escaped"`, "", func(i *intel.Indicator) bool { return i.Name == "escaped" }},
		{`"spec_version":2.1`, "spec_version: wrong type", func(i *intel.Indicator) bool { return i.SpecVersion == "2.1" }},
		{`"pattern_type":"stix2"`, "pattern_type: wrong value", func(i *intel.Indicator) bool { return i.PatternType == "stix" }},
		{`"pattern_type":" YARA"`, "pattern_type: wrong value", func(i *intel.Indicator) bool { return i.PatternType == "yara" }},
		{`"pattern_type":null`, "pattern_type: null; pattern_type: missing", func(i *intel.Indicator) bool { return i.PatternType == "stix" }},
		{`"pattern":null`, "pattern: null; pattern: missing", func(i *intel.Indicator) bool { return i.Pattern == "" }},
		{`"granular_markings":[{"marking_ref":7,"selectors":"pattern"}]`, "granular_markings: wrong type", func(i *intel.Indicator) bool {
			return len(i.GranularMarkings) == 1 && slices.Equal(i.GranularMarkings[0].Selectors, []string{"pattern"})
		}},
	} {
		members := []string{
			`"type":"indicator"`, `"id":"indicator--1"`, `"spec_version":"2.1"`, `"created":"2020-01-01T00:00:00Z"`, `"modified":"2020-01-01T00:00:00Z"`,
			`"valid_from":"2020-01-01T00:00:00Z"`, `"pattern":"[a:b=1]"`, `"pattern_type":"stix"`,
		}
		key, _, _ := strings.Cut(c.members, ":")
		members = slices.DeleteFunc(members, func(m string) bool { return strings.HasPrefix(m, key+":") })
		raw := []byte("{" + strings.Join(append(members, c.members), ",") + "}")
		ind, issues, err := DecodeIndicator(raw)
		if err != nil {
			t.Errorf("%s: %v", c.members, err)
			continue
		}
		if got := strings.Join(issues, "; "); got != c.issues {
			t.Errorf("%s: issues %q, want %q", c.members, got, c.issues)
		}
		if !c.ok(ind) {
			t.Errorf("%s: got %+v", c.members, ind)
		}
		o, err := DecodeObject(raw)
		if err != nil || o.ID != ind.ID || !o.Modified.Equal(ind.Modified) || o.Revoked != ind.Revoked || !o.ValidUntil.Equal(ind.ValidUntil) || o.SpecVersion != ind.SpecVersion {
			t.Errorf("%s: DecodeObject sees %+v, %v", c.members, o, err)
		}
		if _, err := json.Marshal(ind); err != nil {
			t.Errorf("%s: %v", c.members, err)
		}
	}
}

func TestSTIX20Indicator(t *testing.T) {
	ind, issues, err := DecodeIndicator([]byte(`{"type":"indicator","id":"indicator--1","created":"2017-01-01T00:00:00.000Z","modified":"2017-01-01T00:00:00.000Z",
		"labels":["benign"],"pattern":"[a:b=1]","valid_from":"2017-01-01T00:00:00Z"}`))
	if err != nil || len(issues) > 0 {
		t.Fatal(err, issues)
	}
	if ind.SpecVersion != "2.0" || ind.PatternType != "stix" || !slices.Equal(ind.IndicatorTypes, []string{"benign"}) || !slices.Equal(ind.Labels, []string{"benign"}) {
		t.Errorf("got %+v", ind)
	}
}

// OpenTAXII writes the object's type where its STIX version belongs.
func TestSpecVersionThatIsNone(t *testing.T) {
	raw := []byte(`{"type":"indicator","spec_version":"indicator","id":"indicator--1","modified":"2026-01-01T00:00:00Z","pattern":"[url:value='http://a.example/']"}`)
	o, err := DecodeObject(raw)
	if err != nil || o.SpecVersion != "2.1" || len(o.Issues) != 1 {
		t.Errorf("object %+v, %v; want version 2.1 and an issue", o, err)
	}
	ind, _, err := DecodeIndicator(raw)
	if err != nil || ind.SpecVersion != "2.1" {
		t.Errorf("indicator of version %q, %v; want 2.1", ind.SpecVersion, err)
	}
}
