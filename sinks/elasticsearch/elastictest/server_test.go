package elastictest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask makes a request and returns status and body.
func ask(t *testing.T, s *Server, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	var m map[string]any
	_ = json.Unmarshal(data, &m)
	return resp.StatusCode, m
}

func open(t *testing.T, o Options) *Server {
	t.Helper()
	s := NewServer(o)
	t.Cleanup(s.Close)
	return s
}

const mapped = `{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"},"ip":{"type":"ip"},"range":{"type":"ip_range"},
	"n":{"type":"long"},"k":{"type":"keyword","ignore_above":10},"raw":{"type":"keyword"},"o":{"properties":{"k":{"type":"keyword"}}},
	"strict":{"dynamic":"strict","properties":{"a":{"type":"boolean"}}},"open":{"dynamic":true,"properties":{}}}}}`

// TestDocuments: what the mapping does not take is refused, alone.
func TestDocuments(t *testing.T) {
	s := open(t, Options{})
	if status, m := ask(t, s, "PUT", "/i", mapped); status != 200 {
		t.Fatal(m)
	}
	for doc, want := range map[string]int{
		`{}`:                       201,
		`{"ip":"192.0.2.1"}`:       201,
		`{"ip":["2001:db8::1"]}`:   201,
		`{"ip":"192.0.2.0/24"}`:    400,
		`{"ip":"example.com"}`:     400,
		`{"ip":{"a":1}}`:           400,
		`{"ip":null}`:              201,
		`{"range":"192.0.2.0/24"}`: 201,
		`{"range":"192.0.2.0"}`:    400,
		`{"@timestamp":"2026-01-02T03:04:05.678Z"}`:     201,
		`{"@timestamp":"yesterday"}`:                    400,
		`{"@timestamp":"2026-13-02T03:04:05Z"}`:         400,
		`{"n":5}`:                                       201,
		`{"n":"x"}`:                                     400,
		`{"k":"longer than ten characters"}`:            201,
		`{"raw":"` + strings.Repeat("x", 40_000) + `"}`: 400,
		`{"o":"text"}`:                                  400,
		`{"o":{"k":"x","unmapped":{"ip":1}}}`:           201,
		`{"o.k":"x"}`:                                   201,
		`{"strict":{"a":true}}`:                         201,
		`{"strict":{"b":true}}`:                         400,
		`{"open":{"new":"text"}}`:                       201,
		`{"open":{"new":{"now":"object"}}}`:             400,
		`{"a":1,"a":2}`:                                 400,
		`{"a":`:                                         400,
		`{"a":1} x`:                                     400,
		`[]`:                                            400,
		`{"":1}`:                                        400,
		`{"_id":"x"}`:                                   400,
	} {
		// "new" must have been seen as text before it comes as an object.
		body := `{"index":{"_id":"seed"}}` + "\n" + `{"open":{"new":"text"}}` + "\n" + `{"index":{}}` + "\n" + doc + "\n" + `{"index":{"_id":"seed"}}` + "\n{}\n"
		status, m := ask(t, s, "POST", "/i/_bulk", body)
		if status != 200 {
			t.Fatalf("%s: %d %v", doc, status, m)
		}
		items := m["items"].([]any)
		status = int(items[1].(map[string]any)["index"].(map[string]any)["status"].(float64))
		neighbour := int(items[2].(map[string]any)["index"].(map[string]any)["status"].(float64))
		if status != want && !(want == 201 && status == 200) || neighbour != 200 || (want == 400) != m["errors"].(bool) {
			t.Errorf("%s: %d, its neighbour %d, errors %v; want %d", doc, status, neighbour, m["errors"], want)
		}
	}
}

