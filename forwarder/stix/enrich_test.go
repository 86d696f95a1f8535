package stix

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func TestTLPOf(t *testing.T) {
	for uuid, want := range map[string]intel.TLP{
		"613f2e26-407d-48c7-9eca-b8e91df99dc9": intel.TLPClear,
		"34098fce-860f-48ae-8e50-ebd3cc5e41da": intel.TLPGreen,
		"f88d31f6-486f-44da-b317-01333bde0b82": intel.TLPAmber,
		"5e57c739-391a-4eb3-b6be-7d15ca92d5ed": intel.TLPRed,
		"94868c89-83c2-464b-929b-a1a8aa3c8487": intel.TLPClear,
		"bab4a63c-aed9-4cf5-a766-dfca5abac2bb": intel.TLPGreen,
		"55d920b0-5e8b-4f79-9ee9-91f868d9b421": intel.TLPAmber,
		"939a9414-2ddd-4d32-a0cd-375ea402b003": intel.TLPAmberStrict,
		"e828b379-4e03-4974-9ac4-e53a884c97c1": intel.TLPRed,
	} {
		if got, ok := TLPOf("marking-definition--" + uuid); !ok || got != want {
			t.Errorf("%s: got %q, want %q", uuid, got, want)
		}
		if _, ok := TLPOf("indicator--" + uuid); ok {
			t.Errorf("indicator--%s is no marking", uuid)
		}
	}
	if _, ok := TLPOf("marking-definition--00000000-0000-0000-0000-000000000000"); ok {
		t.Error("an unknown marking has a level")
	}
}

func rawObjects(objects ...string) [][]byte {
	var out [][]byte
	for _, o := range objects {
		out = append(out, []byte(o))
	}
	return out
}

func TestEnrichTLP(t *testing.T) {
	const green = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
	own := "marking-definition--1"
	object := func(members string) string { return `{"type":"marking-definition","id":"` + own + `",` + members + `}` }
	for _, c := range []struct {
		name               string
		markings, granular []string
		context            string
		want               intel.TLP
	}{
		{"none", nil, nil, "{}", intel.TLPNone},
		{"fixed id, no object", []string{green}, nil, "{}", intel.TLPGreen},
		{"strictest", []string{green, "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", green}, nil, "{}", intel.TLPRed},
		{"granular", []string{green}, []string{"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"}, "{}", intel.TLPAmberStrict},
		{"TLP 1 object", []string{own}, nil, object(`"definition_type":"tlp","definition":{"tlp":"amber"}`), intel.TLPAmber},
		{"white", []string{own}, nil, object(`"definition_type":"tlp","definition":{"tlp":"white"}`), intel.TLPClear},
		{"TLP 2 extension", []string{own}, nil, object(`"extensions":{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"extension_type":"property-extension","tlp_2_0":"amber+strict"}}`), intel.TLPAmberStrict},
		{"by name", []string{own}, nil, object(`"name":"TLP:RED"`), intel.TLPRed},
		{"statement", []string{own}, nil, object(`"definition_type":"statement","definition":{"statement":"TLP:AMBER"}`), intel.TLPAmber},
		{"other statement", []string{own}, nil, object(`"definition_type":"statement","definition":{"statement":"red is a colour"}`), intel.TLPNone},
		{"granular by object", nil, []string{own}, object(`"definition":{"tlp":"red"}`), intel.TLPRed},
		{"somebody else's", []string{green}, nil, object(`"definition":{"tlp":"red"}`), intel.TLPGreen},
		{"malformed", []string{own}, nil, object(`"definition":7,"extensions":{"a":null}`), intel.TLPNone},
	} {
		ind := &intel.Indicator{ID: "indicator--1", MarkingRefs: c.markings}
		for _, ref := range c.granular {
			ind.GranularMarkings = append(ind.GranularMarkings, intel.GranularMarking{Selectors: []string{"pattern"}, MarkingRef: ref})
		}
		if Enrich(ind, rawObjects(c.context)); ind.TLP != c.want {
			t.Errorf("%s: got %q, want %q", c.name, ind.TLP, c.want)
		}
	}
}

