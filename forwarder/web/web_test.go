package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/status"
)

// source is a forwarder that is as told.
type source struct {
	s     status.Status
	dead  atomic.Bool
	asked atomic.Int32
}

func (s *source) Status(context.Context) status.Status {
	s.asked.Add(1)
	return s.s
}

func (s *source) Ready(context.Context) (bool, []status.Reason) { return s.s.Ready() }
func (s *source) Alive() bool                                   { return !s.dead.Load() }

const evil = `<script>alert("x")</script>' onmouseover='y`

func sample() *source {
	now := time.Now()
	return &source{s: status.Status{
		Version: "1.2.3", Running: true, Time: now, Started: now.Add(-time.Hour), Uptime: 3600,
		State:  status.Store{Path: "/var/lib/x/" + evil, Bytes: 1 << 20},
		Config: status.Config{Path: "/etc/x.hcl", LoadedAt: now, Error: evil},
		Feeds: []status.Feed{{
			Name: "osint", State: status.StateFailing, Failure: status.Failure{Error: evil, FailureKind: intel.FailUnreachable, FailingSince: now, RetryAt: now},
			Collections: []status.Collection{{ID: "c1", Title: evil, State: status.StateOK, Warnings: []string{evil}, Failure: status.Failure{Error: evil}}},
		}, {Name: evil, State: status.StateStarting}},
		Sinks: []status.Sink{{Name: "soc", Kind: "file", State: status.StateOK}},
		Routes: []status.Route{{
			Feed: "osint", Sink: "soc", State: status.StateCatchingUp, Pending: 1234567, Skipped: map[string]int64{"negation": 3},
			Failure: status.Failure{Error: evil},
		}},
	}}
}

func serve(t *testing.T, o Options) *httptest.Server {
	t.Helper()
	if o.Gatherer == nil {
		m := metrics.New()
		m.BuildInfo("1.2.3", "abc")
		o.Gatherer = m.Registry()
	}
	s := httptest.NewServer(Handler(o))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, method, url string, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range edit {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestPages(t *testing.T) {
	src := sample()
	s := serve(t, Options{Source: src})
	for _, c := range []struct {
		path, contentType, want string
		code                    int
	}{
		{"/", "text/html; charset=utf-8", "<h1>taxii-forwarder 1.2.3</h1>", 200},
		{"/status", "application/json", `"uptime": 3600`, 200},
		{"/metrics", "text/plain", `taxii_forwarder_build_info{commit="abc"`, 200},
		{"/healthz", "text/plain; charset=utf-8", "ok\n", 200},
		{"/readyz", "application/json", `"degraded": true`, 200},
		{"/readyz?strict", "application/json", `"ready": true`, 503},
		{"/favicon.ico", "", "", 404},
		{"/status/../../etc/passwd", "", "", 404},
	} {
		resp, body := get(t, "GET", s.URL+c.path)
		if resp.StatusCode != c.code || !strings.HasPrefix(resp.Header.Get("Content-Type"), c.contentType) || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s %.300s", c.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q", c.path, name, got)
			}
		}
		head, body := get(t, "HEAD", s.URL+c.path)
		if head.StatusCode != c.code || body != "" {
			t.Errorf("HEAD %s: %d with %d bytes", c.path, head.StatusCode, len(body))
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			if resp, _ := get(t, method, s.URL+c.path); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d", method, c.path, resp.StatusCode)
			}
		}
	}
	src.asked.Store(0)
	if get(t, "GET", s.URL+"/metrics"); src.asked.Load() == 0 {
		t.Error("/metrics did not bring the gauges up to date")
	}
}

func TestStatusJSON(t *testing.T) {
	s := serve(t, Options{Source: sample()})
	_, body := get(t, "GET", s.URL+"/status")
	var got status.Status
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Feeds) != 2 || got.Feeds[0].Error != evil || got.Feeds[0].FailureKind != intel.FailUnreachable || got.Routes[0].Pending != 1234567 {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(body, "0001-01-01") {
		t.Errorf("a zero time is shown: %s", body)
	}
}

