package elasticsearch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// TestPinned: the fingerprint of the cluster's own authority, as Elasticsearch
// prints it at its first start, is trusted through a proxy and beside a client
// certificate, and is trusted for nothing else.
func TestPinned(t *testing.T) {
	const host = "es.example.com" // which the proxy alone can find
	ca, caKey := certificate(t, "authority.example.com", nil, nil)
	other, _ := certificate(t, "other.example.com", nil, nil)
	leaf, leafKey := certificate(t, host, ca, caKey)
	client, clientKey := certificate(t, "forwarder", ca, caKey)
	certFile := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(certFile, append(encodePEM("CERTIFICATE", client.Raw), encodeKey(t, clientKey)...), 0o600); err != nil {
		t.Fatal(err)
	}

	fake := server(t, elastictest.Options{})
	target, err := url.Parse(fake.URL())
	if err != nil {
		t.Fatal(err)
	}
	var as atomic.Value // whom the server took the client for
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		as.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
	}))
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	front.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: leafKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
		// In TLS 1.3 a client may have sent its request before it is turned away, and
		// see the closed connection before the reason.
		MaxVersion: tls.VersionTLS12,
	}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	defer front.Close()
	proxy, tunnels := tunnel(t, front.Listener.Addr().String())

	for _, c := range []struct {
		name string
		tls  transport.TLS
		ok   bool
	}{
		{"right", transport.TLS{CertFingerprint: sum(ca), CertFile: certFile}, true},
		{"other authority", transport.TLS{CertFingerprint: sum(other), CertFile: certFile}, false},
		{"no client certificate", transport.TLS{CertFingerprint: sum(ca)}, false},
		{"no pin", transport.TLS{CertFile: certFile}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := tunnels.Load()
			sink := open(t, fake, func(cfg *Config) {
				cfg.Addresses, cfg.TLS, cfg.ProxyURL = []string{"https://" + host + ":9200"}, &c.tls, proxy
			})
			_, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1)))
			if c.ok && (err != nil || as.Load() != "forwarder") {
				t.Errorf("as %v: %v", as.Load(), err)
			}
			if !c.ok && (err == nil || intel.AsFailure(err).Kind != intel.FailTLS) {
				t.Errorf("error = %v", err)
			}
			if tunnels.Load() == before {
				t.Error("nothing went through the proxy")
			}
		})
	}
	if n := fake.Len(defaultIndex); n != 1 {
		t.Errorf("%d documents", n)
	}
}

// tunnel starts a proxy that knows CONNECT only, to one server whatever the
// name, and counts.
func tunnel(t *testing.T, to string) (address string, tunnels *atomic.Int64) {
	t.Helper()
	tunnels = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		tunnels.Add(1)
		there, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer there.Close()
		w.WriteHeader(http.StatusOK)
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(there, here); there.Close() })
		wg.Go(func() { _, _ = io.Copy(here, there); here.Close() })
		wg.Wait()
	}))
	t.Cleanup(s.Close)
	return s.URL, tunnels
}

// certificate issues a certificate for a name; by itself without an issuer.
func certificate(t *testing.T, name string, issuer *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: issuer == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if issuer == nil {
		template.KeyUsage = x509.KeyUsageCertSign
		issuer, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func sum(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM("PRIVATE KEY", der)
}
