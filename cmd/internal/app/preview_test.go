package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// previewed is a line of a file sink's output.
type previewed struct {
	Action    string
	Indicator struct {
		ID, Collection, Feed string
		TLP                  string `json:"tlp"`
		CreatedBy            string `json:"created_by"`
		Related              []struct {
			Type, Name string
		}
		Sightings json.RawMessage
	}
}

func preview(t *testing.T, text string, o PreviewOptions) ([]previewed, PreviewCounts, error) {
	t.Helper()
	var out bytes.Buffer
	counts, err := Preview(t.Context(), load(t, text), o, &out, hclog.NewNullLogger(), "test", nil)
	var docs []previewed
	for line := range strings.Lines(out.String()) {
		var d previewed
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		docs = append(docs, d)
	}
	return docs, counts, err
}

func feedAndFile(t *testing.T, s *taxiitest.Server, more string) string {
	return fmt.Sprintf("feed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n start_from = \"all\"\n}\nsink \"file\" \"out\" {\n path = %q\n}\n%s", s.URL(), filepath.Join(t.TempDir(), "never", "out.ndjson"), more)
}

// TestPreviewEnriches: what comes beside an indicator, before or behind it,
// shows in its document, and not in its neighbour's.
func TestPreviewEnriches(t *testing.T) {
	const (
		identity = "identity--0b0e0de0-0000-4000-8000-0000000000a1"
		malware  = "malware--0b0e0de0-0000-4000-8000-0000000000a2"
		marking  = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82" // TLP 1 amber
		times    = `"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`
	)
	s, col := server(t, taxiitest.Options{}, 0)
	col.Add(added(0),
		fmt.Appendf(nil, `{"type":"relationship","spec_version":"2.1","id":"relationship--0b0e0de0-0000-4000-8000-0000000000a3",%s,"relationship_type":"indicates","source_ref":%q,"target_ref":%q}`, times, idOf(1), malware),
		indicator(1, fmt.Sprintf(`,"created_by_ref":%q,"object_marking_refs":[%q]`, identity, marking)),
		indicator(2, ""),
		fmt.Appendf(nil, `{"type":"malware","spec_version":"2.1","id":%q,%s,"name":"Examplebot","is_family":true}`, malware, times),
		fmt.Appendf(nil, `{"type":"identity","spec_version":"2.1","id":%q,%s,"name":"Example CERT"}`, identity, times),
	)
	docs, counts, err := preview(t, feedAndFile(t, s, ""), PreviewOptions{Limit: 10})
	if err != nil || len(docs) != 2 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	one, two := docs[0].Indicator, docs[1].Indicator
	if one.ID != idOf(1) || one.TLP != "amber" || one.CreatedBy != "Example CERT" || len(one.Related) != 1 || one.Related[0].Name != "Examplebot" || one.Feed != "f" || one.Collection != collectionID {
		t.Errorf("enriched: %+v", one)
	}
	if two.ID != idOf(2) || two.TLP != "" || two.CreatedBy != "" || len(two.Related) != 0 {
		t.Errorf("not to be enriched: %+v", two)
	}
	if len(counts.Routes) != 1 || counts.Routes[0].Sent != 2 || counts.Routes[0].Documents != 2 || counts.Routes[0].Sink != "file.out" {
		t.Errorf("counts: %+v", counts)
	}
}

