package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLS is the tls block of a feed or sink.
type TLS struct {
	// CAFile holds the PEM certificates of the authorities to trust instead of
	// the system's.
	CAFile string `hcl:"ca_file,optional"`
	// CertFile and KeyFile are the client certificate (with its chain) and its
	// key, PEM. Without KeyFile the key is looked for in CertFile.
	CertFile string `hcl:"cert_file,optional"`
	KeyFile  string `hcl:"key_file,optional"`
	// ServerName is the name to expect in the server's certificate instead of
	// the URL's host.
	ServerName string `hcl:"server_name,optional"`
	// MinVersion is "1.2" (the default) or "1.3".
	MinVersion string `hcl:"min_version,optional"`
	// CertFingerprint is the SHA-256 of the server's certificate, or of an
	// authority's certificate that the server sends along, in hex, with or
	// without colons. See [pin] for what it replaces.
	CertFingerprint string `hcl:"cert_fingerprint,optional"`
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool `hcl:"insecure_skip_verify,optional"`
}

func (t *TLS) hasClientCert() bool { return t != nil && t.CertFile != "" }

// config builds the crypto/tls form of t; nil means the system's defaults.
func (t *TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return conf, nil
	}
	if problems := t.Validate(); len(problems) > 0 {
		var errs []error
		for _, p := range problems {
			errs = append(errs, fmt.Errorf("tls.%s: %s", p.Path, p.Message))
		}
		return nil, errors.Join(errs...)
	}
	if t.MinVersion == "1.3" {
		conf.MinVersion = tls.VersionTLS13
	}
	conf.ServerName = t.ServerName
	conf.InsecureSkipVerify = t.InsecureSkipVerify
	if t.CAFile != "" {
		pool, err := loadPool(t.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if t.CertFile != "" {
		source := &certSource{certFile: t.CertFile, keyFile: t.keyFile()}
		conf.GetClientCertificate = source.get
	}
	if t.CertFingerprint != "" {
		p, err := newPin(t.CertFingerprint)
		if err != nil {
			return nil, err
		}
		p.chained = t.CAFile != "" && !t.InsecureSkipVerify
		p.serverName = t.ServerName
		conf.InsecureSkipVerify = !p.chained
		conf.VerifyConnection = p.verify
	}
	return conf, nil
}

func (t *TLS) keyFile() string {
	if t.KeyFile == "" {
		return t.CertFile
	}
	return t.KeyFile
}

func loadPool(file string) (*x509.CertPool, error) {
	certs, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// certSource serves a client certificate and loads it again when its file has
// changed: short-lived certificates are renewed under a running service.
type certSource struct {
	certFile, keyFile string

	mu      sync.Mutex
	cert    *tls.Certificate
	changed [2]time.Time // modification times of what cert was loaded from
}

func (s *certSource) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := [2]time.Time{modTime(s.certFile), modTime(s.keyFile)}
	if s.cert != nil && now == s.changed {
		return s.cert, nil
	}
	cert, err := loadKeyPair(s.certFile, s.keyFile)
	if err != nil {
		if s.cert != nil {
			return s.cert, nil // half-way through a renewal: the old one still serves
		}
		return nil, err
	}
	s.cert, s.changed = cert, now
	return cert, nil
}

func modTime(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
