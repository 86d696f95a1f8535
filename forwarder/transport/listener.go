package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"taxii-forwarder/forwarder/setting"
)

// Listener is the tls block of what listens.
type Listener struct {
	// CertFile and KeyFile are the certificate (with its chain) and its key, PEM.
	// Without KeyFile the key is looked for in CertFile.
	CertFile string `hcl:"cert_file,optional"`
	KeyFile  string `hcl:"key_file,optional"`
}

// Validate returns what is wrong with l, files included, and what is only worth
// a warning: a certificate that is not valid now serves nobody, but a page that
// can not be looked at must not keep the work from being done.
func (l *Listener) Validate() (problems, warnings []setting.Problem) {
	if l.CertFile == "" {
		return []setting.Problem{{Path: "cert_file", Message: "a listener needs a certificate; set cert_file"}}, nil
	}
	t := l.keyPair()
	if _, err := loadKeyPair(t.CertFile, t.keyFile()); err != nil {
		path := "cert_file"
		if l.KeyFile != "" {
			if _, cerr := readCertificates(l.CertFile); cerr == nil {
				path = "key_file"
			}
		}
		return []setting.Problem{{Path: path, Message: err.Error()}}, nil
	}
	if path, err := t.checkKeyPair(time.Now()); err != nil {
		warnings = []setting.Problem{{Path: path, Message: err.Error()}}
	}
	return nil, warnings
}

func (l *Listener) keyPair() *TLS { return &TLS{CertFile: l.CertFile, KeyFile: l.KeyFile} }

// Config returns the crypto/tls form of l: TLS 1.2 at least, the certificate
// read again when its file has changed.
func (l *Listener) Config() (*tls.Config, error) {
	problems, _ := l.Validate()
	var errs []error
	for _, p := range problems {
		errs = append(errs, fmt.Errorf("tls.%s: %s", p.Path, p.Message))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	source := &certSource{certFile: l.CertFile, keyFile: l.keyPair().keyFile()}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return source.get(nil) },
	}, nil
}
