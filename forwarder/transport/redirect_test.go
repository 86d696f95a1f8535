package transport

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// TestRedirect holds the rule: credentials never leave https nor the
// registrable domain unless trusted_hosts names the host.
func TestRedirect(t *testing.T) {
	ca := newAuthority(t, "test authority")
	caFile := ca.file(t)
	var arrived *seen
	locations := map[string]string{} // host+path → Location
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.add(r)
		if to, ok := locations[r.Host+r.URL.Path]; ok {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		io.WriteString(w, "here")
	})
	secure := serveTLS(t, ca.issue(t, nil, "example.com", "*.example.com", "other.example.net", "203.0.113.7"), nil, handler)
	plainServer := httptest.NewServer(handler)
	t.Cleanup(plainServer.Close)
	plain := plainServer.Listener.Addr().String()
	ports := map[string]string{"443": secure, "8443": secure, "80": plain, "8080": plain}

	tests := []struct {
		name      string
		from, to  string // URLs
		location  string // overrides to in the Location header
		trusted   []string
		anonymous bool // the client has no credentials
		reaches   string
		err       string
		leaked    bool // anonymous: whether own headers arrive at the last host
	}{
		{name: "apex to www", from: "https://example.com/a", to: "https://www.example.com/b", reaches: "www.example.com"},
		{name: "www to apex", from: "https://www.example.com/a", to: "https://example.com/b", reaches: "example.com"},
		{name: "sideways", from: "https://a.example.com/a", to: "https://b.example.com/b", reaches: "b.example.com"},
		{name: "same host, other port", from: "https://example.com/a", to: "https://example.com:8443/b", reaches: "example.com:8443"},
		{name: "relative", from: "https://example.com/a", to: "https://example.com/b", location: "/b", reaches: "example.com"},
		{name: "without scheme", from: "https://example.com/a", to: "https://www.example.com/b", location: "//www.example.com/b", reaches: "www.example.com"},
		{name: "other domain", from: "https://example.com/a", to: "https://other.example.net/b", err: `add "other.example.net" to trusted_hosts`},
		{name: "other domain, trusted", from: "https://example.com/a", to: "https://other.example.net/b", trusted: []string{"Other.Example.net"}, reaches: "other.example.net"},
		{name: "other domain, trusted below", from: "https://example.com/a", to: "https://other.example.net/b", trusted: []string{"*.example.net"}, reaches: "other.example.net"},
		{name: "trusted on another port only", from: "https://example.com/a", to: "https://other.example.net/b", trusted: []string{"other.example.net:8443"}, err: "trusted_hosts"},
		{name: "look-alike", from: "https://example.com/a", to: "https://notexample.com/b", err: "trusted_hosts"},
		{name: "domain as a label", from: "https://example.com/a", to: "https://example.com.evil.test/b", err: "trusted_hosts"},
		{name: "address", from: "https://example.com/a", to: "https://203.0.113.7/b", err: "trusted_hosts"},
		{name: "user in the URL", from: "https://example.com/a", to: "https://evil:pw@www.example.com/b", reaches: "www.example.com"},
		{name: "downgrade", from: "https://example.com/a", to: "http://example.com/b", err: "redirects from https to http"},
		{name: "downgrade, trusted", from: "https://example.com/a", to: "http://other.example.net/b", trusted: []string{"other.example.net"}, err: "redirects from https to http"},
		{name: "upgrade", from: "http://example.com/a", to: "https://example.com/b", reaches: "example.com"},
		{name: "http to another host of the domain", from: "http://example.com/a", to: "http://www.example.com/b", err: "www.example.com"},
		{name: "http, same host, other port", from: "http://example.com/a", to: "http://example.com:8080/b", reaches: "example.com:8080"},
		{name: "another scheme", from: "https://example.com/a", to: "", location: "ftp://example.com/b", err: "redirects from https to ftp"},
		{name: "no URL", from: "https://example.com/a", to: "", location: "https://%zz/", err: "no URL"},
		{name: "loop", from: "https://example.com/loop", to: "https://example.com/loop", err: "more than 5 times"},
		{name: "anonymous to another domain", from: "https://example.com/a", to: "https://other.example.net/b", anonymous: true, reaches: "other.example.net"},
		{name: "anonymous within the domain", from: "https://example.com/a", to: "https://www.example.com/b", anonymous: true, reaches: "www.example.com", leaked: true},
		{name: "anonymous downgrade", from: "https://example.com/a", to: "http://example.com/b", anonymous: true, err: "redirects from https to http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			arrived = &seen{}
			clear(locations)
			from := get(t, tt.from)
			locations[from.URL.Host+from.URL.Path] = tt.to
			if tt.location != "" {
				locations[from.URL.Host+from.URL.Path] = tt.location
			}
			o := Options{Origin: tt.from, TrustedHosts: tt.trusted, TLS: &TLS{CAFile: caFile}, UserAgent: "test/1"}
			if !tt.anonymous {
				o.Authorize = func(r *http.Request) {
					r.Header.Set("Authorization", "Bearer s3cret")
					r.Header.Set("X-API-Key", "s3cret")
				}
			}
			c := mustNew(t, o)
			dialTo(c, ports)
			from.Header.Set("X-Own", "s3cret")
			from.Header.Set("Accept", "application/taxii+json;version=2.1")
			resp, err := c.Do(from)

			last := ""
			for i, r := range arrived.all() {
				last = r.Host
				trusted := strings.HasSuffix(strings.Split(r.Host, ":")[0], "example.com") || len(tt.trusted) > 0
				for _, h := range []string{"X-Api-Key", "Authorization", "X-Own"} {
					if v := r.Header.Get(h); v != "" && v != "Bearer s3cret" && v != "s3cret" {
						t.Errorf("request %d: %s is %q", i, h, v)
					} else if v != "" && !trusted {
						t.Errorf("%s leaked to %s", h, r.Host)
					} else if v == "" && trusted && (!tt.anonymous || h == "X-Own") {
						t.Errorf("%s did not reach %s", h, r.Host)
					}
				}
				if got := r.Header.Get("Accept"); got != "application/taxii+json;version=2.1" {
					t.Errorf("request %d: Accept is %q", i, got)
				}
				if got := r.Header.Get("User-Agent"); got != "test/1" {
					t.Errorf("request %d: User-Agent is %q", i, got)
				}
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error is %v, want one with %q", err, tt.err)
				}
				if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "pw@") {
					t.Errorf("secret in error: %v", err)
				}
				if intel.AsFailure(err).Kind == "" {
					t.Error("failure without a kind")
				}
				if from := from.URL.Host; last != from {
					t.Errorf("the last request went to %s, want none beyond %s", last, from)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if last != tt.reaches || resp.StatusCode != 200 {
				t.Errorf("ends at %s with %d, want %s", last, resp.StatusCode, tt.reaches)
			}
			if resp.Request.URL.Host != tt.reaches {
				t.Errorf("the answer says it is of %s", resp.Request.URL.Host)
			}
		})
	}
}

