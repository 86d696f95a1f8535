package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/transport"
)

// issue writes a self-signed certificate for 127.0.0.1 with the serial number n
// over what the files hold.
func issue(t *testing.T, files *transport.Listener, n int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(n), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
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
	for path, b := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		// The clock of a file system may be too coarse to tell two writes apart.
		when := time.Now().Add(time.Duration(n) * time.Second)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// visit asks for a page on a connection of its own.
func visit(url, token string, conf *tls.Config) (*http.Response, string, error) {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// TestTLS: pages over TLS 1.2 and 1.3 with a certificate that is renewed under
// the running listener, and a change of token and of TLS on the same address.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	files := &transport.Listener{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	pool := issue(t, files, 1)
	conf, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Source: sample(), Gatherer: metrics.New().Registry(), Token: "the first token"}
	s, err := Listen("127.0.0.1:0", conf, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	host := s.Addr().String()

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resp, body, err := visit("https://"+host+"/status", "the first token", &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version})
		if err != nil || resp.StatusCode != 200 || resp.TLS.Version != version || resp.ProtoMajor != 2 || !strings.Contains(body, "uptime") {
			t.Errorf("TLS %x: %v %v", version, resp, err)
		}
	}
	if _, _, err := visit("https://"+host+"/healthz", "", &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	if resp, body, err := visit("http://"+host+"/healthz", "", nil); err != nil || resp.StatusCode != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("plain HTTP: %v %q %v", resp, body, err)
	}
	if resp, _, err := visit("https://"+host+"/status", "", &tls.Config{RootCAs: pool}); err != nil || resp.StatusCode != 401 {
		t.Errorf("without token: %v %v", resp, err)
	}

	// Renewed; a renewal that is half done serves the old one.
	old := pool
	pool = issue(t, files, 2)
	resp, _, err := visit("https://"+host+"/healthz", "", &tls.Config{RootCAs: pool})
	if err != nil || resp.TLS.PeerCertificates[0].SerialNumber.Int64() != 2 {
		t.Fatalf("after the renewal: %v", err)
	}
	if _, _, err := visit("https://"+host+"/healthz", "", &tls.Config{RootCAs: old}); err == nil {
		t.Error("the old certificate is still served")
	}
	if err := os.WriteFile(files.KeyFile, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := visit("https://"+host+"/healthz", "", &tls.Config{RootCAs: pool}); err != nil {
		t.Errorf("half-way through a renewal: %v", err)
	}

	// Another token, then no TLS, then TLS again, on the same address.
	o.Token = "the second token"
	s.Use(conf, o)
	for token, code := range map[string]int{"the first token": 401, "the second token": 200} {
		if resp, _, err := visit("https://"+host+"/status", token, &tls.Config{RootCAs: pool}); err != nil || resp.StatusCode != code {
			t.Errorf("with %s: %v %v", token, resp, err)
		}
	}
	s.Use(nil, o)
	plain := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	ask := func() int {
		t.Helper()
		resp, err := plain.Get("http://" + host + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := ask(); code != 200 {
		t.Errorf("without TLS: %d", code)
	}
	s.Use(conf, o) // the client keeps its connection
	if code := ask(); code != http.StatusMisdirectedRequest {
		t.Errorf("a connection from before there was TLS gets %d", code)
	}
	if s.Addr().String() != host {
		t.Error("the address changed")
	}
}