// TestBulkForm: a request that is not well-formed is refused as a whole.
func TestBulkForm(t *testing.T) {
	s := open(t, Options{})
	for body, want := range map[string]int{
		"":                               400,
		"\n":                             400,
		`{"index":{"_id":"a"}}` + "\n{}": 400, // no last line feed
		`{"index":{"_id":"a"}}` + "\n":   400, // no document
		`{"index":{"_id":"a","bogus":1}}` + "\n{}\n":                                  400,
		`{"upsert":{"_id":"a"}}` + "\n{}\n":                                           400,
		`not json` + "\n{}\n":                                                         400,
		`{"delete":{}}` + "\n":                                                        400,
		`{"index":{"_id":"` + strings.Repeat("x", 513) + `"}}` + "\n{}\n":             400,
		`{"index":{"_id":"a","version":5}}` + "\n{}\n":                                400,
		`{"index":{"_id":"a","version_type":"external_gte"}}` + "\n{}\n":              400,
		`{"create":{"_id":"a","version":5,"version_type":"external_gte"}}` + "\n{}\n": 400,
		`{"index":{"_id":"a","version":5,"version_type":"extern"}}` + "\n{}\n":        400,
		`{"index":{"_id":"a","version":5,"version_type":"external_gte"}}` + "\n{}\n":  200,
		`{"create":{"_id":"c"}}` + "\n{}\n" + `{"delete":{"_id":"b"}}` + "\n":         200,
	} {
		if status, m := ask(t, s, "POST", "/i/_bulk", body); status != want {
			t.Errorf("%q: %d %v; want %d", body, status, m, want)
		}
	}
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"text":    {[]string{"Content-Type", "text/plain"}, 406},
		"ndjson":  {[]string{"Content-Type", "application/x-ndjson; charset=utf-8"}, 200},
		"no gzip": {[]string{"Content-Encoding", "gzip"}, 400},
		"brotli":  {[]string{"Content-Encoding", "br"}, 415},
	} {
		if status, m := ask(t, s, "POST", "/i/_bulk", `{"delete":{"_id":"b"}}`+"\n", c.header...); status != c.want {
			t.Errorf("%s: %d %v; want %d", name, status, m, c.want)
		}
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, `{"delete":{"_id":"b"}}`+"\n")
	_ = z.Close()
	if status, m := ask(t, s, "POST", "/i/_bulk", zipped.String(), "Content-Encoding", "gzip"); status != 200 {
		t.Errorf("gzip: %d %v", status, m)
	}
}

// TestExternalVersions follows VersionType.EXTERNAL_GTE, tombstones included.
func TestExternalVersions(t *testing.T) {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Options{Now: func() time.Time { return clock }})
	op := func(action string, version int64) (int, string) {
		body := fmt.Sprintf(`{"%s":{"_id":"a","version":%d,"version_type":"external_gte"}}`+"\n", action, version)
		if action == "index" {
			body += "{}\n"
		}
		_, m := ask(t, s, "POST", "/i/_bulk", body)
		item := m["items"].([]any)[0].(map[string]any)[action].(map[string]any)
		reason := ""
		if e, ok := item["error"].(map[string]any); ok {
			reason = e["reason"].(string)
		}
		return int(item["status"].(float64)), reason
	}
	const big = 3_600_000_000_000_000_001
	for i, c := range []struct {
		action  string
		version int64
		want    int
		later   time.Duration
	}{
		{"index", big, 201, 0}, {"index", big, 200, 0}, {"index", big - 1, 409, 0}, {"delete", big - 1, 409, 0},
		{"delete", big, 200, 0}, {"index", big - 1, 409, 0}, {"delete", big, 404, 0}, {"index", big, 201, 0}, {"delete", big + 1, 200, 0},
		{"index", 5, 201, 61 * time.Second}, // the tombstone is forgotten
		{"delete", 5, 200, 0}, {"delete", 4, 409, 0},
	} {
		clock = clock.Add(c.later)
		status, reason := op(c.action, c.version)
		if status != c.want {
			t.Fatalf("step %d: %s %d: %d %s; want %d", i, c.action, c.version, status, reason, c.want)
		}
		if status == 409 && !strings.Contains(reason, "is higher than the one provided") {
			t.Errorf("step %d: %s", i, reason)
		}
	}
}

func TestSecurity(t *testing.T) {
	s := open(t, Options{APIKey: "id:key", Username: "u", Password: "p", Privileges: []string{"index"}})
	key := "ApiKey " + base64.StdEncoding.EncodeToString([]byte("id:key"))
	for header, want := range map[string]int{"": 401, "ApiKey eA==": 401, key: 200, "Basic dTpw": 200, "Basic dTpx": 401} {
		h := []string{"Authorization", header}
		if header == "" {
			h = nil
		}
		if status, _ := ask(t, s, "POST", "/_security/user/_has_privileges", `{"cluster":["monitor"]}`, h...); status != want {
			t.Errorf("%q: %d; want %d", header, status, want)
		}
	}
	for path, want := range map[string]int{"GET /": 403, "GET /i/_search": 403, "PUT /i": 403, "PUT /_index_template/x": 403, "POST /i/_update_by_query": 403, "GET /nonsense/of/this/depth": 400} {
		method, path, _ := strings.Cut(path, " ")
		if status, _ := ask(t, s, method, path, "{}", "Authorization", key); status != want {
			t.Errorf("%s %s: %d; want %d", method, path, status, want)
		}
	}
	_, m := ask(t, s, "POST", "/i/_bulk", `{"delete":{"_id":"b"}}`+"\n", "Authorization", key)
	if m["errors"] != true {
		t.Errorf("a delete without the privilege: %v", m)
	}
}

