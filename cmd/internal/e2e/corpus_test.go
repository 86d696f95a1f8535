package e2e

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestCampaigns follows a feed of real campaigns: every indicator of theirs
// arrives at every sink, observable by observable, and a second poll of what
// has not changed sends nothing.
func TestCampaigns(t *testing.T) {
	objects := campaigns(t)
	if slowness > 1 {
		t.Skip("minutes under the race detector, which TestFeed gives the same to look at")
	}
	t.Parallel()
	r := newRig(t, taxiitest.Options{PageCap: 500, Prerender: true})
	// Seven objects share each date, and 500 is no multiple of that. They came over
	// twenty minutes, of which each poll asks for the last five again.
	r.serveSpread(r.main, time.Now().Add(-time.Hour), 20*time.Minute/time.Duration(len(objects)/7), 7, objects)

	all := r.truth.inForce(t, time.Now())
	want := expect(all)
	// What the publishers filed, counted by other means than ours; 7 addresses and
	// a URL of theirs are in the guise of domain names.
	types := map[intel.ObservableType]int{}
	for _, ind := range all {
		for i := range ind.Observables {
			types[ind.Observables[i].Type]++
		}
	}
	if pinned := (map[intel.ObservableType]int{
		intel.TypeDomain: 5297, intel.TypeIPv4: 52, intel.TypeURL: 1, intel.TypeEmail: 65, intel.TypeFile: 174, intel.TypeProcess: 83,
	}); len(all) != 5713 || !maps.Equal(types, pinned) {
		t.Fatalf("%d indicators with %v, want 5713 with %v", len(all), types, pinned)
	}
	for sink, n := range map[string]struct{ indicators, observables int }{
		splunkSink: {5713, 5713}, sentinelSink: {5713, 5672}, elasticSink: {5672, 5672}, fileSink: {5713, 5672},
	} {
		if h := want[sink].held; len(h) != n.indicators || h.count() != n.observables {
			t.Fatalf("%s should hold %d indicators and %d observables, not %d and %d", sink, len(h), h.count(), n.indicators, n.observables)
		}
	}
	if pinned := (map[string]int64{"unknown_type": 41}); !maps.Equal(want[elasticSink].skipped, pinned) {
		t.Fatalf("elasticsearch should skip %v, not %v", want[elasticSink].skipped, pinned)
	}

	r.configure(layout{poll: time.Second, feed: "page_size = 500"})
	r.start()
	r.settle()
	r.checkHeld(want)
	for _, e := range r.splunk.Current() {
		if e.Field("malware") == "" {
			t.Fatalf("what %s indicates did not arrive: %s", e.STIXID, e.Raw)
		}
	}
	r.unchanged()
	r.checkFakes()
}

// campaigns returns the objects of the bundles under CORPUS_DIR, as published.
func campaigns(t *testing.T) [][]byte {
	t.Helper()
	dir := os.Getenv("CORPUS_DIR")
	if dir == "" {
		t.Skip("CORPUS_DIR is not set")
	}
	var objects [][]byte
	for _, publisher := range []string{"amnesty", "mvt"} {
		err := filepath.WalkDir(filepath.Join(dir, publisher), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".stix2") && !strings.HasSuffix(path, ".json") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var bundle struct {
				Objects []json.RawMessage `json:"objects"`
			}
			if err := json.Unmarshal(b, &bundle); err != nil {
				return err
			}
			for _, o := range bundle.Objects {
				objects = append(objects, o)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// TestFeed does the same with a feed of every kind of pattern, from a server
// without next tokens, where only dates lead from page to page.
func TestFeed(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{PageCap: 40, Profile: taxiitest.Profile{Next: taxiitest.NextNone}})
	epoch := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	const n = 630 // 30 of each shape
	objects := [][]byte{malware(1, epoch, "ExampleLoader").raw()}
	for i := range n {
		at := epoch.Add(time.Duration(i) * time.Second)
		o := shaped(i, at)
		switch {
		case i%50 == 7:
			o["revoked"] = true
		case i%50 == 8:
			o["valid_until"] = stamp(at.Add(time.Minute))
			o["valid_from"] = stamp(at.AddDate(0, 0, -1))
		case i%50 == 9:
			o["indicator_types"] = []string{"benign"}
		case i%50 == 10:
			o["valid_until"] = stamp(at.AddDate(1, 0, 0))
		}
		objects = append(objects, o.raw())
		switch i % 30 {
		case 3:
			objects = append(objects, indicates(i, at, id("malware", 1)).raw())
		case 4: // another version
			objects = append(objects, o.with(object{"modified": stamp(at.Add(time.Millisecond)), "pattern": shapes[3](i + 1000), "pattern_type": "stix"}).raw())
		}
	}
	objects = append(objects, []byte(`"not an object"`), []byte(`{"type":"indicator","spec_version":"2.1","name":"without an id"}`))
	added := time.Now().Add(-30 * time.Minute)
	r.serveSpread(r.main, added, 10*time.Second, 7, objects)
	// The other collection has some of the same indicators, half of them in an
	// older version that was none of revoked, expired or benign.
	for i := range 50 {
		o := shaped(i, epoch.Add(time.Duration(i)*time.Second))
		if i%2 == 0 || i%50 >= 7 && i%50 <= 10 {
			o = o.with(object{"modified": stamp(epoch.AddDate(0, 0, -1)), "created": stamp(epoch.AddDate(0, 0, -1)), "name": "as it was"})
		}
		r.serve(r.other, added.Add(time.Duration(i)*time.Second), o.raw())
	}

	want := expect(r.truth.inForce(t, time.Now()))
	// 630 less 13 each of revoked, expired and benign (i%50 = 7, 8, 9).
	if got := len(want[fileSink].held); got != n-39 {
		t.Fatalf("%d indicators in force, want %d", got, n-39)
	}
	for _, reason := range []string{"negation", "unknown_type", "cross_type", "invalid_pattern"} {
		if want[elasticSink].skipped[reason] < 20 {
			t.Fatalf("elasticsearch should skip %v", want[elasticSink].skipped)
		}
	}
	r.configure(layout{feed: "page_size = 100"})
	r.start()
	r.settle()
	r.checkHeld(want)
	if broken := r.metric(`objects_broken_total{collection="91a7b528-80eb-42ed-a74d-c6fbd5a26116",feed="research"}`); broken < 2 {
		t.Errorf("%v broken objects counted, want 2 a poll", broken)
	}
	related := map[string]bool{}
	for _, l := range r.lines() {
		related[l.Indicator.ID] = len(l.Indicator.Related) == 1 && l.Indicator.Related[0].Name == "ExampleLoader"
	}
	maps.DeleteFunc(related, func(_ string, yes bool) bool { return !yes })
	if len(related) != 21 { // i%30 = 3
		t.Errorf("%d indicators arrived with what they indicate, want 21", len(related))
	}
	r.unchanged()
	r.checkFakes()
}

// unchanged proves that another poll, in which the server serves again what it
// served before, causes no request to any destination.
func (r *rig) unchanged() {
	r.Helper()
	before, asked := r.traffic(), len(r.taxii.Requests())
	r.settle()
	served := 0
	for _, q := range r.taxii.Requests()[asked:] {
		served += q.Count
	}
	if served == 0 {
		r.Error("the second poll was given nothing, so it proves nothing")
	}
	if after := r.traffic(); after != before {
		r.Errorf("a poll of the unchanged feed sent something: %+v, before it %+v", after, before)
	}
}