// TestPreviewShowsWhatWouldBeSent: what the engine would not send is counted,
// not shown, and of two versions the newer one counts.
func TestPreviewShowsWhatWouldBeSent(t *testing.T) {
	s, col := server(t, taxiitest.Options{}, 3)
	col.Add(added(10), indicator(10, `,"revoked":true`), indicator(11, `,"valid_until":"2026-01-02T00:00:00Z"`), indicator(12, `,"indicator_types":["benign"]`),
		indicator(13, `,"valid_until":"2999-01-02T00:00:00Z"`), []byte(`42`), []byte(`{"type":"indicator"}`))
	col.Add(added(11), bytes.Replace(indicator(2, `,"revoked":true`), []byte(`"modified":"2026-01-01`), []byte(`"modified":"2026-01-03`), 1))
	text := feedAndFile(t, s, "sink \"file\" \"sentinel\" {\n path = \"x\"\n format = \"sentinel\"\n}\nroute \"all\" {\n from = [feed.f]\n to = [sink.file.out]\n}\n"+
		"route \"some\" {\n from = [feed.f]\n to = [sink.file.sentinel]\n where = indicator.id != \""+idOf(0)+"\"\n}\n")
	docs, counts, err := preview(t, text, PreviewOptions{Limit: 100, Sink: "file.out"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.Indicator.ID)
	}
	if want := []string{idOf(0), idOf(1), idOf(13)}; !slices.Equal(ids, want) {
		t.Errorf("shown: %v, want %v", ids, want)
	}
	n := counts.Routes[0]
	if n.Indicators != 7 || n.Sent != 3 || n.Skipped["revoked"] != 2 || n.Skipped["expired"] != 1 || n.Skipped["benign"] != 1 || len(counts.Routes) != 1 {
		t.Errorf("counts: %+v", counts)
	}
	_, counts, err = preview(t, text, PreviewOptions{Limit: 100})
	if err != nil || len(counts.Routes) != 2 || counts.Routes[1].Filtered != 1 || counts.Routes[1].Sent != 2 {
		t.Errorf("both routes: %+v, %v", counts, err)
	}
}

// TestPreviewReadsLittle: enough is enough, even before the second collection.
func TestPreviewReadsLittle(t *testing.T) {
	s, _ := server(t, taxiitest.Options{PageCap: 50}, 500)
	other := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000002", Title: "Other"})
	other.Add(added(0), indicator(1000, ""))
	docs, _, err := preview(t, feedAndFile(t, s, ""), PreviewOptions{Limit: 5})
	if err != nil || len(docs) != 5 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	if n := s.ObjectRequests(); n != 1 {
		t.Errorf("%d requests for objects", n)
	}
}

func TestPreviewErrors(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 3)
	text := feedAndFile(t, s, "")
	for o, want := range map[PreviewOptions]string{
		{Limit: 1, Sink: "nobody"}:            `no route leads to sink "nobody"; the routes are: [f -> file.out]`,
		{Limit: 1, Feed: "g"}:                 `no route leads from feed "g"`,
		{Limit: 1, Feed: "g", Sink: "nobody"}: `no route leads from feed "g" to sink "nobody"`,
	} {
		if _, _, err := preview(t, text, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s.Inject(taxiitest.Fault{Match: "/collections/", Status: 403, Times: -1})
	if _, _, err := preview(t, text, PreviewOptions{Limit: 1}); err == nil || !strings.HasPrefix(err.Error(), "preview feed f: ") || !strings.Contains(err.Error(), "403") {
		t.Errorf("%v", err)
	}
	s.ClearFaults()
	missing := strings.Replace(text, `start_from = "all"`, `collections = ["iocs", "nowhere"]`+"\n start_from = \"all\"", 1)
	docs, counts, err := preview(t, missing, PreviewOptions{Limit: 9})
	if err != nil || len(docs) != 3 || len(counts.Warnings) != 1 || !strings.Contains(counts.Warnings[0], `no collection "nowhere"`) {
		t.Errorf("%d documents, %v, %v", len(docs), counts.Warnings, err)
	}
	later := strings.Replace(text, `start_from = "all"`, fmt.Sprintf("start_from = %q", added(1).Format(time.RFC3339)), 1)
	if docs, _, err := preview(t, later, PreviewOptions{Limit: 9}); err != nil || len(docs) >= 3 || len(docs) == 0 {
		t.Errorf("start_from is not honoured: %d documents, %v", len(docs), err)
	}
}