// TestRedirectClientCert: a client certificate is a credential as well.
func TestRedirectClientCert(t *testing.T) {
	ca := newAuthority(t, "test authority")
	address := serveTLS(t, ca.issue(t, nil, "example.com", "other.example.net"), nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://other.example.net/", http.StatusFound)
	}))
	certFile, keyFile := writePair(t, ca.issue(t, nil, "client.example.com"))
	c := mustNew(t, Options{Origin: "https://example.com/", TLS: &TLS{CAFile: ca.file(t), CertFile: certFile, KeyFile: keyFile}})
	dialTo(c, map[string]string{"443": address})
	if _, err := c.Do(get(t, "https://example.com/")); err == nil || !strings.Contains(err.Error(), "trusted_hosts") {
		t.Errorf("error is %v", err)
	}
}

func TestPostRedirectIsReturned(t *testing.T) {
	var hits int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/elsewhere?token=s3cret", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	c := mustNew(t, Options{})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/x", strings.NewReader("body"))
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || hits != 1 {
		t.Errorf("status %d after %d requests", resp.StatusCode, hits)
	}
	f := StatusFailure(resp, nil)
	if !strings.Contains(f.Error(), "/elsewhere") || strings.Contains(f.Error(), "s3cret") {
		t.Errorf("failure is %v", f)
	}
}

