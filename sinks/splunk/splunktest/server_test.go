package splunktest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"taxii-forwarder/sinks/splunk/splunktest"
)

const channel = "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"

// good is an event that has nothing odd about it.
func good(value string) string {
	return `{"time":"1700000000.123","sourcetype":"stix:indicator","event":{"action":"upsert","item_key":"` + strings.Repeat("0", 63) + value +
		`","stix_id":"indicator--1","observable_type":"domain-name","version":1,"threat_collection":"ip_intel","domain":"x.example.com"}}`
}

type hecReply struct {
	Code  int
	Bad   *int   `json:"invalid-event-number"`
	AckID *int64 `json:"ackId"`
	Acks  map[string]bool
}

// post makes a request as our own client would, except for what edit changes.
func post(t *testing.T, s *splunktest.Server, path, body string, edit func(*http.Request)) (int, hecReply) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL()+"/services/collector/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Splunk "+s.Token())
	req.Header.Set("X-Splunk-Request-Channel", channel)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "test")
	if edit != nil {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := hecReply{Code: -1}
	_ = json.Unmarshal(b, &r) // a page has no code
	return resp.StatusCode, r
}

func TestStrict(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      splunktest.Options
		body   string
		edit   func(*http.Request)
		status int
		code   int
		bad    int // -1 = none
		stored int64
		odd    bool // noted as a problem
	}{
		{"good", splunktest.Options{}, good("1") + good("2"), nil, 200, 0, -1, 2, false},
		{"empty", splunktest.Options{}, "", nil, 400, 5, -1, 0, false},
		{"not JSON", splunktest.Options{}, good("1") + "{" + good("2"), nil, 400, 6, 1, 1, true},
		{"cut short", splunktest.Options{}, good("1") + good("2")[:50], nil, 400, 6, 1, 1, true},
		{"array", splunktest.Options{}, "[" + good("1") + "]", nil, 400, 6, 0, 0, true},
		{"unknown key", splunktest.Options{}, good("1") + `{"evnt":1,"event":"x"}` + good("2"), nil, 200, 0, -1, 1, true},
		{"only an unknown key", splunktest.Options{}, `{"evnt":1}`, nil, 400, 5, -1, 0, true},
		{"fields alone", splunktest.Options{}, good("1") + `{"fields":{"a":"b"}}` + good("2"), nil, 200, 0, -1, 2, true},
		{"nested fields", splunktest.Options{}, good("1") + `{"event":"x","fields":{"a":{"b":1}}}`, nil, 400, 15, 1, 1, false},
		{"no event", splunktest.Options{}, good("1") + `{"time":"1"}`, nil, 400, 12, 1, 1, false},
		{"blank event", splunktest.Options{}, good("1") + good("2") + `{"event":" "}`, nil, 400, 13, 2, 2, false},
		{"time not decimal", splunktest.Options{}, `{"time":"now","event":"x"}`, nil, 400, 6, 0, 0, true},
		{"time as number", splunktest.Options{}, strings.Replace(good("1"), `"1700000000.123"`, "1700000000.123", 1), nil, 200, 0, -1, 1, true},
		{"index refused", splunktest.Options{Indexes: []string{"x"}}, good("1"), nil, 400, 7, 1, 0, false},
		{"index missing", splunktest.Options{Existing: []string{"x"}}, good("1"), nil, 200, 0, -1, 0, true},
		{"odd item", splunktest.Options{}, strings.Replace(good("1"), "upsert", "update", 1), nil, 200, 0, -1, 1, true},
		{"wrong collection", splunktest.Options{}, strings.Replace(good("1"), "ip_intel", "domain_intel", 1), nil, 200, 0, -1, 1, true},
		{"no token", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Del("Authorization") }, 401, 2, -1, 0, false},
		{"other scheme", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, 3, -1, 0, false},
		{"other token", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Set("Authorization", "Splunk x") }, 403, 4, -1, 0, false},
		{"token in query", splunktest.Options{}, good("1"), func(r *http.Request) { r.URL.RawQuery = "token=x" }, 400, 16, -1, 0, true},
		{"no channel", splunktest.Options{Ack: true}, good("1"), func(r *http.Request) { r.Header.Del("X-Splunk-Request-Channel") }, 400, 10, -1, 0, true},
		{"no channel, cloud", splunktest.Options{Ack: true, Cloud: true}, good("1"), func(r *http.Request) { r.Header.Del("X-Splunk-Request-Channel") }, 400, 28, -1, 0, true},
		{"channel", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Set("X-Splunk-Request-Channel", "x") }, 400, 11, -1, 0, false},
		{"deflate", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Set("Content-Encoding", "deflate") }, 415, -1, -1, 0, true},
		{"not gzip", splunktest.Options{}, good("1"), func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 400, 6, 0, 0, false},
		{"large", splunktest.Options{MaxContentLength: 100}, good("1"), nil, 413, -1, -1, 0, false},
		{"large, cloud", splunktest.Options{CloudMaxBytes: 100}, good("1"), nil, 400, 6, 0, 0, false},
		{"GET", splunktest.Options{}, "", func(r *http.Request) { r.Method = http.MethodGet }, 405, 404, -1, 0, false},
		{"OPTIONS", splunktest.Options{}, "", func(r *http.Request) { r.Method = http.MethodOptions }, 200, -1, -1, 0, false},
		{"other path", splunktest.Options{}, good("1"), func(r *http.Request) { r.URL.Path = "/services/search" }, 404, 404, -1, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := splunktest.NewServer(tt.o)
			defer s.Close()
			status, r := post(t, s, "event", tt.body, tt.edit)
			bad := -1
			if r.Bad != nil {
				bad = *r.Bad
			}
			if status != tt.status || r.Code != tt.code || bad != tt.bad || s.Stored() != tt.stored {
				t.Errorf("status %d, code %d, number %d, %d stored; want %d, %d, %d, %d", status, r.Code, bad, s.Stored(), tt.status, tt.code, tt.bad, tt.stored)
			}
			if odd := len(s.Problems()) > 0; odd != tt.odd {
				t.Errorf("problems %q", s.Problems())
			}
		})
	}
}

