package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// socdefenders plays SOC Defenders over https and by name: discovery at the
// apex, the API root at www, one key accepted in three ways. The names resolve
// nowhere; the forwarder reaches them through a proxy.
type socdefenders struct {
	*taxiitest.Server
	proxy, ca string
	mu        sync.Mutex
	strangers []string // requests with credentials for other hosts
}

const (
	apex   = "socdefenders.example"
	www    = "www.socdefenders.example"
	socKey = "s0c-dEfenders-key-31"
)

func newSOCDefenders(t *testing.T, root string) *socdefenders {
	t.Helper()
	p, ok := taxiitest.ProfileNamed("socdefenders")
	if !ok {
		t.Fatal("no such profile")
	}
	p.RootPath, p.TwoHosts = "/api/taxii2/api/", false
	auth := p.Auth
	auth.Token, auth.Password, auth.HeaderValue = socKey, socKey, socKey
	s := &socdefenders{Server: taxiitest.New(taxiitest.Options{Profile: p, Auth: auth})}
	t.Cleanup(s.Close)
	backend, err := url.Parse(s.Origin())
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(backend)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == apex && r.URL.Path == "/api/taxii2/":
			w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
			fmt.Fprintf(w, `{"title":"SOC Defenders","default":%q,"api_roots":[%q]}`, root, root)
		case r.Host == www && strings.HasPrefix(r.URL.Path, "/api/taxii2/api/"):
			behind.ServeHTTP(w, r)
		default:
			s.mu.Lock()
			s.strangers = append(s.strangers, r.Host+r.URL.Path)
			s.mu.Unlock()
			http.NotFound(w, r)
		}
	}))
	cert, ca := certificate(t, apex, www, "elsewhere.example")
	front.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	front.StartTLS()
	t.Cleanup(front.Close)
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.ca, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(tunnel(front.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	s.proxy = proxy.URL
	return s
}

// tunnel is a proxy that leads to one address, whatever is asked for.
func tunnel(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer out.Close()
		in, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer in.Close()
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(out, in)
			out.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(in, out)
		in.(*net.TCPConn).CloseWrite()
		<-done
	})
}

// certificate makes a self-signed certificate for names.
func certificate(t *testing.T, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (s *socdefenders) configure(t *testing.T, auth, more string) (config, archive string) {
	t.Helper()
	dir := t.TempDir()
	config, archive = filepath.Join(dir, "config.hcl"), filepath.Join(dir, "archive.ndjson")
	key := filepath.Join(dir, "key")
	text := fmt.Sprintf(`
state { dir = %q }
http  { listen = "off" }
feed "socdefenders" {
  discovery_url = "https://%s/api/taxii2/"
  auth %s
  poll_interval = "250ms"
  proxy_url     = %q
  %s
  tls {
    ca_file = %q
  }
}
sink "file" "archive" {
  path = %q
}
`, filepath.Join(dir, "state"), apex, fmt.Sprintf(auth, key), s.proxy, more, s.ca, archive)
	for name, content := range map[string]string{config: text, key: socKey + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config, archive
}

// The feed that has to be served perfectly: apex discovery, root at www, bodies
// in the form of a bundle without more and next, whole seconds, an identity at
// the head of every page, and the key in each of the three ways.
func TestSOCDefenders(t *testing.T) {
	root := "https://" + www + "/api/taxii2/api/"
	for name, auth := range map[string]string{
		"bearer": "\"bearer\" {\n    token = file(%q)\n  }",
		"header": "\"header\" {\n    name  = \"X-API-Key\"\n    value = file(%q)\n  }",
		"basic":  "\"basic\" {\n    username = \"api\"\n    password = file(%q)\n  }",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSOCDefenders(t, root)
			// The ids on the provider's pages contradict each other: what counts is
			// what the server lists.
			all := s.AddCollection(taxiitest.Info{ID: "soc-defenders-all", Title: "All IOCs"})
			ips := s.AddCollection(taxiitest.Info{ID: "ip-addresses", Alias: "ips", Title: "IP addresses"})
			const indicators = 2500
			start := time.Now().Add(-time.Hour).Truncate(time.Second)
			for n := range indicators {
				raw := shaped(n, start).raw()
				added := start.Add(time.Duration(n/300) * time.Second) // 300 share a second, over the ends of pages
				all.Add(added, raw)
				if n%5 == 0 {
					ips.Add(added, raw)
				}
			}
			config, archive := s.configure(t, auth, "")
			var log bytes.Buffer
			a, err := app.Start(t.Context(), app.Options{ConfigPath: config, Version: "test", LogOutput: &log})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Stop(t.Context())
			wait := func(what string, want int) {
				t.Helper()
				deadline := time.Now().Add(30 * time.Second)
				for {
					st := a.Status(t.Context())
					if len(st.Routes) == 1 && len(st.Feeds) == 1 && st.Feeds[0].Indicators == int64(want) && st.Routes[0].Pending == 0 && !st.Feeds[0].LastSuccess.IsZero() {
						return
					}
					if time.Now().After(deadline) {
						a.Stop(t.Context())
						t.Fatalf("still not: %s\n%s", what, log.String())
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
			wait("everything is there", indicators)
			all.Add(time.Now(), shaped(indicators, time.Now()).raw())
			wait("the new one is there", indicators+1)
			before := len(archived(t, archive))
			if before != indicators+1 {
				t.Errorf("%d indicators arrived, want %d", before, indicators+1)
			}
			if n := countArchived(t, archive); n != indicators+1 {
				t.Errorf("%d documents arrived for %d indicators, in two collections", n, indicators+1)
			}
			if v := s.Violations(); len(v) > 0 {
				t.Errorf("requests that the specification forbids: %v", v)
			}
			a.Stop(t.Context())
			if strings.Contains(log.String(), socKey) {
				t.Error("the key is in the log")
			}
		})
	}
}

// A root on a host outside the domain sees no key unless the admin names it.
func TestSOCDefendersElsewhere(t *testing.T) {
	s := newSOCDefenders(t, "https://elsewhere.example/api/taxii2/api/")
	s.AddCollection(taxiitest.Info{ID: "all", Title: "All"})
	bearer := "\"bearer\" {\n    token = file(%q)\n  }"
	config, _ := s.configure(t, bearer, "")
	var log bytes.Buffer
	a, err := app.Start(t.Context(), app.Options{ConfigPath: config, Version: "test", LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	deadline := time.Now().Add(10 * time.Second)
	for {
		f := a.Status(t.Context()).Feeds[0]
		if f.State == status.StateFailing {
			if !strings.Contains(f.Error, "elsewhere.example") || !strings.Contains(f.Error, "trusted_hosts") {
				t.Errorf("the error does not name the host and the way out: %s", f.Error)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the feed does not fail")
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strangers) > 0 {
		t.Errorf("another host was asked: %v", s.strangers)
	}
}

func archived(t *testing.T, path string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	eachArchived(t, path, func(id string) { ids[id] = true })
	return ids
}

func countArchived(t *testing.T, path string) (n int) {
	t.Helper()
	eachArchived(t, path, func(string) { n++ })
	return n
}

func eachArchived(t *testing.T, path string, f func(id string)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var l struct {
			Indicator struct {
				ID string `json:"id"`
			} `json:"indicator"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		f(l.Indicator.ID)
	}
}