func TestDistributions(t *testing.T) {
	for distribution, c := range map[string]struct {
		product            string
		wildcard, settings int
	}{Elasticsearch: {"Elasticsearch", 200, 200}, OpenSearch: {"", 400, 200}, Serverless: {"Elasticsearch", 200, 400}} {
		s := open(t, Options{Distribution: distribution})
		resp, err := http.Get(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Elastic-Product"); got != c.product {
			t.Errorf("%s: product %q", distribution, got)
		}
		if status, m := ask(t, s, "PUT", "/_component_template/x", `{"template":{"mappings":{"properties":{"w":{"type":"wildcard"}}}}}`); status != c.wildcard {
			t.Errorf("%s: type wildcard: %d %v", distribution, status, m)
		}
		if status, m := ask(t, s, "PUT", "/_index_template/x", `{"index_patterns":["x"],"template":{"settings":{"index":{"auto_expand_replicas":"0-1"}}}}`); status != c.settings {
			t.Errorf("%s: settings: %d %v", distribution, status, m)
		}
	}
}

func TestTemplates(t *testing.T) {
	s := open(t, Options{})
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/_index_template/low", `{"index_patterns":["logs-*"],"priority":100,"template":{"mappings":{"properties":{"a":{"type":"long"}}}}}`, 200},
		{"/_index_template/high", `{"index_patterns":["logs-x"],"priority":501,"composed_of":["c"]}`, 400},
		{"/_component_template/c", `{"template":{"mappings":{"properties":{"a":{"type":"ip"}}}}}`, 200},
		{"/_index_template/high", `{"index_patterns":["logs-x"],"priority":501,"composed_of":["c"]}`, 200},
		{"/_component_template/d", `{"template":{"mappings":{"properties":{"a":{"type":"nonsense"}}}}}`, 400},
		{"/_component_template/d", `{"index_patterns":["x"]}`, 400},
		{"/_index_template/d", `{"bogus":1}`, 400},
	} {
		if status, m := ask(t, s, "PUT", c.path, c.body); status != c.want {
			t.Errorf("%s %s: %d %v; want %d", c.path, c.body, status, m, c.want)
		}
	}
	for index, want := range map[string]bool{"logs-x": true, "logs-y": true, "other": false} {
		_, m := ask(t, s, "POST", "/"+index+"/_bulk", `{"index":{}}`+"\n"+`{"a":"text"}`+"\n")
		if m["errors"] != want {
			t.Errorf("%s: %v", index, m)
		}
	}
	if status, _ := ask(t, s, "PUT", "/logs-x/_mapping", `{"properties":{"a":{"type":"keyword"}}}`); status != 400 {
		t.Error("the type of a field was changed")
	}
}

