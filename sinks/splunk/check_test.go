package splunk

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/splunk/splunktest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name     string
		o        splunktest.Options
		edit     func(*Config)
		fault    *splunktest.Fault
		kind     intel.FailureKind // "" = good
		contains string
	}{
		{name: "good"},
		{name: "good, ack", o: splunktest.Options{Ack: true}},
		{name: "good, ack required", o: splunktest.Options{Ack: true}, edit: func(c *Config) { c.Ack = AckRequired }},
		{name: "ack required, off", edit: func(c *Config) { c.Ack = AckRequired }, kind: intel.FailConfig, contains: "turn indexer acknowledgment on"},
		{name: "token", edit: func(c *Config) { c.Token = "22222222-secret" }, kind: intel.FailAuth, contains: "check that token"},
		{name: "disabled", fault: &splunktest.Fault{Code: 1}, kind: intel.FailAuth, contains: "enable the token"},
		{name: "path", edit: func(c *Config) { c.URL += "/splunk" }, kind: intel.FailNotFound, contains: "8088"},
		{name: "health bad", fault: &splunktest.Fault{Endpoint: "health", Code: 18}, kind: intel.FailThrottled, contains: "queues are full"},
		{name: "no health page", fault: &splunktest.Fault{Endpoint: "health", HTML: 404}},
		{name: "web site", fault: &splunktest.Fault{HTML: 200}, kind: intel.FailProtocol, contains: "check url"},
		{name: "takes empty requests", fault: &splunktest.Fault{Body: `{"text":"Success","code":0}`}},
		{name: "can not read them", fault: &splunktest.Fault{Code: 6}, kind: intel.FailProtocol, contains: "No data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := splunktest.NewServer(tt.o)
			defer srv.Close()
			s := open(t, srv, tt.edit)
			if tt.fault != nil {
				srv.Inject(*tt.fault)
			}
			err := s.Check(t.Context())
			if n := srv.Stored(); n != 0 {
				t.Errorf("the check left %d events", n)
			}
			f := intel.AsFailure(err)
			switch {
			case tt.kind == "" && err != nil:
				t.Error(err)
			case tt.kind != "" && (f == nil || f.Kind != tt.kind || !strings.Contains(err.Error(), tt.contains)):
				t.Errorf("error %v, want %s with %q", err, tt.kind, tt.contains)
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("the token is in %q", err)
			}
		})
	}
	srv := splunktest.NewServer(splunktest.Options{})
	s := open(t, srv, nil)
	srv.Close()
	if f := intel.AsFailure(s.Check(t.Context())); f == nil || f.Kind != intel.FailUnreachable {
		t.Errorf("nobody there: %v", f)
	}
}

// TestProxyThatDropsEncoding: a proxy that drops Content-Encoding makes every
// event look invalid. That must not turn the whole feed into dead letters.
func TestProxyThatDropsEncoding(t *testing.T) {
	srv := splunktest.NewServer(splunktest.Options{})
	defer srv.Close()
	target, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Content-Encoding")
	}})
	defer proxy.Close()
	plain := false
	for _, gzip := range []*bool{nil, &plain} {
		s := open(t, srv, func(c *Config) { c.URL, c.Gzip = proxy.URL, gzip })
		out, err := s.Deliver(t.Context(), batchOf(0, 3))
		if gzip != nil {
			if err != nil || out[0].Status != intel.Delivered {
				t.Errorf("uncompressed: %+v, %v", out[0], err)
			}
			continue
		}
		if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailProtocol || !strings.Contains(err.Error(), "gzip = false") {
			t.Errorf("%v", err)
		}
		for i := range out {
			if out[i].Status != intel.Unknown {
				t.Errorf("outcome %d: %+v", i, out[i])
			}
		}
	}
}

// TestVolatileCookies: cookies that a balancer renews with every answer do not
// mean that the session moved.
func TestVolatileCookies(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "hec.example.com", Path: "/services/collector/event"}
	ch := newChannel()
	set := func(cookies ...string) { ch.learn(u, &http.Response{Header: http.Header{"Set-Cookie": cookies}}) }
	set("AWSALB=a; Path=/", "route=1; Path=/")
	set("AWSALB=b; Path=/")
	if ch.moved {
		t.Error("a renewed AWSALB counts as a move")
	}
	set("route=2; Path=/")
	if !ch.moved {
		t.Error("a changed session cookie does not count as a move")
	}
}
