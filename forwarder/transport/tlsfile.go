package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"taxii-forwarder/forwarder/setting"
)

// Validate returns everything that is wrong with t, files included. A nil t is
// right.
func (t *TLS) Validate() []setting.Problem {
	if t == nil {
		return nil
	}
	var problems []setting.Problem
	add := func(path string, err error) {
		problems = append(problems, setting.Problem{Path: path, Message: err.Error()})
	}
	if t.CAFile != "" {
		if certs, err := readCertificates(t.CAFile); err != nil {
			add("ca_file", err)
		} else if allExpired(certs, time.Now()) {
			add("ca_file", fmt.Errorf("every certificate in %s has expired, the last on %s", t.CAFile, day(lastNotAfter(certs))))
		}
	}
	switch {
	case t.CertFile != "":
		if path, err := t.checkKeyPair(time.Now()); err != nil {
			add(path, err)
		}
	case t.KeyFile != "":
		add("key_file", errors.New("a key without a certificate; set cert_file as well"))
	}
	switch t.MinVersion {
	case "", "1.2", "1.3":
	default:
		add("min_version", fmt.Errorf("unknown TLS version %q; use \"1.2\" or \"1.3\"", t.MinVersion))
	}
	if t.CertFingerprint != "" {
		if _, err := newPin(t.CertFingerprint); err != nil {
			add("cert_fingerprint", err)
		}
	}
	if strings.ContainsAny(t.ServerName, "/: ") && !isIP(t.ServerName) {
		add("server_name", fmt.Errorf("%q is not a host name", t.ServerName))
	}
	return problems
}

// checkKeyPair returns which attribute is wrong with the client certificate.
func (t *TLS) checkKeyPair(now time.Time) (path string, err error) {
	certs, err := readCertificates(t.CertFile)
	if err != nil {
		return "cert_file", err
	}
	if now.After(certs[0].NotAfter) {
		return "cert_file", fmt.Errorf("the certificate in %s expired on %s", t.CertFile, day(certs[0].NotAfter))
	}
	if now.Before(certs[0].NotBefore) {
		return "cert_file", fmt.Errorf("the certificate in %s is not valid before %s; is this machine's clock right?", t.CertFile, day(certs[0].NotBefore))
	}
	if _, err := loadKeyPair(t.CertFile, t.keyFile()); err != nil {
		if t.KeyFile == "" {
			return "cert_file", fmt.Errorf("%w; set key_file if the key is elsewhere", err)
		}
		return "key_file", err
	}
	return "", nil
}

func loadKeyPair(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := readFile(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readFile(keyFile)
	if err != nil {
		return nil, err
	}
	if err := checkKey(keyFile, keyPEM); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		// Its texts speak of block types and algorithms, never of contents.
		return nil, fmt.Errorf("the key in %s does not fit the certificate in %s: %w", keyFile, certFile, err)
	}
	return &pair, nil
}

// checkKey finds the reasons for which a key file is most often useless.
func checkKey(file string, data []byte) error {
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil:
			if !bytes.Contains(data, []byte("-----BEGIN")) {
				return fmt.Errorf("%s is not PEM; convert it with \"openssl pkey -inform DER\"", file)
			}
			return fmt.Errorf("%s holds no private key", file)
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return fmt.Errorf("the key in %s is encrypted; store it decrypted (openssl pkey) and protect the file instead", file)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
	}
}

// readCertificates reads every certificate of a PEM file; at least one.
func readCertificates(file string) ([]*x509.Certificate, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in %s is damaged: %w", len(certs)+1, file, err)
		}
		certs = append(certs, cert)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case bytes.Contains(data, []byte("-----BEGIN")):
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return nil, fmt.Errorf("%s is not PEM; convert it with \"openssl x509 -inform DER\"", file)
}

// readFile reads a small file; its error names the file and what to do.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name a PEM file", file)
	}
	if err == nil && info.Size() > 16<<20 {
		return nil, fmt.Errorf("%s is larger than 16 MiB; name a PEM file", file)
	}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist", file)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s can not be read: permission denied to the user that runs this", file)
	case err != nil:
		return nil, fmt.Errorf("%s can not be read: %w", file, errors.Unwrap(err))
	}
	return data, nil
}

func allExpired(certs []*x509.Certificate, now time.Time) bool {
	return now.After(lastNotAfter(certs))
}

func lastNotAfter(certs []*x509.Certificate) time.Time {
	var last time.Time
	for _, c := range certs {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
	}
	return last
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