// everything is a context that uses all that Enrich knows.
var everything = rawObjects(
	`{"type":"identity","id":"identity--1","name":"Example CERT"}`,
	`{"type":"identity","id":"identity--2","name":"Somebody else"}`,
	`{"type":"relationship","id":"relationship--1","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"malware--1"}`,
	`{"type":"relationship","id":"relationship--2","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"attack-pattern--1"}`,
	`{"type":"relationship","id":"relationship--3","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"campaign--1","revoked":true}`,
	`{"type":"relationship","id":"relationship--4","relationship_type":"based-on","source_ref":"indicator--1","target_ref":"observed-data--1"}`,
	`{"type":"relationship","id":"relationship--5","relationship_type":"indicates","source_ref":"indicator--2","target_ref":"tool--1"}`,
	`{"type":"relationship","id":"relationship--6","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"threat-actor--1"}`,
	`{"type":"relationship","id":"relationship--7","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"malware--1"}`,
	`{"type":"relationship","id":"relationship--8","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"malware--9","modified":"2020-01-01T00:00:00Z"}`,
	`{"type":"relationship","id":"relationship--8","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"malware--9","modified":"2020-01-02T00:00:00Z","revoked":true}`,
	`{"type":"malware","id":"malware--1","name":"Old","modified":"2019-01-01T00:00:00Z"}`,
	`{"type":"malware","id":"malware--1","name":"Pegasus-like","modified":"2020-01-01T00:00:00Z"}`,
	`{"type":"attack-pattern","id":"attack-pattern--1","name":"PowerShell","external_references":[{"source_name":"capec","external_id":"CAPEC-1"},
		{"source_name":"mitre-attack","external_id":"T1059.001","url":"https://attack.example.com/T1059/001"}]}`,
	`{"type":"campaign","id":"campaign--1","name":"Gone"}`,
	`{"type":"sighting","id":"sighting--1","sighting_of_ref":"indicator--1","count":3,"first_seen":"2020-01-05T00:00:00Z","last_seen":"2020-01-06T00:00:00Z"}`,
	`{"type":"sighting","id":"sighting--2","sighting_of_ref":"indicator--1","first_seen":"2020-01-01T00:00:00Z"}`,
	`{"type":"sighting","id":"sighting--3","sighting_of_ref":"indicator--1","count":50,"revoked":true}`,
	`{"type":"sighting","id":"sighting--4","sighting_of_ref":"indicator--2","count":50}`,
	`{"type":"marking-definition","id":"marking-definition--1","definition_type":"tlp","definition":{"tlp":"amber"}}`,
	`{"type":"indicator","id":"indicator--3","name":"no context"}`,
	`{"type":"x-odd"}`, `[1]`, `{`,
)

func TestEnrich(t *testing.T) {
	want := &intel.Indicator{
		ID: "indicator--1", CreatedByRef: "identity--1", CreatedBy: "Example CERT", MarkingRefs: []string{"marking-definition--1"}, TLP: intel.TLPAmber,
		Related: []intel.Related{
			{Type: "attack-pattern", ID: "attack-pattern--1", Name: "PowerShell", ExternalID: "T1059.001", URL: "https://attack.example.com/T1059/001"},
			{Type: "malware", ID: "malware--1", Name: "Pegasus-like"},
			{Type: "threat-actor", ID: "threat-actor--1"},
		},
		Sightings: &intel.Sightings{Count: 4, First: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Last: time.Date(2020, 1, 6, 0, 0, 0, 0, time.UTC)},
	}
	digest := DigestContext(everything)
	ind := &intel.Indicator{ID: "indicator--1", CreatedByRef: "identity--1", MarkingRefs: []string{"marking-definition--1"}}
	for range 20 {
		context := slices.Clone(everything)
		rand.Shuffle(len(context), func(i, j int) { context[i], context[j] = context[j], context[i] })
		Enrich(ind, context)
		if !reflect.DeepEqual(ind, want) {
			g, _ := json.Marshal(ind)
			w, _ := json.Marshal(want)
			t.Fatalf("got %s\nwant %s", g, w)
		}
		if got := DigestContext(context); got != digest {
			t.Fatalf("digest %x, then %x", digest, got)
		}
	}
	Enrich(ind, nil)
	if ind.CreatedBy != "" || ind.Related != nil || ind.Sightings != nil || ind.TLP != intel.TLPNone {
		t.Errorf("something stays: %+v", ind)
	}
}

func TestDigestContext(t *testing.T) {
	if d := DigestContext(nil); d != 0 {
		t.Errorf("none: %x", d)
	}
	if d := DigestContext(rawObjects(`{"type":"observed-data","id":"observed-data--1"}`, `{`)); d != 0 {
		t.Errorf("nothing of use: %x", d)
	}
	base := DigestContext(everything)
	if base == 0 {
		t.Error("0 for something")
	}
	// The value is stored: it must be the same in every release that does not mean
	// to enrich everything anew.
	if got := DigestContext(everything[:1]); got != 0xe3e9a69e43ecddab {
		t.Errorf("digest is %#x", got)
	}
	for i := range everything {
		changed := slices.Delete(slices.Clone(everything), i, i+1)
		if got := DigestContext(changed); (got != base) != digestUses(i) {
			t.Errorf("without %s: changed is %v", everything[i], got != base)
		}
	}
}

// digestUses says whether the digest of everything depends on its i-th object:
// not on what has a newer version or is of no use.
func digestUses(i int) bool {
	switch i {
	case 5, 9, 11, 20, 21, 22, 23:
		return false
	}
	return true
}
