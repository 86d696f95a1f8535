package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// certificate writes a self-signed certificate for 127.0.0.1 with its key into
// one file.
func certificate(t *testing.T) (file string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	file = filepath.Join(t.TempDir(), "tls.pem")
	if err := os.WriteFile(file, append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return file, pool
}

// TestPages: token and TLS come and go by reload on the same address; commands
// work whatever the pages want.
func TestPages(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 1)
	file, pool := certificate(t)
	w := newSite(t, s, "127.0.0.1:0")
	write := func(more string) {
		t.Helper()
		text := fmt.Sprintf("state { dir = %q }\nlog {\n format = \"json\"\n}\nhttp {\n listen = \"127.0.0.1:0\"\n %s\n}\nfeed \"f\" {\n discovery_url = %q\n}\nsink \"file\" \"out\" {\n path = %q\n}\n",
			w.state, more, s.URL(), w.out)
		if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FIRST", "first-token-of-the-test")
	t.Setenv("SECOND", "second-token-of-the-test")
	write(`token = env("FIRST")`)
	var log lockedLog
	a, err := Start(t.Context(), Options{ConfigPath: w.config, LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	address := a.Addr()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	code := func(scheme, token string) int {
		t.Helper()
		req, err := http.NewRequest("GET", scheme+"://"+address+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	reload := func() {
		t.Helper()
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.Addr() != address {
			t.Fatalf("the listener moved from %s to %s", address, a.Addr())
		}
		c, err := control.Dial(t.Context(), w.state)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := c.Status(t.Context()); err != nil || !st.Running {
			t.Errorf("status by command: %+v, %v", st, err)
		}
	}
	expect := func(what, scheme, token string, want int) {
		t.Helper()
		if got := code(scheme, token); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	expect("no token", "http", "", 401)
	expect("the token", "http", "first-token-of-the-test", 200)

	write(`token = env("SECOND")`)
	reload()
	expect("the old token", "http", "first-token-of-the-test", 401)
	expect("the new token", "http", "second-token-of-the-test", 200)

	write(fmt.Sprintf("token = env(\"SECOND\")\n tls {\n  cert_file = %q\n }", file))
	reload()
	expect("over TLS", "https", "second-token-of-the-test", 200)
	expect("without TLS", "http", "second-token-of-the-test", 400)

	// A certificate that can not be read is refused, the one in force stays.
	write(`token = env("SECOND")` + "\n tls {\n  cert_file = \"nowhere.pem\"\n }")
	if err := a.Reload(t.Context()); err == nil {
		t.Error("a reload without certificate was accepted")
	}
	expect("after a refused reload", "https", "second-token-of-the-test", 200)

	write("")
	reload()
	expect("without token and TLS", "http", "", 200)
	if got := log.String(); strings.Contains(got, "token-of-the-test") || !strings.Contains(got, `"@message"`) {
		t.Errorf("log:\n%s", got)
	}
}

// TestLogFormatReload: the log's format follows a reload.
func TestLogFormatReload(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 1)
	w := newSite(t, s, "off")
	var log lockedLog
	a, err := Start(t.Context(), Options{ConfigPath: w.config, LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	if strings.Contains(log.String(), `"@message"`) {
		t.Errorf("JSON from the start:\n%s", log.String())
	}
	w.write(t, s.URL(), "log {\n  format = \"json\"\n}\n")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `"@message":"forwarder stopped"`) {
		t.Errorf("no JSON after the reload:\n%s", log.String())
	}
}