// TestPage: what servers say can not become markup, nothing is loaded from
// elsewhere, and the browser accepts the style.
func TestPage(t *testing.T) {
	s := serve(t, Options{Source: sample()})
	resp, body := get(t, "GET", s.URL+"/")
	if strings.Contains(body, "<script") || strings.Contains(body, "onmouseover='") {
		t.Errorf("markup got through:\n%s", body)
	}
	if n := strings.Count(body, "&lt;script&gt;"); n < 6 {
		t.Errorf("the texts are shown %d times", n)
	}
	for _, m := range regexp.MustCompile(`(?i)(src|href|url)\s*[=(]\s*"?([^">)]*)`).FindAllStringSubmatch(body, -1) {
		if strings.Contains(m[2], ":") || strings.HasPrefix(m[2], "//") {
			t.Errorf("refers elsewhere: %s", m[0])
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, base64.StdEncoding.EncodeToString(sum[:])) || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("the policy %q does not allow the page's style", csp)
	}
	for _, want := range []string{"1 234 567", `class="failing"`, `class="catching_up"`, "unreachable: ", "negation 3", `http-equiv="refresh"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	empty := serve(t, Options{Source: &source{}})
	if resp, body := get(t, "GET", empty.URL+"/"); resp.StatusCode != 200 || !strings.Contains(body, "not running") {
		t.Errorf("before anything runs: %d %s", resp.StatusCode, body)
	}
}

// TestHealth: what is remote never touches liveness.
func TestHealth(t *testing.T) {
	src := sample()
	s := serve(t, Options{Source: src})
	if resp, _ := get(t, "GET", s.URL+"/healthz"); resp.StatusCode != 200 {
		t.Errorf("liveness fails because of a feed: %d", resp.StatusCode)
	}
	src.dead.Store(true)
	if resp, body := get(t, "GET", s.URL+"/healthz"); resp.StatusCode != 503 || !strings.Contains(body, "no progress") {
		t.Errorf("stuck: %d %s", resp.StatusCode, body)
	}
	_, body := get(t, "GET", s.URL+"/readyz")
	var got readiness
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range got.Reasons {
		seen[string(r.Part)+"/"+r.Name] = r.OK
	}
	if !got.Ready || seen["feed/osint"] || !seen["sink/soc"] || !seen["config/"] || !seen["state/"] {
		t.Errorf("readiness %s", body)
	}
	unready := serve(t, Options{Source: &source{}})
	if resp, body := get(t, "GET", unready.URL+"/readyz"); resp.StatusCode != 503 || !strings.Contains(body, "no configuration is running") {
		t.Errorf("before the configuration is loaded: %d %s", resp.StatusCode, body)
	}
}

func TestToken(t *testing.T) {
	const token = "correct horse"
	s := serve(t, Options{Source: sample(), Token: token})
	bearer := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", v) }
	}
	for _, c := range []struct {
		path string
		auth func(*http.Request)
		code int
		says string
	}{
		{"/", bearer(""), 401, "token"},
		{"/status", bearer("Bearer wrong"), 401, ""},
		{"/status", bearer("Bearer correct hors"), 401, ""},
		{"/status", bearer("Bearer "), 401, ""},
		{"/status", bearer("Bearer"), 401, ""},
		{"/metrics", bearer("correct horse"), 401, ""},
		{"/metrics", bearer("Bearer " + token), 200, "build_info"},
		{"/status", bearer("bearer " + token), 200, "uptime"},
		{"/", func(r *http.Request) { r.SetBasicAuth("admin", token) }, 200, "<h1>"},
		{"/", func(r *http.Request) { r.SetBasicAuth(token, "") }, 401, ""},
		{"/healthz", bearer(""), 200, "ok"},
		{"/readyz", bearer(""), 200, `"ready": true`},
		{"/readyz", bearer("Bearer " + token), 200, "osint"},
	} {
		resp, body := get(t, "GET", s.URL+c.path, c.auth)
		if resp.StatusCode != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %.200s", c.path, resp.StatusCode, body)
		}
		if c.code == 401 && resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", c.path)
		}
	}
	if _, body := get(t, "GET", s.URL+"/readyz"); strings.Contains(body, "osint") {
		t.Errorf("/readyz tells strangers the feeds: %s", body)
	}
}

// TestRebinding: over loopback only loopback names are served.
func TestRebinding(t *testing.T) {
	s := serve(t, Options{Source: sample(), Hosts: []string{"status.example.com"}})
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	for _, c := range []struct {
		host string
		ok   bool
	}{
		{"127.0.0.1" + port, true}, {"localhost" + port, true}, {"LOCALHOST", true}, {"localhost.", true}, {"[::1]" + port, true},
		{"127.8.9.1", true}, {"status.example.com", true}, {"app.localhost", true},
		{"evil.example.com" + port, false}, {"evil.example.com", false}, {"192.0.2.1", false}, {"localhost.example.com", false},
		{"127.0.0.1.example.com", false}, {"notlocalhost", false},
	} {
		for _, path := range []string{"/status", "/healthz", "/"} {
			resp, body := get(t, "GET", s.URL+path, func(r *http.Request) { r.Host = c.host })
			if ok := resp.StatusCode == 200; ok != c.ok {
				t.Errorf("Host %s, %s: %d", c.host, path, resp.StatusCode)
			}
			if !c.ok && strings.Contains(body, "osint") {
				t.Errorf("Host %s: the status is told", c.host)
			}
		}
	}
	// A public listener is reached under any name.
	h := Handler(Options{Source: sample(), Gatherer: metrics.New().Registry()})
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = "soc.example.com"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80})))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("public listener: %d", w.Code)
	}
}

func TestListen(t *testing.T) {
	var log bytes.Buffer
	o := Options{Source: sample(), Gatherer: metrics.New().Registry(), Logger: hclog.New(&hclog.LoggerOptions{Output: &log})}
	s, err := Listen("127.0.0.1:0", nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, "GET", "http://"+s.Addr().String()+"/healthz"); body != "ok\n" {
		t.Errorf("body %q", body)
	}
	if _, err := Listen(s.Addr().String(), nil, o); err == nil || !strings.Contains(err.Error(), "another forwarder") {
		t.Errorf("second listener: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
	for _, addr := range []string{"localhost", "127.0.0.1:99999", ""} {
		if s, err := Listen(addr, nil, o); err == nil && addr != "" {
			t.Errorf("%q is accepted", addr)
		} else if s != nil {
			s.Close(t.Context())
		}
	}
}
