//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/stix"
)

// TestCampaigns follows a feed of real campaigns, published by Amnesty
// International and the Mobile Verification Toolkit: the index holds what they
// say, document by document, and each is found by its value. What has not
// changed is not sent again.
func TestCampaigns(t *testing.T) {
	objects := campaigns(t)
	t.Parallel()
	p := newProgram(t)
	from := time.Now().Add(-time.Hour)
	for i, group := range slices.Collect(slices.Chunk(objects, 7)) {
		p.feed.Add(from.Add(time.Duration(i)*time.Second), group...)
	}
	want := observables(t, objects)
	indicators := map[string]bool{}
	for _, o := range want {
		indicators[o.ind.ID] = true
	}
	// 41 of 5713 have patterns that no observable can stand for.
	if len(want) != 5672 || len(indicators) != 5672 {
		t.Fatalf("%d observables of %d indicators, want 5672 of 5672", len(want), len(indicators))
	}
	p.start(t)
	st := p.polled(t)
	if r := st.Routes[0]; r.Delivered != 5672 || r.Skipped["unknown_type"] != 41 || r.DeadLetters != 0 || r.Rejected != 0 {
		t.Errorf("status: %d delivered, skipped %v, %d dead letters", r.Delivered, r.Skipped, r.DeadLetters)
	}

	docs := documents(t, p.index)
	if len(docs) != len(want) {
		t.Errorf("%d documents, want %d", len(docs), len(want))
	}
	ids := map[string]string{} // _id by key
	wrong := 0
	for id, h := range docs {
		d, err := decode(h.Source)
		if err != nil {
			t.Fatal(err)
		}
		key := d.STIX.ID + " " + d.Threat.Indicator.Type + ":" + d.Threat.Indicator.Name
		o, ok := want[key]
		if !ok {
			t.Errorf("should not be there: %s", h.Source)
			continue
		}
		ids[key] = id
		if d.Threat.Feed.Name != "research" || len(d.Threat.Indicator.ID) != 1 || d.Threat.Indicator.ID[0] != o.ind.ID ||
			d.STIX.Name != o.ind.Name || d.STIX.Pattern != o.ind.Pattern || !d.STIX.Modified.Equal(o.ind.Modified.Truncate(time.Microsecond)) ||
			d.STIX.Observable == nil || d.STIX.Observable.Value != o.Value || h.Version>>versionShift != o.ind.Version() {
			if wrong++; wrong <= 5 {
				t.Errorf("version %d of %s is stored as %s", h.Version, o.ind.Raw, h.Source)
			}
		}
		if time.Since(d.Timestamp) > patience {
			t.Errorf("%s has @timestamp %s", id, d.Timestamp)
		}
	}
	if n := len(matching(t, p.index, query{"bool": query{"must_not": query{"exists": query{"field": "threat.software.name"}}}})); n != 0 {
		t.Errorf("%d documents do not say what they indicate", n)
	}
	if wrong > 0 {
		t.Errorf("%d of %d documents are wrong", wrong, len(docs))
	}
	searched(t, p.index, want, ids)

	quiet := func(what string) {
		t.Helper()
		before := len(p.proxy.seen("/_bulk"))
		p.polled(t)
		if n := len(p.proxy.seen("/_bulk")) - before; n != 0 {
			t.Errorf("%s sent %d bulk requests", what, n)
		}
	}
	quiet("a poll of the unchanged feed")
	p.stop(t)
	p.start(t)
	quiet("a restart")
	p.stop(t)
}

// value is an observable with its indicator.
type value struct {
	intel.Observable
	ind *intel.Indicator
}

// observables returns what the feed says, by STIX id and Ref. The newest version
// counts.
func observables(t *testing.T, objects [][]byte) map[string]value {
	t.Helper()
	newest := map[string]*intel.Indicator{}
	for _, raw := range objects {
		ind, _, err := stix.DecodeIndicator(raw)
		if err != nil {
			continue // of another type
		}
		if old := newest[ind.ID]; old == nil || ind.Version() >= old.Version() {
			stix.Derive(ind)
			newest[ind.ID] = ind
		}
	}
	out := map[string]value{}
	for _, ind := range newest {
		if ind.Revoked || !ind.ValidUntil.IsZero() && ind.ValidUntil.Before(time.Now()) {
			continue
		}
		for _, o := range ind.Observables {
			out[ind.ID+" "+o.Ref().String()] = value{o, ind}
		}
	}
	return out
}

// field is where an observable of a type is searched.
var field = map[intel.ObservableType]string{
	intel.TypeDomain: "threat.indicator.url.domain", intel.TypeIPv4: "threat.indicator.ip", intel.TypeURL: "threat.indicator.url.full",
	intel.TypeEmail: "threat.indicator.email.address", intel.TypeFile: "threat.indicator.file.hash.sha256", intel.TypeProcess: "threat.indicator.name",
}

// searched looks for every observable by its value in the field of its type.
func searched(t *testing.T, index string, want map[string]value, ids map[string]string) {
	t.Helper()
	var keys []string
	for k := range want {
		keys = append(keys, k)
	}
	misses := 0
	for chunk := range slices.Chunk(keys, 500) {
		var body bytes.Buffer
		for _, k := range chunk {
			o := want[k]
			f := field[o.Type]
			if o.Type == intel.TypeFile && o.Field(intel.FieldSHA256) == "" {
				f = "threat.indicator.name"
			}
			q, err := json.Marshal(query{"size": 100, "_source": false, "query": query{"term": query{f: o.Value}}})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&body, "{}\n%s\n", q)
		}
		var answer struct {
			Responses []struct {
				Hits struct{ Hits []hit }
			}
		}
		must(t, http.MethodPost, "/"+index+"/_msearch", body.Bytes(), &answer)
		for i, r := range answer.Responses {
			if !slices.ContainsFunc(r.Hits.Hits, func(h hit) bool { return h.ID == ids[chunk[i]] }) {
				if misses++; misses < 5 {
					t.Errorf("%s is not found by its value", chunk[i])
				}
			}
		}
	}
	if misses > 0 {
		t.Errorf("%d of %d are not found by their value", misses, len(keys))
	}
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
