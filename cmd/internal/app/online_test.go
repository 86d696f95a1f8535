package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

func check(t *testing.T, text string) []Verdict {
	t.Helper()
	var out []Verdict
	CheckOnline(t.Context(), load(t, text), hclog.NewNullLogger(), "test", func(v Verdict) { out = append(out, v) })
	return out
}

// TestVerdicts: each failure of a feed is told with its likely cause and what
// to do about it.
func TestVerdicts(t *testing.T) {
	const canary = "canary-of-a-secret"
	bearer := taxiitest.Options{Auth: taxiitest.Auth{Kind: "bearer", Token: "sesame"}}
	wants, _ := server(t, bearer, 3)
	open, _ := server(t, taxiitest.Options{}, 3)
	web := func(status int, header map[string]string, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	faulty := func(f taxiitest.Fault) string {
		s, _ := server(t, taxiitest.Options{}, 3)
		f.Times = -1
		s.Inject(f)
		return s.URL()
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "vnd.oasis.taxii") {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oasis.taxii+json; version=2.0")
		fmt.Fprint(w, `{"title":"old"}`)
	}))
	t.Cleanup(old.Close)
	const closed = "http://127.0.0.1:1" // tcpmux: nothing listens there, and no test is given that port
	empty := taxiitest.New(taxiitest.Options{})
	t.Cleanup(empty.Close)
	json := map[string]string{"Content-Type": "application/taxii+json;version=2.1"}
	asDiscovery := func(u string) string { return fmt.Sprintf("discovery_url = %q", u) }
	asRoot := func(u string) string { return fmt.Sprintf("api_root_url = %q", u) }
	const none = `auth "none" {}`

	tests := []struct {
		name, url, auth, more string
		kind                  string
		want                  []string
	}{
		{"no key", asDiscovery(wants.URL()), none, "", "auth", []string{"401", "does not know these credentials", "auth block"}},
		{"wrong key", asDiscovery(wants.URL()), "auth \"bearer\" {\n token = \"" + canary + "\"\n}", "", "auth", []string{"401", "auth block"}},
		{"wrong kind of key", asDiscovery(wants.URL()), "auth \"basic\" {\n username = \"u\"\n password = \"" + canary + "\"\n}", "", "auth", []string{"401", "which kind of it the server wants"}},
		{"forbidden", asDiscovery(web(403, json, `{"title":"subscription ended"}`)), none, "", "auth", []string{"403", "subscription ended"}},
		{"wrong path", asDiscovery(open.Origin() + "/nowhere/"), none, "", "not_found", []string{"404", "/nowhere/", "discover command"}},
		{"wrong root", asRoot(open.Origin() + "/nowhere/"), none, "", "not_found", []string{"404", "/nowhere/", "no such API root"}},
		{"discovery as root", asRoot(open.URL()), none, "", "protocol", []string{"discovery resource, not an API root", "discovery_url"}},
		{"root as discovery", asDiscovery(open.RootURL()), none, "", "protocol", []string{"names no API root", "looks like an API root itself", "api_root_url"}},
		{"TAXII 2.0", asDiscovery(old.URL + "/taxii/"), none, "", "protocol", []string{"TAXII 2.0 server", "only TAXII 2.1 is supported"}},
		{"TAXII 1", asDiscovery(web(200, map[string]string{"Content-Type": "application/xml"}, "<taxii_11/>")), none, "", "protocol", []string{"XML", "TAXII 1.x"}},
		{"login page", asDiscovery(web(200, map[string]string{"Content-Type": "text/html"}, "<html><form>user</form></html>")), none, "", "protocol", []string{"HTML page", "login page, a proxy's notice or a wrong URL"}},
		{"login redirect", asDiscovery(web(302, map[string]string{"Location": "https://login.example.net/sso"}, "")), "auth \"bearer\" {\n token = \"" + canary + "\"\n}", "", "config", []string{"redirects to login.example.net", "trusted_hosts"}},
		{"not TAXII", asDiscovery(web(200, nil, "hello")), none, "", "protocol", []string{"not a JSON object", "TAXII 2.1 server"}},
		{"refused", asDiscovery(closed + "/taxii2/"), none, "", "unreachable", []string{"nothing listens there; check host and port"}},
		{"no TLS", asDiscovery(strings.Replace(open.URL(), "http:", "https:", 1)), none, "", "tls", []string{"does not speak TLS", "http://"}},
		{"hangs", asDiscovery(faulty(taxiitest.Fault{Match: "/taxii2/", Hang: true})), none, `timeout = "1s"`, "timeout", []string{"no answer within 1s"}},
		{"out of order", asDiscovery(web(503, map[string]string{"Retry-After": "3600"}, "maintenance")), none, "", "throttled", []string{"503", "maintenance"}},
		{"dead proxy", asDiscovery("https://taxii.example.com/"), none, fmt.Sprintf("proxy_url = %q", closed), "unreachable", []string{"proxy can not be reached", "proxy_url, HTTPS_PROXY and NO_PROXY"}},
		{"proxy wants a login", asDiscovery("https://taxii.example.com/"), none, fmt.Sprintf("proxy_url = %q", web(407, nil, "")), "unreachable", []string{"proxy wants a user name and password"}},
		{"no collections", asDiscovery(empty.URL()), none, "", "config", []string{"lists no collections for these credentials"}},
		{"unknown collections", asDiscovery(open.URL()), none, `collections = ["malware", "iocs", "phishing"]`, "config", []string{`no collection "malware"; there are ` + collectionID + " (Indicators)", `no collection "phishing"`}},
		{"listed, not readable", asDiscovery(faulty(taxiitest.Fault{Status: 403, Body: "no"})), none, "", "auth", []string{"collection Indicators is listed but can not be read", "403"}},
		{"cut off", asDiscovery(faulty(taxiitest.Fault{CutAfter: 100})), none, "", "unreachable", []string{"collection Indicators", "cut off"}},
	}
	var text strings.Builder
	fmt.Fprintf(&text, "sink \"file\" \"out\" {\n path = %q\n}\n", filepath.Join(t.TempDir(), "out.ndjson"))
	for i, tt := range tests {
		fmt.Fprintf(&text, "feed \"f%d\" {\n%s\n%s\n%s\n}\n", i, tt.url, tt.auth, tt.more)
	}
	fmt.Fprintf(&text, "feed \"good\" {\n%s\n%s\n}\n", asDiscovery(open.URL()), none)
	verdicts := check(t, text.String())
	if len(verdicts) != len(tests)+2 {
		t.Fatalf("%d verdicts on %d feeds and a sink", len(verdicts), len(tests)+1)
	}
	for i, tt := range tests {
		v := verdicts[i]
		if v.OK || v.What != "feed" || v.Name != fmt.Sprintf("f%d", i) || v.Kind != tt.kind {
			t.Errorf("%s: %+v, want kind %s", tt.name, v, tt.kind)
		}
		for _, want := range tt.want {
			if !strings.Contains(v.Detail, want) {
				t.Errorf("%s: does not say %q: %s", tt.name, want, v.Detail)
			}
		}
		if strings.Contains(v.Detail, canary) {
			t.Errorf("%s: shows the secret", tt.name)
		}
	}
	if v := verdicts[len(tests)]; !v.OK || v.Name != "good" || v.Detail != "follows 1 of the 1 collections served: Indicators" || len(v.Warnings) > 0 {
		t.Errorf("the good one: %+v", v)
	}
	if v := verdicts[len(tests)+1]; !v.OK || v.What != "sink" || v.Name != "file.out" || v.Detail != "accepts a batch" {
		t.Errorf("the sink: %+v", v)
	}
	if n := open.Violations(); len(n) > 2 { // the wrong paths
		t.Errorf("violations: %v", n)
	}
}