// TestQueries: the part of the query language that is here means what it does
// there.
func TestQueries(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := open(t, Options{Now: func() time.Time { return now }})
	ask(t, s, "PUT", "/i", mapped)
	ask(t, s, "POST", "/i/_bulk", `{"index":{"_id":"a"}}
{"@timestamp":"2026-03-01T00:00:00Z","ip":["192.0.2.1","192.0.2.9"],"k":"x","n":5,"unmapped":"x"}
{"index":{"_id":"b"}}
{"@timestamp":"2026-01-01T00:00:00Z","range":"192.0.2.0/24","k":"longer than ten","o":{"k":"x"}}
`)
	for query, want := range map[string]string{
		`{"match_all":{}}`:                                       "a b",
		`{"term":{"k":"x"}}`:                                     "a",
		`{"term":{"k":{"value":"x"}}}`:                           "a",
		`{"term":{"k":"longer than ten"}}`:                       "",
		`{"term":{"unmapped":"x"}}`:                              "",
		`{"exists":{"field":"unmapped"}}`:                        "",
		`{"exists":{"field":"o"}}`:                               "b",
		`{"term":{"ip":"192.0.2.9"}}`:                            "a",
		`{"term":{"ip":"192.0.2.0/24"}}`:                         "a",
		`{"term":{"range":"192.0.2.77"}}`:                        "b",
		`{"terms":{"n":[4,5]}}`:                                  "a",
		`{"range":{"n":{"gte":5,"lt":6}}}`:                       "a",
		`{"range":{"@timestamp":{"gte":"now-30d/d"}}}`:           "a",
		`{"range":{"@timestamp":{"lt":"2026-02-01T00:00:00Z"}}}`: "b",
		`{"wildcard":{"k":"x*"}}`:                                "a",
		`{"bool":{"must_not":{"term":{"k":"x"}}}}`:               "b",
		`{"bool":{"should":[{"term":{"k":"x"}},{"exists":{"field":"o.k"}}],"filter":[{"match_all":{}}],"minimum_should_match":1}}`: "a b",
		`{"bool":{"filter":[{"term":{"k":"x"}},{"exists":{"field":"o.k"}}]}}`:                                                      "",
		`{"fuzzy":{"k":"x"}}`: "error",
	} {
		status, m := ask(t, s, "POST", "/i/_search", `{"query":`+query+`}`)
		got := "error"
		if status == 200 {
			var ids []string
			for _, h := range m["hits"].(map[string]any)["hits"].([]any) {
				ids = append(ids, h.(map[string]any)["_id"].(string))
			}
			got = strings.Join(ids, " ")
		}
		if got != want {
			t.Errorf("%s finds %q; want %q", query, got, want)
		}
	}
	status, m := ask(t, s, "POST", "/i/_update_by_query", `{"query":{"term":{"k":"x"}},"script":{"source":"ctx._source['@timestamp'] = params.now","params":{"now":"2026-03-01T12:00:00Z"}}}`)
	if status != 200 || m["updated"] != 1.0 {
		t.Errorf("_update_by_query: %d %v", status, m)
	}
	if d, _ := s.Doc("i", "a"); d.Version != 2 || d.Decoded()["@timestamp"] != "2026-03-01T12:00:00Z" {
		t.Errorf("after it: version %d, %s", d.Version, d.Source)
	}
	if status, _ := ask(t, s, "POST", "/i/_update_by_query", `{"script":{"source":"ctx.op = 'delete'"}}`); status != 400 {
		t.Error("an unknown script was run")
	}
}

// TestFaults: each fault does what its comment says about what is written.
func TestFaults(t *testing.T) {
	written := map[Fault]bool{HangAfter: true, CutAfter: true, CutReply: true, Slow: true, ShortReply: true, LongReply: true, Shuffled: true}
	half := map[Fault]bool{BusyItems: true, ErrorItems: true}
	body := `{"index":{"_id":"a"}}` + "\n{}\n" + `{"index":{"_id":"b"}}` + "\n{}\n"
	for _, fault := range Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			s := open(t, Options{})
			s.Inject(fault, 1)
			done := make(chan struct{})
			if fault == Hang || fault == HangAfter {
				go func() {
					defer close(done)
					_ = s.Wait(context.Background(), func(Stats) bool { return s.Hanging() == 1 })
					s.Heal()
				}()
			} else {
				close(done)
			}
			status, _ := ask(t, s, "POST", "/i/_bulk", body)
			<-done
			want := 0
			switch {
			case written[fault]:
				want = 2
			case half[fault]:
				want = 1
			}
			if n := s.Len("i"); n != want {
				t.Errorf("%d documents written, not %d (status %d)", n, want, status)
			}
			if status, m := ask(t, s, "POST", "/i/_bulk", body); status != 200 || m["errors"] != false {
				t.Errorf("after the fault: %d %v", status, m)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	s := open(t, Options{})
	ask(t, s, "POST", "/i/_bulk", `{"index":{"_id":"a"}}`+"\n{}\n")
	url := s.URL()
	for _, keep := range []bool{true, false} {
		s.Stop()
		if status, _ := ask(t, s, "GET", "/", ""); status != 0 {
			t.Error("answers while stopped")
		}
		if err := s.Restart(keep); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 0}[keep]; s.URL() != url || s.Len("i") != want {
			t.Errorf("keep %v: %d documents at %s", keep, s.Len("i"), s.URL())
		}
	}
}

func FuzzBulk(f *testing.F) {
	f.Add([]byte(`{"index":{"_id":"a","version":5,"version_type":"external_gte"}}` + "\n{}\n" + `{"delete":{"_id":"b"}}` + "\n"))
	f.Add([]byte("{\"index\":{}}\n{\"ip\":\"x\",\"o\":{\"k\":[1,{}]}}\n"))
	s := NewServer(Options{})
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, body []byte) {
		writes, e := s.parseBulk(body)
		if e != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range writes {
			r := s.one("i", &writes[i], i, None, true)
			if r.status == 0 {
				t.Errorf("no status for %+v", writes[i])
			}
		}
	})
}