func TestAckOnce(t *testing.T) {
	s := splunktest.NewServer(splunktest.Options{Ack: true, AckPolls: 1})
	defer s.Close()
	for want := range int64(2) {
		if _, r := post(t, s, "event", good("1"), nil); r.AckID == nil || *r.AckID != want {
			t.Fatalf("ackId %v, want %d", r.AckID, want)
		}
	}
	ask := func(edit func(*http.Request)) string {
		_, r := post(t, s, "ack", `{"acks":[0,1,2]}`, edit)
		b, _ := json.Marshal(r.Acks)
		return string(b)
	}
	other := func(r *http.Request) {
		r.Header.Set("X-Splunk-Request-Channel", "1aeeac95-ac74-4aa9-b30d-6c4c0ac581ba")
	}
	const none = `{"0":false,"1":false,"2":false}`
	for i, step := range []struct {
		edit func(*http.Request)
		want string
	}{
		{other, none}, {nil, none}, {nil, `{"0":true,"1":true,"2":false}`}, {nil, none},
	} {
		if got := ask(step.edit); got != step.want {
			t.Errorf("question %d: %s, want %s", i, got, step.want)
		}
	}
	if _, r := post(t, s, "event", good("1")+`{"event":""}`, nil); r.Code != 13 || r.AckID == nil {
		t.Errorf("a partial acceptance without an id: %+v", r)
	}
	// The last one is not acknowledged: a crash loses it, and it alone.
	if err := s.Restart(false); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Events()); n != 2 {
		t.Errorf("%d events after the crash, want 2", n)
	}
	off := splunktest.NewServer(splunktest.Options{})
	defer off.Close()
	if _, r := post(t, off, "ack", `{"acks":[0]}`, nil); r.Code != 14 {
		t.Errorf("without acknowledgment: %+v", r)
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	s := splunktest.NewServer(splunktest.Options{})
	defer s.Close()
	resp, err := http.Get(s.URL() + "/services/collector/health/1.0")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestGzipAndRepeats(t *testing.T) {
	s := splunktest.NewServer(splunktest.Options{})
	defer s.Close()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(good("1") + "\n" + good("2") + "\n" + good("1")))
	_ = w.Close()
	status, _ := post(t, s, "event", z.String(), func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	if status != 200 || len(s.Events()) != 3 || s.Repeats() != 1 || len(s.Latest()) != 2 {
		t.Errorf("status %d, %d events, %d repeats, %d items", status, len(s.Events()), s.Repeats(), len(s.Latest()))
	}
	if err := s.Restart(true); err != nil {
		t.Fatal(err)
	}
	if len(s.Events()) != 3 {
		t.Error("a clean restart lost events")
	}
	s.Forget()
	if s.Stored() != 0 || len(s.Events()) != 0 {
		t.Error("Forget remembers")
	}
}
