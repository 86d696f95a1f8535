package sentineltest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, o Options) (*Server, *http.Client) {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("no CA")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	return s, &http.Client{Transport: tr}
}

const (
	good   = `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00.000Z"}`
	upload = "/workspaces/" + WorkspaceID + "/threat-intelligence-stix-objects:upload?api-version=" + APIVersion
)

func envelope(objects ...string) string {
	return `{"sourcesystem":"test","stixobjects":[` + strings.Join(objects, ",") + `]}`
}

// with returns good with members replaced or, when null, removed.
func with(t *testing.T, members string) string {
	t.Helper()
	var o, m map[string]any
	json.Unmarshal([]byte(good), &o)
	if err := json.Unmarshal([]byte(members), &m); err != nil {
		t.Fatal(err)
	}
	for name, v := range m {
		if v == nil {
			delete(o, name)
		} else {
			o[name] = v
		}
	}
	b, _ := json.Marshal(o)
	return string(b)
}

func TestRequests(t *testing.T) {
	s, client := start(t, Options{RequestsPerMinute: -1})
	hundred := strings.Repeat(","+good, 100)[1:]
	for _, tt := range []struct {
		name, method, path, token, media, body string
		status                                 int
	}{
		{"good", "", "", "", "", envelope(good), 200},
		{"media type with charset", "", "", "", "application/json; charset=utf-8", envelope(good), 200},
		{"100 objects", "", "", "", "", envelope(hundred), 200},
		{"101 objects", "", "", "", "", envelope(hundred, good), 400},
		{"GET", "GET", "", "", "", "", 405},
		{"path without hyphen", "", strings.Replace(upload, "threat-intel", "threatintel", 1), "", "", envelope(good), 404},
		{"no api-version", "", strings.TrimSuffix(upload, "?api-version="+APIVersion), "", "", envelope(good), 400},
		{"other api-version", "", strings.Replace(upload, APIVersion, "2022-07-01", 1), "", "", envelope(good), 400},
		{"workspace name", "", strings.Replace(upload, WorkspaceID, "my-workspace", 1), "", "", envelope(good), 400},
		{"other workspace", "", strings.Replace(upload, WorkspaceID, TenantID, 1), "", "", envelope(good), 404},
		{"no token", "", "", "none", "", envelope(good), 401},
		{"unknown token", "", "", "Bearer nonsense", "", envelope(good), 401},
		{"media type", "", "", "", "text/plain", envelope(good), 415},
		{"not JSON", "", "", "", "", "hello", 400},
		{"no objects", "", "", "", "", envelope(), 400},
		{"objects under an old name", "", "", "", "", `{"sourcesystem":"test","indicators":[` + good + `]}`, 400},
		{"another member", "", "", "", "", `{"sourcesystem":"test","stixobjects":[` + good + `],"x":1}`, 400},
		{"no source", "", "", "", "", `{"stixobjects":[` + good + `]}`, 400},
		{"reserved source", "", "", "", "", `{"sourcesystem":"Microsoft Sentinel","stixobjects":[` + good + `]}`, 400},
		{"long source", "", "", "", "", `{"sourcesystem":"` + strings.Repeat("x", 257) + `","stixobjects":[` + good + `]}`, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			def := func(v, d string) string {
				if v == "" {
					return d
				}
				return v
			}
			req, err := http.NewRequest(def(tt.method, "POST"), s.URL()+def(tt.path, upload), strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", def(tt.media, "application/json"))
			if tt.token != "none" {
				req.Header.Set("Authorization", def(tt.token, "Bearer "+s.IssueToken()))
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
			if tt.status == 200 && len(body) > 0 {
				t.Errorf("the answer to a full success has a body: %s", body)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	for _, tt := range []struct{ members, property string }{
		{`{}`, ""},
		{`{"id":null}`, "id"},
		{`{"created":null}`, "created"},
		{`{"modified":null}`, "modified"},
		{`{"pattern":null}`, "pattern"},
		{`{"pattern_type":null}`, "pattern_type"},
		{`{"valid_from":null}`, "valid_from"},
		{`{"spec_version":null}`, ""},
		{`{"spec_version":"3"}`, "spec_version"},
		{`{"type":"malware"}`, "type"},
		{`{"type":"identity"}`, "id"},
		{`{"id":"malware--00000000-0000-4000-8000-000000000001"}`, "id"},
		{`{"id":"indicator--1"}`, "id"},
		{`{"created":"2026-01-01"}`, "created"},
		{`{"created":"2026-01-01T00:00:00+01:00"}`, "created"},
		{`{"modified":"2025-01-01T00:00:00Z"}`, "modified"},
		{`{"valid_until":"2026-01-01T00:00:00Z"}`, "valid_until"},
		{`{"valid_until":"2020-01-01T00:00:00Z"}`, "valid_until"},
		{`{"valid_until":"2030-01-01T00:00:00Z"}`, ""},
		{`{"confidence":0}`, ""},
		{`{"confidence":100}`, ""},
		{`{"confidence":101}`, "confidence"},
		{`{"confidence":-1}`, "confidence"},
		{`{"confidence":"85"}`, "confidence"},
		{`{"confidence":8.5}`, "confidence"},
		{`{"labels":["a"]}`, ""},
		{`{"labels":[]}`, "labels"},
		{`{"labels":"a"}`, "labels"},
		{`{"revoked":"yes"}`, "revoked"},
		{`{"name":""}`, "name"},
		{`{"x_custom":1}`, "x_custom"},
		{`{"extensions":{}}`, "extensions"},
		{`{"created_by_ref":"Example"}`, "created_by_ref"},
		{`{"object_marking_refs":["tlp:red"]}`, "object_marking_refs"},
		{`{"kill_chain_phases":[{"kill_chain_name":"a"}]}`, "kill_chain_phases"},
		{`{"external_references":[{"url":"https://example.com"}]}`, "external_references"},
		{`{"external_references":[{"source_name":"a","x":"b"}]}`, "external_references"},
		{`{"granular_markings":[{"selectors":["name"]}]}`, "granular_markings"},
		{`{"granular_markings":[{"lang":"de"}]}`, "granular_markings"},
		{`{"granular_markings":[{"selectors":["name"],"lang":"de"}]}`, ""},
	} {
		problems := checkObject(json.RawMessage(with(t, tt.members)), false)
		if tt.property == "" && len(problems) > 0 || tt.property != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0], "Error for Property="+tt.property+":")) {
			t.Errorf("%s: %v, want one about %q", tt.members, problems, tt.property)
		}
	}
	if p := checkObject(json.RawMessage(with(t, `{"x_custom":1}`)), true); len(p) > 0 {
		t.Errorf("lenient: %v", p)
	}
	if p := checkObject(json.RawMessage(`[]`), false); len(p) == 0 {
		t.Error("a list passes as object")
	}
}

func TestPartialErrors(t *testing.T) {
	for _, swagger := range []bool{false, true} {
		s, client := start(t, Options{SwaggerNames: swagger})
		status, body := post(t, s, client, envelope(with(t, `{"id":null}`), good))
		want := `{"errors":[{"errorMessages":["Error for Property=id: Required property is missing. Actual value: NULL."],"recordIndex":0}]}`
		if swagger {
			want = `{"errors":[{"recordIndex":0,"validationErrorMessages":["Error for Property=id: Required property is missing. Actual value: NULL."]}]}`
		}
		if status != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%d %s, want %s", status, body, want)
		}
		if n := len(s.Active()); n != 1 {
			t.Errorf("%d objects, want 1", n)
		}
		if status, _ := post(t, s, client, envelope(with(t, `{"id":null}`))); status != 400 {
			t.Errorf("status %d when nothing was accepted, want 400", status)
		}
	}
}

func TestRateLimit(t *testing.T) {
	s, client := start(t, Options{RequestsPerMinute: 2})
	for i := range 2 {
		if status, body := post(t, s, client, envelope(good)); status != 200 {
			t.Fatalf("request %d: %d %s", i, status, body)
		}
	}
	status, body := post(t, s, client, envelope(good))
	if status != 429 || !strings.Contains(body, "Rate limit is exceeded. Try again in 60 seconds.") {
		t.Errorf("%d %s", status, body)
	}
	if got := s.Repeats(); got != 1 {
		t.Errorf("%d repeats, want 1", got)
	}
}

func TestTokenExpires(t *testing.T) {
	s, client := start(t, Options{TokenLifetime: -time.Second})
	if status, _ := post(t, s, client, envelope(good)); status != 401 {
		t.Errorf("status %d for an expired token, want 401", status)
	}
}

func TestTokenEndpoint(t *testing.T) {
	s, client := start(t, Options{})
	form := func(pairs ...string) url.Values {
		v := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {ClientID}, "client_secret": {ClientSecret},
			"scope": {Scope + " openid offline_access profile"},
		}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
			if pairs[i+1] == "" {
				v.Del(pairs[i])
			}
		}
		return v
	}
	for _, tt := range []struct {
		name, tenant string
		form         url.Values
		status       int
	}{
		{"good", TenantID, form(), 200},
		{"tenant", ClientID, form(), 400},
		{"grant", TenantID, form("grant_type", "password"), 400},
		{"client", TenantID, form("client_id", TenantID), 400},
		{"scope", TenantID, form("scope", "https://graph.microsoft.com/.default"), 400},
		{"secret", TenantID, form("client_secret", "x"), 401},
		{"no secret", TenantID, form("client_secret", ""), 401},
		{"assertion type", TenantID, form("client_secret", "", "client_assertion", "x"), 400},
		{"assertion", TenantID, form("client_secret", "", "client_assertion", "x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), 401},
	} {
		resp, err := client.PostForm(s.URL()+"/"+tt.tenant+"/oauth2/v2.0/token", tt.form)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || (tt.status == 200) != strings.Contains(string(body), "access_token") {
			t.Errorf("%s: %d %s", tt.name, resp.StatusCode, body)
		}
	}
}

func TestRegressionsAreNoted(t *testing.T) {
	s, client := start(t, Options{})
	post(t, s, client, envelope(with(t, `{"modified":"2026-01-02T00:00:00Z"}`)))
	post(t, s, client, envelope(good))
	if r := s.Regressions(); len(r) != 1 {
		t.Errorf("regressions: %v", r)
	}
	if o, ok := s.Object("test", "indicator--00000000-0000-4000-8000-000000000001"); !ok || o.Uploads != 2 {
		t.Errorf("object: %+v", o)
	}
}

func post(t *testing.T, s *Server, client *http.Client, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("POST", s.URL()+upload, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.IssueToken())
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}
