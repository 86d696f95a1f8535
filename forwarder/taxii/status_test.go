package taxii

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

func TestWalkFailures(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for _, tt := range []struct {
		name  string
		fault taxiitest.Fault
		kind  intel.FailureKind
		says  []string
	}{
		{"401", taxiitest.Fault{Status: 401, Body: `{"error":{"code":"INVALID_KEY","message":"The key is unknown"}}`}, intel.FailAuth, []string{"401", "INVALID_KEY: The key is unknown", "auth block"}},
		{"403", taxiitest.Fault{Status: 403, Body: `{"title":"Forbidden here","description":"Pro only","http_status":"403"}`}, intel.FailAuth, []string{"Forbidden here: Pro only", "may not read"}},
		{"404", taxiitest.Fault{Status: 404, Body: `{"code":404,"name":"NotFound","description":"no such thing"}`}, intel.FailNotFound, []string{"NotFound: no such thing", "discover"}},
		{"406", taxiitest.Fault{Status: 406}, intel.FailProtocol, []string{"406", "TAXII 2.0"}},
		{"406 of TAXII 2.0", taxiitest.Fault{Status: 406, Header: http.Header{"Content-Type": {"application/vnd.oasis.taxii+json; version=2.0"}}}, intel.FailProtocol, []string{"this is a TAXII 2.0 server"}},
		{"500", taxiitest.Fault{Status: 500, Body: `{"message":"database on fire"}`}, intel.FailServer, []string{"database on fire"}},
		{"502 page", taxiitest.Fault{Status: 502, Header: html, Body: "<html><head><style>x</style></head><body>Bad <b>Gateway</b></body></html>"}, intel.FailServer, []string{"Bad Gateway"}},
		{"504", taxiitest.Fault{Status: 504}, intel.FailTimeout, nil},
		{"429 without a word", taxiitest.Fault{Status: 429}, intel.FailThrottled, []string{"429"}},
		{"page", taxiitest.Fault{Status: 200, Header: html, Body: "<html>login</html>"}, intel.FailProtocol, []string{"HTML page", "login page"}},
		{"page called JSON", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: " <!doctype html>"}, intel.FailProtocol, []string{"HTML page"}},
		{"XML", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/xml"}}, Body: "<x/>"}, intel.FailProtocol, []string{"TAXII 1.x"}},
		{"TAXII 2.0", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/vnd.oasis.stix+json; version=2.0"}}, Body: "{}"}, intel.FailProtocol, []string{"this is a TAXII 2.0 server", "/taxii2/"}},
		{"range", taxiitest.Fault{Status: 206, Body: "{}"}, intel.FailProtocol, []string{"TAXII 2.0"}},
		{"text", taxiitest.Fault{Status: 200, Body: "all is well"}, intel.FailProtocol, []string{"not a JSON object", "all is well"}},
		{"UTF-16", taxiitest.Fault{Status: 200, Body: "\xff\xfe{\x00}\x00"}, intel.FailProtocol, []string{"UTF-16"}},
		{"error in a 200", taxiitest.Fault{Status: 200, Body: `{"error":"no subscription"}`}, intel.FailProtocol, []string{"no subscription"}},
		{"gzip that is none", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: "plain text, long enough for a header"}, intel.FailProtocol, []string{"gzip"}},
		{"redirect elsewhere", taxiitest.Fault{Redirect: "http://localhost.example:1/"}, intel.FailConfig, []string{"localhost.example", "trusted_hosts"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := feed(t, taxiitest.Options{Auth: taxiitest.Auth{Kind: "bearer", Token: "s3cret-token"}}, 5, nil)
			s.Inject(tt.fault)
			r := newReader(t)
			_, err := r.walk(clientFor(t, s, Options{}), walkOf(s))
			f := intel.AsFailure(err)
			if f == nil || f.Kind != tt.kind {
				t.Fatalf("error %v, want kind %s", err, tt.kind)
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q has the secret", err)
			}
			if n := s.ObjectRequests(); n != 1 {
				t.Errorf("%d requests", n)
			}
			if len(r.moved) > 0 {
				t.Errorf("the position moved")
			}
		})
	}
}

