package transport

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func TestTLS(t *testing.T) {
	ca, otherCA := newAuthority(t, "test authority"), newAuthority(t, "other authority")
	good := ca.issue(t, nil, "taxii.example.com")
	expired := ca.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}, "taxii.example.com")
	future := ca.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	}, "taxii.example.com")
	elsewhere := ca.issue(t, nil, "www.example.net")
	impostor := otherCA.issue(t, nil, "taxii.example.com")
	impostor.Certificate[1] = ca.cert.Raw
	leafSum, caSum := fingerprint(parse(t, good.Certificate[0])), fingerprint(ca.cert)
	clientCert, clientKey := writePair(t, ca.issue(t, nil, "client"))
	strangerCert, strangerKey := writePair(t, otherCA.issue(t, nil, "client"))
	combined := writeFile(t, "both.pem", append(read(t, clientCert), read(t, clientKey)...))
	caFile, otherCAFile := ca.file(t), otherCA.file(t)

	mutual := func(c *tls.Config) {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = x509.NewCertPool()
		c.ClientCAs.AddCert(ca.cert)
	}
	tests := []struct {
		name string
		pair tls.Certificate
		edit func(*tls.Config)
		tls  *TLS
		err  []string
	}{
		{"unknown authority", good, nil, nil, []string{"tls.ca_file", "private authority"}},
		{"private authority", good, nil, &TLS{CAFile: caFile}, nil},
		{"wrong private authority", good, nil, &TLS{CAFile: otherCAFile}, []string{"tls.ca_file"}},
		{"expired", expired, nil, &TLS{CAFile: caFile}, []string{"expired on", "clock"}},
		{"not yet valid", future, nil, &TLS{CAFile: caFile}, []string{"not valid before", "clock"}},
		{"wrong host", elsewhere, nil, &TLS{CAFile: caFile}, []string{"not for taxii.example.com but for www.example.net", "tls.server_name"}},
		{"wrong host, named", elsewhere, nil, &TLS{CAFile: caFile, ServerName: "www.example.net"}, nil},
		{"not verified", expired, nil, &TLS{InsecureSkipVerify: true}, nil},

		{"leaf pinned", good, nil, &TLS{CertFingerprint: leafSum}, nil},
		{"leaf pinned, upper case with colons", good, nil, &TLS{CertFingerprint: colons(leafSum)}, nil},
		{"leaf pinned, other name", elsewhere, nil, &TLS{CertFingerprint: fingerprint(parse(t, elsewhere.Certificate[0]))}, nil},
		{"leaf pinned, expired", expired, nil, &TLS{CertFingerprint: fingerprint(parse(t, expired.Certificate[0]))}, []string{"expired on"}},
		{"authority pinned", good, nil, &TLS{CertFingerprint: caSum}, nil},
		{"authority pinned, other name", elsewhere, nil, &TLS{CertFingerprint: caSum}, []string{"not for taxii.example.com"}},
		{"authority pinned, expired leaf", expired, nil, &TLS{CertFingerprint: caSum}, []string{"expired on"}},
		// A stranger that sends the pinned authority along without being issued by it.
		{"authority pinned, leaf of another", impostor, nil, &TLS{CertFingerprint: caSum}, []string{"tls.ca_file"}},
		{"other pinned", good, nil, &TLS{CertFingerprint: fingerprint(otherCA.cert)}, []string{"pinned", leafSum}},
		{"pinned and authority", good, nil, &TLS{CertFingerprint: caSum, CAFile: caFile}, nil},
		{"pinned and wrong authority", good, nil, &TLS{CertFingerprint: leafSum, CAFile: otherCAFile}, []string{"tls.ca_file"}},
		{"other pinned and authority", good, nil, &TLS{CertFingerprint: fingerprint(otherCA.cert), CAFile: caFile}, []string{"pinned"}},

		{"client certificate", good, mutual, &TLS{CAFile: caFile, CertFile: clientCert, KeyFile: clientKey}, nil},
		{"client certificate, one file", good, mutual, &TLS{CAFile: caFile, CertFile: combined}, nil},
		{"client certificate and pin", good, mutual, &TLS{CertFingerprint: leafSum, CertFile: clientCert, KeyFile: clientKey}, nil},
		{"client certificate missing", good, mutual, &TLS{CAFile: caFile}, []string{"client certificate", "tls.cert_file"}},
		{"client certificate of a stranger", good, mutual, &TLS{CAFile: caFile, CertFile: strangerCert, KeyFile: strangerKey}, []string{"client certificate", "tls.cert_file"}},
		{"client certificate missing, TLS 1.2", good, func(c *tls.Config) { mutual(c); c.MaxVersion = tls.VersionTLS12 }, &TLS{CAFile: caFile}, []string{"client certificate"}},

		{"old TLS", good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, &TLS{CAFile: caFile}, []string{"min_version"}},
		{"1.2 for 1.3", good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, &TLS{CAFile: caFile, MinVersion: "1.3"}, []string{"min_version"}},
		{"1.3", good, nil, &TLS{CAFile: caFile, MinVersion: "1.3"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := serveTLS(t, tt.pair, tt.edit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "ok")
			}))
			c := mustNew(t, Options{TLS: tt.tls})
			dialTo(c, map[string]string{"443": address})
			resp, err := c.Do(get(t, "https://taxii.example.com/taxii2/"))
			if err == nil {
				resp.Body.Close()
			}
			if len(tt.err) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			if f := intel.AsFailure(err); f.Kind != intel.FailTLS {
				t.Errorf("kind is %s: %v", f.Kind, err)
			}
			for _, want := range append(tt.err, "GET https://taxii.example.com/taxii2/") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestNotTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: discardLog()}
	go server.Serve(l)
	defer server.Close()
	_, err = mustNew(t, Options{}).Do(get(t, "https://"+l.Addr().String()+"/"))
	if f := intel.AsFailure(err); err == nil || f.Kind != intel.FailTLS || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("error is %v", err)
	}
}

