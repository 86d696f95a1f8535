package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// pin accepts a server by the fingerprint of a certificate.
//
// The server's own certificate suffices by itself: its key is proven by the
// handshake, and neither its name nor its issuer matters. An authority's
// certificate, which the server has to send along, becomes the one authority
// to trust: chain and name are verified up to it. Where ca_file is set as well,
// the ordinary verification stays and the pinned certificate has to be part of
// the chain.
//
// It works through VerifyConnection rather than a dialer of its own, so that
// the proxy and the client certificate keep working.
type pin struct {
	sum        []byte
	chained    bool   // crypto/tls verifies the chain already
	serverName string // name to expect; "" = the connection's
}

func newPin(fingerprint string) (*pin, error) {
	clean := strings.NewReplacer(":", "", " ", "").Replace(strings.TrimSpace(fingerprint))
	sum, err := hex.DecodeString(clean)
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("not a SHA-256 fingerprint; write 64 hexadecimal digits, with or without colons")
	}
	return &pin{sum: sum}, nil
}

// errPinned is the error of a server whose certificates do not include the
// pinned one.
type errPinned struct{ got string }

func (e errPinned) Error() string {
	return fmt.Sprintf("none of the server's certificates has the pinned fingerprint; its own is %s", e.got)
}

func (p *pin) verify(cs tls.ConnectionState) error {
	certs := cs.PeerCertificates
	if len(certs) == 0 {
		return errors.New("the server sent no certificate")
	}
	if p.chained {
		for _, chain := range cs.VerifiedChains {
			if slices.ContainsFunc(chain, p.is) {
				return nil
			}
		}
		return errPinned{fingerprint(certs[0])}
	}
	if p.is(certs[0]) {
		now := time.Now()
		if now.Before(certs[0].NotBefore) || now.After(certs[0].NotAfter) {
			return x509.CertificateInvalidError{Cert: certs[0], Reason: x509.Expired}
		}
		return nil
	}
	i := slices.IndexFunc(certs, p.is)
	if i < 0 {
		return errPinned{fingerprint(certs[0])}
	}
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: p.serverName}
	if opts.DNSName == "" {
		opts.DNSName = cs.ServerName
	}
	opts.Roots.AddCert(certs[i])
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(opts)
	return err
}

func (p *pin) is(c *x509.Certificate) bool {
	sum := sha256.Sum256(c.Raw)
	return bytes.Equal(sum[:], p.sum)
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