func TestWalkAcceptsOddAnswers(t *testing.T) {
	body := `{"objects":[` + string(indicator(0, epoch)) + `]}`
	for _, tt := range []struct {
		name  string
		fault taxiitest.Fault
	}{
		{"gzip", taxiitest.Fault{Gzip: true}},
		{"slow", taxiitest.Fault{Pace: time.Millisecond}},
		{"no content type", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {""}}, Body: body}},
		{"json", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}},
		{"stix", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/stix+json; version=2.1; charset=utf-8"}}, Body: body}},
		{"text", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: body}},
		{"broken content type", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/taxii+json;;version=2.1"}}, Body: body}},
		{"wrong charset", taxiitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json; charset=iso-8859-1"}}, Body: body}},
	} {
		s, _ := feed(t, taxiitest.Options{}, 1, nil)
		tt.fault.Times = -1
		s.Inject(tt.fault)
		r := newReader(t)
		if _, err := r.walk(clientFor(t, s, Options{}), walkOf(s)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		r.need(1)
	}
	s, _ := feed(t, taxiitest.Options{}, 1, nil)
	s.Inject(taxiitest.Fault{Status: 204})
	r := newReader(t)
	if _, err := r.walk(clientFor(t, s, Options{}), walkOf(s)); err != nil {
		t.Errorf("no content: %v", err)
	}
}

func TestThrottled(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		wait   time.Duration // 0: the walk goes on by itself
	}{
		{"seconds", 429, http.Header{"Retry-After": {"0"}}, 0},
		{"date", 503, http.Header{"Retry-After": {now.Add(-time.Hour).UTC().Format(http.TimeFormat)}}, 0},
		{"reset", 429, http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(now.Add(-time.Minute).Unix(), 10)}}, 0},
		{"an hour", 429, http.Header{"Retry-After": {"3600"}}, time.Hour},
		{"an hour by date", 503, http.Header{"Retry-After": {now.Add(time.Hour).UTC().Format(http.TimeFormat)}}, time.Hour},
		{"an hour by reset", 429, http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(now.Add(time.Hour).Unix(), 10)}}, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := feed(t, taxiitest.Options{}, 30, nil)
			s.AddCollection(taxiitest.Info{ID: "other"})
			s.Inject(taxiitest.Fault{Skip: 1, Status: tt.status, Header: tt.header})
			c := clientFor(t, s, Options{PageSize: 10, Now: func() time.Time { return now }})
			r := newReader(t)
			_, err := r.walk(c, walkOf(s))
			if tt.wait == 0 {
				if err != nil {
					t.Fatal(err)
				}
				r.need(30)
				return
			}
			f := intel.AsFailure(err)
			if f == nil || f.Kind != intel.FailThrottled || f.RetryAfter < tt.wait-2*time.Second || f.RetryAfter > tt.wait {
				t.Fatalf("error %v, wait %v", err, f)
			}
			// Nothing else is asked of that host before.
			before := len(s.Requests())
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := c.Walk(ctx, Walk{Root: s.RootURL(), Collection: "other", Visit: r.visit}); err == nil {
				t.Error("the other collection did not wait")
			}
			if len(s.Requests()) != before {
				t.Error("a request was sent to a host on hold")
			}
		})
	}
}

// A server that says "again" for ever is not asked for ever.
func TestThrottledForEver(t *testing.T) {
	s, _ := feed(t, taxiitest.Options{}, 5, nil)
	s.Inject(taxiitest.Fault{Times: -1, Status: 429, Header: http.Header{"Retry-After": {"0"}}})
	_, err := newReader(t).walk(clientFor(t, s, Options{}), walkOf(s))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailThrottled || s.ObjectRequests() > 10 {
		t.Errorf("error %v after %d requests", err, s.ObjectRequests())
	}
}

func TestErrorText(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"T","description":"D","error_id":"e1","http_status":"400"}`:          "T: D (error id e1)",
		`{"error":{"code":"C","message":"M"}}`:                                         "C: M",
		`{"error":"E"}`:                                                                "E",
		`{"error":"E","error_description":"D"}`:                                        "E: D",
		`{"code":400,"name":"N","description":"D"}`:                                    "N: D",
		`{"code":400,"name":"N","description":{"next":["A.","B"],"b":[],"c":{"d":1}}}`: "N: c: d: 1, next: A., B",
		`{"detail":[{"loc":["query","limit"],"msg":"too large"}]}`:                     "loc: query, limit, msg: too large",
		`{"name":"N","description":[[[[["too deep"]]]]]}`:                              "N",
		`{"detail":"D"}`:               "D",
		`{"message":null,"title":"T"}`: "T",
		`{"a":1}`:                      "",
		`[]`:                           "",
		``:                             "",
	} {
		if got := errorText([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
