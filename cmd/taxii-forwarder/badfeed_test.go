package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestBadPages runs one forwarder on many feeds, each of which is wrong in its
// own way, and one that is not. Every bad feed is reported with one clear error
// (what, where, what to do); the good one is not held up; and when the servers
// come to their senses, nothing is missing.
func TestBadPages(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	plain := http.Header{"Content-Type": {"text/plain"}}
	taxii := http.Header{"Content-Type": {"application/taxii+json;version=2.1"}}
	old := http.Header{"Content-Type": {"application/vnd.oasis.stix+json; version=2.0"}}
	tests := []struct {
		name  string
		fault taxiitest.Fault
		kind  string
		want  []string // in the error
	}{
		{"cut", taxiitest.Fault{CutAfter: 700}, "unreachable", []string{"GET http://", "/objects/", "cut off after 700 bytes"}},
		{"cut_quietly", taxiitest.Fault{CutAfter: 700, CutQuietly: true}, "unreachable", []string{"/objects/", "cut off after", "in its", "the page is asked for again"}},
		{"html", taxiitest.Fault{Status: 200, Header: html, Body: "<!DOCTYPE html><html><body>Please log in</body></html>"}, "protocol", []string{"/objects/", "HTML", "login page"}},
		{"html_as_json", taxiitest.Fault{Status: 200, Header: taxii, Body: "<!DOCTYPE html><html><body>Please log in</body></html>"}, "protocol", []string{"/objects/", "HTML", "login page"}},
		{"text", taxiitest.Fault{Status: 200, Header: plain, Body: "service temporarily out of order"}, "protocol", []string{"/objects/", "not a JSON object but begins", "TAXII 2.1 server"}},
		{"array", taxiitest.Fault{Status: 200, Header: taxii, Body: `[{"type":"indicator"}]`}, "protocol", []string{"/objects/"}},
		{"taxii20", taxiitest.Fault{Status: 200, Header: old, Body: `{"type":"bundle","objects":[]}`}, "protocol", []string{"TAXII 2.0 server", "ask the provider for its 2.1 address"}},
		{"error_as_200", taxiitest.Fault{Status: 200, Header: taxii, Body: `{"title":"quota used up","http_status":"200"}`}, "protocol", []string{"quota used up"}},
		{"no_gzip", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/taxii+json;version=2.1"}, "Content-Encoding": {"gzip"}}, Body: `{"objects":[]}`}, "protocol", []string{"announced as gzip but is not"}},
		{"forbidden", taxiitest.Fault{Status: 403, Header: taxii, Body: `{"title":"forbidden"}`}, "auth", []string{"403", "may not read this"}},
		{"broken", taxiitest.Fault{Status: 500, Body: "boom"}, "server", []string{"500", "boom"}},
	}
	const good, each = 40, 5
	dir := t.TempDir()
	var cfg strings.Builder
	fmt.Fprintf(&cfg, "state { dir = %q }\nhttp { listen = \"off\" }\n", filepath.Join(dir, "state"))
	out := filepath.Join(dir, "out.ndjson")
	fmt.Fprintf(&cfg, "sink \"file\" \"out\" {\n path = %q\n}\n", out)
	feed := func(name string, s *taxiitest.Server) {
		fmt.Fprintf(&cfg, "feed %q {\n discovery_url = %q\n auth \"none\" {}\n poll_interval = \"1h\"\n}\n", name, s.URL())
	}
	server, _ := serve(t, taxiitest.Options{}, 0, good)
	feed("good", server)
	var bad []*taxiitest.Server
	for i, tt := range tests {
		s, _ := serve(t, taxiitest.Options{}, 1000*(i+1), each)
		tt.fault.Times = -1
		s.Inject(tt.fault)
		feed(tt.name, s)
		bad = append(bad, s)
	}
	config := write(t, dir, "forwarder.hcl", "%s", cfg.String())

	p := startProgram(t, config)
	var s status.Status
	p.until("every bad feed has failed and the good one has arrived", func() bool {
		if len(archived(t, out)) < good {
			return false
		}
		s = ask(t, dir)
		for _, tt := range tests {
			if feedStatus(s, tt.name).State != status.StateFailing {
				return false
			}
		}
		return true
	})
	if f := feedStatus(s, "good"); f.State == status.StateFailing || f.Error != "" || f.Current != good {
		t.Errorf("the good feed: %+v", f)
	}
	for _, tt := range tests {
		f := feedStatus(s, tt.name)
		if string(f.FailureKind) != tt.kind {
			t.Errorf("%s: the failure is of kind %q, want %q", tt.name, f.FailureKind, tt.kind)
		}
		for _, want := range append(tt.want, "poll "+tt.name+"/") {
			if !strings.Contains(f.Error, want) {
				t.Errorf("%s: the error does not say %q: %s", tt.name, want, f.Error)
			}
		}
		if strings.Contains(f.Error, "\n") || len(f.Error) > 600 {
			t.Errorf("%s: the error is no sentence: %q", tt.name, f.Error)
		}
		if f.RetryAt.IsZero() || f.FailingSince.IsZero() {
			t.Errorf("%s: since when and until when is not said: %+v", tt.name, f.Failure)
		}
	}
	if r := call(t, "status", "--config", config); r.code != exitError || !strings.Contains(r.stdout, "quota used up") {
		t.Errorf("status ends with %d:\n%s", r.code, r.stdout)
	}

	for _, s := range bad {
		s.ClearFaults()
	}
	if r := call(t, "reload", "--config", config); r.code != exitOK {
		t.Fatalf("reload: %s", r.stderr)
	}
	p.until("everything has arrived", func() bool { return len(archived(t, out)) == good+each*len(tests) })
	p.until("no feed fails any more", func() bool {
		return !slices.ContainsFunc(ask(t, dir).Feeds, func(f status.Feed) bool { return f.State == status.StateFailing })
	})
	if r := call(t, "status", "--config", config); r.code != exitOK {
		t.Errorf("status ends with %d:\n%s", r.code, r.stdout)
	}
	p.kill()
	for _, tt := range tests {
		if n := len(regexp.MustCompile(`poll failing: .*feed=`+tt.name+` `).FindAllString(p.log.String(), -1)); n != 1 {
			t.Errorf("%s: the log says so %d times, not once", tt.name, n)
		}
	}
}

// TestBadObjects serves all kinds of broken objects between good ones, on the
// same page. Each is counted and its neighbours are delivered.
func TestBadObjects(t *testing.T) {
	dir := t.TempDir()
	server, col := serve(t, taxiitest.Options{}, 0, 10)
	at := time.Date(2026, 1, 1, 0, 0, 4, 0, time.UTC) // in the middle of the others
	indicator := func(n int, with string) []byte {
		return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,%s}`, idOf(n), with)
	}
	const times = `"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","valid_from":"2026-01-01T00:00:00Z"`
	const pattern = `"pattern_type":"stix","pattern":"[domain-name:value = 'odd.example.com']"`
	unusable := [][]byte{
		[]byte(`{"type":"indicator","spec_version":"2.1","name":"without an id",` + times + `,` + pattern + `}`),
		[]byte(`{"id":"indicator--0b0e0de0-0000-4000-8000-00000000dead",` + times + `}`),
		[]byte(`{"type":7,"id":{}}`),
		[]byte(`42`), []byte(`"indicator"`), []byte(`null`), []byte(`[]`), []byte(`true`),
	}
	odd := [][]byte{ // and still taken
		indicator(100, `"created":"yesterday","modified":"2026-13-45T99:99:99Z","valid_from":12,`+pattern),
		indicator(101, `"created":null,"modified":[],`+pattern),
		indicator(102, times+`,"valid_until":"never","labels":"one","confidence":"high","revoked":"no",`+pattern),
	}
	patterns := [][]byte{ // valid STIX but for the pattern
		indicator(200, times+`,"pattern_type":"stix","pattern":"[domain-name:value = "`),
		indicator(201, times+`,"pattern_type":"stix","pattern":"domain-name:value = 'x'"`),
		indicator(202, times+`,"pattern_type":"stix","pattern":""`),
	}
	col.Add(at, unusable...)
	col.Add(at, odd...)
	col.Add(at, patterns...)
	out, sentinel := filepath.Join(dir, "out.ndjson"), filepath.Join(dir, "sentinel.ndjson")
	config := write(t, dir, "forwarder.hcl", `
state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "none" {}
  poll_interval = "1s"
}
sink "file" "all" {
  path = %q
}
sink "file" "sentinel" {
  path   = %q
  format = "sentinel"
}
`, filepath.Join(dir, "state"), server.URL(), out, sentinel)

	p := startProgram(t, config)
	settled := func(s status.Status) bool {
		for _, r := range s.Routes {
			if r.Pending > 0 || r.LastSuccess.IsZero() {
				return false
			}
		}
		return len(s.Routes) == 2 && len(s.Feeds) == 1 && len(s.Feeds[0].Collections) == 1 && !s.Feeds[0].Collections[0].LastSuccess.IsZero()
	}
	var first status.Status
	p.until("all is delivered", func() bool { first = ask(t, dir); return settled(first) })
	if first.Feeds[0].State == status.StateFailing || first.Feeds[0].Error != "" {
		t.Errorf("bad objects fail their feed: %+v", first.Feeds[0].Failure)
	}
	p.kill()

	log := p.log.String()
	if m := regexp.MustCompile(`broken=(\d+)`).FindStringSubmatch(log); m == nil || m[1] != fmt.Sprint(len(unusable)) {
		t.Errorf("the log does not count %d broken objects: %v\n%s", len(unusable), m, log)
	}
	if n := strings.Count(log, "skipped an entry that is no usable STIX object"); n == 0 {
		t.Errorf("the log does not say that entries were skipped:\n%s", log)
	}
	ids := archived(t, out)
	for i := range 10 {
		if !ids[idOf(i)] {
			t.Errorf("neighbour %d is missing", i)
		}
	}
	for _, n := range []int{100, 101, 102} {
		if !ids[idOf(n)] {
			t.Errorf("indicator %d is usable but missing", n)
		}
	}
	// What no sink can match on is counted with its reason, per route.
	r := call(t, "status", "--json", "--config", config)
	if r.code != exitNotRunning {
		t.Errorf("status ends with %d", r.code)
	}
	s := statusOf(t, config)
	for _, route := range s.Routes {
		if route.Sink != "file.sentinel" {
			continue
		}
		// Sentinel also wants the time stamps that two of the odd ones lack, and a pattern.
		if route.Skipped["invalid_pattern"] != 2 || route.Skipped["missing_required"] != 3 || route.Skips() != 5 {
			t.Errorf("skipped: %v, want invalid_pattern 2 and missing_required 3", route.Skipped)
		}
	}
	if table := call(t, "status", "--config", config).stdout; !strings.Contains(table, "invalid_pattern 2") {
		t.Errorf("the table does not show them:\n%s", table)
	}
	if s.Feeds[0].Indicators != int64(10+len(odd)+len(patterns)) {
		t.Errorf("the replica holds %d indicators, want %d", s.Feeds[0].Indicators, 10+len(odd)+len(patterns))
	}
}
