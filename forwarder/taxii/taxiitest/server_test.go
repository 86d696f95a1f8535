package taxiitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2024, 3, 4, 10, 30, 45, 0, time.UTC)

func object(n, version int) []byte {
	at := epoch.Add(time.Duration(version) * time.Minute).Format(time.RFC3339)
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%d","created":"%s","modified":"%s"}`, n, epoch.Format(time.RFC3339), at)
}

func get(t *testing.T, s *Server, u string, change func(*http.Request)) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", mediaType)
	s.Auth().Apply(req)
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	return resp, m
}

func strict(t *testing.T, o Options, n int) (*Server, string) {
	t.Helper()
	s := New(o)
	t.Cleanup(s.Close)
	c := s.AddCollection(Info{ID: "all", Alias: "a"})
	for i := range n {
		c.Add(epoch.Add(time.Duration(i)*time.Second), object(i, 0))
	}
	return s, s.RootURL() + "collections/all/objects/"
}

// A strict server refuses what the specification does not allow, and notes it.
func TestStrict(t *testing.T) {
	s, u := strict(t, Options{}, 10)
	_, first := get(t, s, u+"?limit=3", nil)
	next := url.QueryEscape(first["next"].(string))
	for _, tt := range []struct {
		name, url string
		change    func(*http.Request)
		status    int
	}{
		{"no slash", strings.TrimSuffix(u, "/"), nil, 404},
		{"accept list", u, func(r *http.Request) { r.Header.Set("Accept", mediaType+", application/json") }, 406},
		{"accept with a space", u, func(r *http.Request) { r.Header.Set("Accept", "application/taxii+json; version=2.1") }, 406},
		{"no accept", u, func(r *http.Request) { r.Header.Del("Accept") }, 406},
		{"unknown parameter", u + "?limits=3", nil, 400},
		{"twice", u + "?limit=3&limit=4", nil, 400},
		{"limit 0", u + "?limit=0", nil, 400},
		{"three digits", u + "?added_after=2024-03-04T10:30:45.123Z", nil, 400},
		{"no digits", u + "?added_after=2024-03-04T10:30:45Z", nil, 400},
		{"offset", u + "?added_after=2024-03-04T10:30:45.000000%2B00:00", nil, 400},
		{"other filter with next", u + "?limit=3&match[type]=indicator&next=" + next, nil, 400},
		{"invented next", u + "?limit=3&next=abc", nil, 400},
		{"POST", u, func(r *http.Request) { r.Method = http.MethodPost }, 405},
	} {
		before := len(s.Violations())
		resp, body := get(t, s, tt.url, tt.change)
		if resp.StatusCode != tt.status || len(s.Violations()) != before+1 || body["title"] == nil {
			t.Errorf("%s: status %d, body %v, violations %q", tt.name, resp.StatusCode, body, s.Violations()[before:])
		}
	}
}

func TestPages(t *testing.T) {
	for _, prerender := range []bool{false, true} {
		s, u := strict(t, Options{Prerender: prerender}, 10)
		for range 2 {
			q, seen := "?limit=4", 0
			for {
				resp, body := get(t, s, u+q, nil)
				list, _ := body["objects"].([]any)
				seen += len(list)
				if resp.Header.Get("X-TAXII-Date-Added-Last") == "" {
					t.Error("no date")
				}
				if body["more"] != true {
					break
				}
				q = "?limit=4&next=" + url.QueryEscape(body["next"].(string))
			}
			if seen != 10 {
				t.Errorf("%d objects", seen)
			}
		}
		// after is exclusive; an empty page has no dates and no objects.
		resp, body := get(t, s, u+"?added_after=2024-03-04T10:30:54.000000Z", nil)
		if body["objects"] != nil || resp.Header.Get("X-TAXII-Date-Added-Last") != "" {
			t.Errorf("%v %v", body, resp.Header)
		}
		if v := s.Violations(); len(v) > 0 {
			t.Error(v)
		}
	}
}

func TestVersions(t *testing.T) {
	s, u := strict(t, Options{Prerender: true}, 3)
	c := s.roots[0].collections[0]
	count := func(q string) int {
		_, body := get(t, s, u+q, nil)
		list, _ := body["objects"].([]any)
		return len(list)
	}
	if n := count(""); n != 3 {
		t.Errorf("%d objects", n)
	}
	c.Add(epoch.Add(time.Hour), object(1, 5), object(3, 0))
	for q, want := range map[string]int{"": 4, "?match[version]=all": 5, "?match[id]=indicator--1&match[version]=all": 2, "?match[type]=malware": 0, "?match[type]=malware,indicator": 4} {
		if n := count(q); n != want {
			t.Errorf("%s: %d objects, want %d", q, n, want)
		}
	}
	if _, body := get(t, s, s.RootURL()+"collections/a/manifest/?match[id]=indicator--1", nil); fmt.Sprint(body["objects"]) == "" || !strings.Contains(fmt.Sprint(body["objects"]), "2024-03-04T11:30:45.000000Z") {
		t.Errorf("manifest %v", body)
	}
	c.Remove("indicator--3")
	if c.Len() != 3 || count("") != 3 {
		t.Errorf("%d objects after a removal", count(""))
	}
}

func TestAuthAndFaults(t *testing.T) {
	s, u := strict(t, Options{Auth: Auth{Kind: "basic", Username: "u", Password: "p"}}, 3)
	if resp, _ := get(t, s, u, func(r *http.Request) { r.SetBasicAuth("u", "x") }); resp.StatusCode != 401 {
		t.Errorf("status %d", resp.StatusCode)
	}
	s.Inject(Fault{Skip: 1, Times: 2, Status: 503, Header: http.Header{"Retry-After": {"1"}}})
	var got []int
	for range 4 {
		resp, _ := get(t, s, u, nil)
		got = append(got, resp.StatusCode)
	}
	if fmt.Sprint(got) != "[200 503 503 200]" {
		t.Errorf("statuses %v", got)
	}
}

// medallion's token is one for all pages, and a repeated request gets the
// following page.
func TestSession(t *testing.T) {
	now := epoch
	p, _ := ProfileNamed("medallion")
	s, u := strict(t, Options{Profile: p, Now: func() time.Time { return now }}, 10)
	_, a := get(t, s, u+"?limit=3", nil)
	next := a["next"].(string)
	_, b := get(t, s, u+"?limit=3&next="+next, nil)
	_, c := get(t, s, u+"?limit=3&next="+next, nil)
	if b["next"] != next || fmt.Sprint(b["objects"]) == fmt.Sprint(c["objects"]) {
		t.Errorf("%v, %v", b, c)
	}
	if resp, _ := get(t, s, u+"?next="+next, nil); resp.StatusCode != 500 {
		t.Errorf("next without limit: %d", resp.StatusCode)
	}
	now = now.Add(time.Minute)
	if resp, _ := get(t, s, u+"?limit=3&next="+next, nil); resp.StatusCode != 400 {
		t.Errorf("expired next: %d", resp.StatusCode)
	}
}

func TestProfileNames(t *testing.T) {
	want := "socdefenders medallion opentaxii mitre opencti pulsedive otx crowdsec misp-taxii arango xsoar cyware limo"
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("profiles %q", got)
	}
	if _, ok := ProfileNamed("nobody"); ok {
		t.Error("nobody has a profile")
	}
}
