package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// leaf says what a server certificate is like.
type leaf struct {
	from, until time.Time
	hosts       []string
	ips         []net.IP
	self        bool // signed by itself
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-365 * 24 * time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// pem returns the authority's certificate.
func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func (a *authority) issue(t *testing.T, l leaf) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "taxii.example.com"}, NotBefore: l.from, NotAfter: l.until,
		DNSNames: l.hosts, IPAddresses: l.ips, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := a.cert, a.key
	if l.self {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// good is the certificate that a server on loopback should have.
func good() leaf {
	return leaf{from: time.Now().Add(-time.Hour), until: time.Now().Add(time.Hour), ips: []net.IP{net.IPv4(127, 0, 0, 1)}}
}

// tlsServer is a TAXII server behind TLS, whose certificate can be exchanged.
type tlsServer struct {
	*httptest.Server
	cert atomic.Pointer[tls.Certificate]
}

func serveTLS(t *testing.T, first, n int, cert tls.Certificate) *tlsServer {
	t.Helper()
	backend, _ := serve(t, taxiitest.Options{Profile: taxiitest.Profile{RelativeRoots: true}}, first, n)
	to, err := url.Parse(backend.Origin())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	return serveHandlerTLS(t, proxy, cert)
}

func serveHandlerTLS(t *testing.T, h http.Handler, cert tls.Certificate) *tlsServer {
	t.Helper()
	s := &tlsServer{Server: httptest.NewUnstartedServer(h)}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	s.cert.Store(&cert)
	s.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Load(), nil }}
	s.StartTLS()
	// The server adds a certificate of its own, which goes before GetCertificate.
	s.TLS.Certificates = nil
	t.Cleanup(s.Close)
	return s
}

func (s *tlsServer) discovery() string { return s.URL + "/taxii2/" }

func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