func TestTLSValidate(t *testing.T) {
	ca := newAuthority(t, "test authority")
	pair := ca.issue(t, nil, "client")
	cert, key := writePair(t, pair)
	_, otherKey := writePair(t, ca.issue(t, nil, "client"))
	expiredPair := ca.issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}, "client")
	expired, expiredKey := writePair(t, expiredPair)
	future, futureKey := writePair(t, ca.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }, "client"))
	encrypted := writePEM(t, "key.pem", "ENCRYPTED PRIVATE KEY", []byte{1, 2, 3})
	legacy := writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1}}))
	der := writeFile(t, "cert.der", pair.Certificate[0])
	damaged := writePEM(t, "cert.pem", "CERTIFICATE", []byte{1, 2, 3})
	none := filepath.Join(t.TempDir(), "none.pem")

	tests := []struct {
		name string
		tls  *TLS
		want []string // "path: part of the message"
	}{
		{"nil", nil, nil},
		{"empty", &TLS{}, nil},
		{"all right", &TLS{CAFile: ca.file(t), CertFile: cert, KeyFile: key, MinVersion: "1.3", ServerName: "a.example.com", CertFingerprint: strings.Repeat("aB", 32)}, nil},
		{"missing files", &TLS{CAFile: none, CertFile: none, KeyFile: none}, []string{"ca_file: does not exist", "cert_file: does not exist"}},
		{"missing key file", &TLS{CertFile: cert, KeyFile: none}, []string{"key_file: does not exist"}},
		{"directory", &TLS{CAFile: t.TempDir()}, []string{"ca_file: is a directory"}},
		{"not PEM", &TLS{CAFile: der, CertFile: der, KeyFile: key}, []string{"ca_file: is not PEM", "cert_file: is not PEM"}},
		{"key is not PEM", &TLS{CertFile: cert, KeyFile: der}, []string{"key_file: is not PEM"}},
		{"damaged", &TLS{CAFile: damaged}, []string{"ca_file: certificate 1 in"}},
		{"a key as authority", &TLS{CAFile: key}, []string{"ca_file: holds no certificate"}},
		{"a certificate as key", &TLS{CertFile: cert, KeyFile: cert}, []string{"key_file: holds no private key"}},
		{"no key", &TLS{CertFile: cert}, []string{"cert_file: set key_file"}},
		{"no certificate", &TLS{KeyFile: key}, []string{"key_file: set cert_file"}},
		{"key of another", &TLS{CertFile: cert, KeyFile: otherKey}, []string{"key_file: does not fit"}},
		{"encrypted key", &TLS{CertFile: cert, KeyFile: encrypted}, []string{"key_file: is encrypted"}},
		{"encrypted key, old form", &TLS{CertFile: cert, KeyFile: legacy}, []string{"key_file: is encrypted"}},
		{"expired", &TLS{CAFile: expired, CertFile: expired, KeyFile: expiredKey}, []string{"ca_file: has expired", "cert_file: expired on"}},
		{"not yet valid", &TLS{CertFile: future, KeyFile: futureKey}, []string{"cert_file: not valid before"}},
		{"version", &TLS{MinVersion: "1.1"}, []string{`min_version: use "1.2" or "1.3"`}},
		{"fingerprint", &TLS{CertFingerprint: "abc"}, []string{"cert_fingerprint: 64 hexadecimal digits"}},
		{"server name", &TLS{ServerName: "https://example.com"}, []string{"server_name: is not a host name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.tls.Validate()
			if len(got) != len(tt.want) {
				t.Fatalf("problems are %v, want %d", got, len(tt.want))
			}
			for i, want := range tt.want {
				path, part, _ := strings.Cut(want, ": ")
				if got[i].Path != path || !strings.Contains(got[i].Message, part) {
					t.Errorf("problem %d is %v, want %s", i, got[i], want)
				}
			}
			if _, err := New(Options{TLS: tt.tls}); (err != nil) != (len(tt.want) > 0) {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// TestCertificateRenewal: a renewed client certificate is used without a
// restart, and one that is half written is not.
func TestCertificateRenewal(t *testing.T) {
	ca := newAuthority(t, "test authority")
	cert, key := writePair(t, ca.issue(t, nil, "client"))
	source := &certSource{certFile: cert, keyFile: key}
	first, err := source.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := source.get(nil); again != first {
		t.Error("an unchanged certificate is loaded again")
	}
	newCert, newKey := writePair(t, ca.issue(t, nil, "client"))
	replace := func(file, with string, at time.Time) {
		if err := os.WriteFile(file, read(t, with), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	replace(cert, newCert, time.Now().Add(time.Minute))
	if half, err := source.get(nil); err != nil || half != first {
		t.Errorf("half a renewal: %v, %v", half == first, err)
	}
	replace(key, newKey, time.Now().Add(time.Minute))
	if renewed, err := source.get(nil); err != nil || renewed == first {
		t.Errorf("the renewed certificate is not used: %v", err)
	}
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func colons(sum string) string {
	var parts []string
	for i := 0; i < len(sum); i += 2 {
		parts = append(parts, strings.ToUpper(sum[i:i+2]))
	}
	return strings.Join(parts, ":")
}