func TestTrusted(t *testing.T) {
	tests := []struct {
		origin string
		hosts  []string
		url    string
		ok     bool
	}{
		{"https://example.co.uk/taxii2/", nil, "https://api.example.co.uk/root/", true},
		{"https://example.co.uk/taxii2/", nil, "https://other.co.uk/root/", false},
		{"https://a.github.io/", nil, "https://b.github.io/", false},
		{"https://bücher.example/", nil, "https://www.xn--bcher-kva.example./", true},
		{"https://EXAMPLE.com/", nil, "https://example.com/", true},
		{"https://taxii/", nil, "https://taxii:8443/", true},
		{"https://taxii/", nil, "https://other/", false},
		{"https://taxii.corp.internal/", nil, "https://root.corp.internal/", true},
		{"https://taxii.corp.internal/", nil, "https://taxii.shop.internal/", false},
		{"https://192.0.2.1/", nil, "https://192.0.2.1:8443/", true},
		{"https://192.0.2.1/", nil, "https://192.0.2.2/", false},
		{"https://[2001:db8::1]/", nil, "https://[2001:DB8:0::1]:8443/", true},
		{"http://127.0.0.1:8080/", nil, "http://127.0.0.1:9090/", true},
		{"http://127.0.0.1:8080/", nil, "http://127.0.0.2:8080/", false},
		{"https://127.0.0.1/", nil, "http://127.0.0.1/", true},
		{"http://localhost/", nil, "http://localhost:1/", true},
		{"http://taxii.example.com/", nil, "http://taxii.example.com:8080/", true},
		{"http://taxii.example.com/", nil, "http://www.example.com/", false},
		{"https://taxii.example.com/", nil, "http://taxii.example.com/", false},
		{"https://example.com/", []string{"api.example.net:8443"}, "https://api.example.net:8443/", true},
		{"https://example.com/", []string{"api.example.net:443"}, "https://api.example.net/", true},
		{"https://example.com/", []string{"api.example.net"}, "http://api.example.net/", false},
		{"https://example.com/", []string{"*.example.net"}, "https://example.net/", false},
		{"https://example.com/", []string{"2001:db8::5"}, "https://[2001:db8::5]/", true},
		{"https://example.com/", []string{"[2001:db8::5]:8443"}, "https://[2001:db8::5]:8443/", true},
		{"", []string{"api.example.net"}, "https://api.example.net/", true},
	}
	for _, tt := range tests {
		c, err := New(Options{Origin: tt.origin, TrustedHosts: tt.hosts})
		if err != nil {
			t.Errorf("%s %v: %v", tt.origin, tt.hosts, err)
			continue
		}
		if err := c.Trusted(get(t, tt.url).URL); (err == nil) != tt.ok {
			t.Errorf("origin %s, trusted %v, url %s: %v", tt.origin, tt.hosts, tt.url, err)
		}
	}
}

func TestCheckTrustedHost(t *testing.T) {
	for _, s := range []string{"", " ", "https://example.com", "example.com/x", "u@example.com", "*", "a.*.com", "*.com", "a:b:c"} {
		if CheckTrustedHost(s) == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	for _, s := range []string{"example.com", "example.com:8443", "*.example.com", "192.0.2.1", "[2001:db8::1]:1", "2001:db8::1", "taxii"} {
		if err := CheckTrustedHost(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestCredentialsStayHome: an untrusted host never even gets a connection.
func TestCredentialsStayHome(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	defer server.Close()
	c := mustNew(t, Options{Origin: "https://example.com/", Authorize: func(*http.Request) { t.Error("authorized") }})
	for name, send := range map[string]func(*http.Request) (*http.Response, error){"Do": c.Do, "RoundTrip": c.RoundTripper().RoundTrip} {
		_, err := send(get(t, server.URL))
		if f := intel.AsFailure(err); err == nil || f.Kind != intel.FailConfig || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if _, err := New(Options{Authorize: func(*http.Request) {}}); err == nil {
		t.Error("credentials without an origin are accepted")
	}
}