// TestVerdictReadsLittle: a check costs a feed one object of each collection.
func TestVerdictReadsLittle(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 500)
	other := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000002", Title: "Empty"})
	_ = other
	s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000003", Title: "Secret", NoRead: true})
	v := check(t, fmt.Sprintf("feed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n start_from = \"all\"\n}\nsink \"file\" \"out\" {\n path = %q\n}\n", s.URL(), filepath.Join(t.TempDir(), "o")))
	if !v[0].OK || v[0].Detail != "follows 2 of the 3 collections served: Indicators, Empty" {
		t.Errorf("%+v", v[0])
	}
	objects := 0
	for _, r := range s.Requests() {
		objects += r.Count
	}
	if objects > 2 || s.ObjectRequests() > 2 {
		t.Errorf("%d objects in %d requests", objects, s.ObjectRequests())
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}

// TestPartialRoots: a root that may not be read costs a warning, not the feed.
func TestPartialRoots(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 3)
	s.AddRoot("/other/", "other")
	s.Inject(taxiitest.Fault{Match: "/other/", Status: 403, Times: -1})
	v := check(t, fmt.Sprintf("feed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n}\nsink \"file\" \"out\" {\n path = %q\n}\n", s.URL(), filepath.Join(t.TempDir(), "o")))
	if !v[0].OK || len(v[0].Warnings) != 1 || !strings.Contains(v[0].Warnings[0], "/other/ can not be read") || !strings.Contains(v[0].Warnings[0], "403") {
		t.Errorf("%+v", v[0])
	}
}

func TestClockSkew(t *testing.T) {
	s, _ := server(t, taxiitest.Options{Now: func() time.Time { return time.Now().Add(-3 * time.Hour) }}, 3)
	for _, url := range []string{fmt.Sprintf("discovery_url = %q", s.URL()), fmt.Sprintf("api_root_url = %q", s.RootURL())} {
		v := check(t, fmt.Sprintf("feed \"f\" {\n %s\n auth \"none\" {}\n}\nsink \"file\" \"out\" {\n path = %q\n}\n", url, filepath.Join(t.TempDir(), "o")))
		if !v[0].OK || len(v[0].Warnings) != 1 || !strings.Contains(v[0].Warnings[0], "clock is 3h0m") || !strings.Contains(v[0].Warnings[0], "ahead of the server's") {
			t.Errorf("%+v", v[0])
		}
	}
	now := time.Now()
	for _, tt := range []struct {
		there time.Time
		want  string
	}{
		{time.Time{}, ""}, {now.Add(time.Minute), ""}, {now.Add(-time.Minute), ""},
		{now.Add(5 * time.Minute), "this machine's clock is 5m0s behind the server's"},
	} {
		if got := skew(now, tt.there); (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v: %q", tt.there, got)
		}
	}
}

// TestVerdictSink: a sink that can not be used says why, beside a feed that can.
func TestVerdictSink(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 1)
	v := check(t, fmt.Sprintf("feed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n}\nsink \"file\" \"out\" {\n path = %q\n}\n", s.URL(), filepath.Join(t.TempDir(), "missing", "out.ndjson")))
	if !v[0].OK || v[1].OK || v[1].Kind != "local" || !strings.Contains(v[1].Detail, "create the directory") {
		t.Errorf("%+v", v)
	}
	b, err := json.Marshal(v[1])
	if err != nil || !strings.Contains(string(b), `"what":"sink","name":"file.out","ok":false,"detail":"`) || !strings.Contains(string(b), `"milliseconds":`) {
		t.Errorf("%s, %v", b, err)
	}
}
