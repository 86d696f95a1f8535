package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// failure turns the error of an exchange into an intel.Failure that says what
// to do about it.
func (c *Client) failure(req *http.Request, err error) *intel.Failure {
	var f *intel.Failure
	if errors.As(err, &f) {
		return f
	}
	f = c.classify(req, err)
	f.Err = fmt.Errorf("%s: %w", describe(req), f.Err)
	return f
}

// bodyFailure is failure for an error in the middle of an answer.
func (c *Client) bodyFailure(req *http.Request, read int64, err error) *intel.Failure {
	switch {
	case errors.Is(err, errSilence):
		return intel.Fail(intel.FailTimeout, "%s: the answer stalled: nothing for %s after %d bytes", describe(req), c.timeout, read)
	case errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "stream error: stream ID"): // HTTP/2
		return intel.Fail(intel.FailUnreachable, "%s: the answer was cut off after %d bytes", describe(req), read)
	}
	return c.failure(req, err)
}

func (c *Client) classify(req *http.Request, err error) *intel.Failure {
	switch {
	case errors.Is(err, errSilence):
		return intel.Fail(intel.FailTimeout, "no answer within %s", c.timeout)
	case errors.Is(req.Context().Err(), context.DeadlineExceeded):
		return intel.Fail(intel.FailTimeout, "no answer in time: %w", req.Context().Err())
	case req.Context().Err() != nil:
		return intel.Fail(intel.FailTimeout, "given up: %w", req.Context().Err())
	}
	if f := tlsFailure(req, err); f != nil {
		return f
	}
	return networkFailure(req, err)
}

// tlsFailure returns nil when err is not about TLS.
func tlsFailure(req *http.Request, err error) *intel.Failure {
	fail := func(hint string, args ...any) *intel.Failure {
		return (&intel.Failure{Kind: intel.FailTLS, Err: err}).WithHint(hint, args...)
	}
	var (
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		hostname x509.HostnameError
		pinned   errPinned
		header   tls.RecordHeaderError
		verify   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &pinned):
		return fail("if the server's certificate was renewed, set tls.cert_fingerprint to the new one")
	case errors.As(err, &unknown):
		return fail("if the server's certificate is from a private authority, or a proxy on the way opens TLS, name that authority's certificate in tls.ca_file")
	case errors.As(err, &hostname):
		err = fmt.Errorf("the server's certificate is not for %s%s", hostname.Host, namesOf(hostname.Certificate))
		return fail("use the name that the certificate has, or set tls.server_name to it")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if now := time.Now(); now.Before(invalid.Cert.NotBefore) {
			err = fmt.Errorf("the server's certificate is not valid before %s", invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
			return fail("this machine's clock says %s; is it right?", now.UTC().Format(time.RFC3339))
		}
		err = fmt.Errorf("a certificate of the server's chain expired on %s", invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
		return fail("the server needs a new certificate, unless this machine's clock (%s) is wrong", time.Now().UTC().Format(time.RFC3339))
	case errors.As(err, &verify):
		return fail("the server's certificate can not be verified")
	case errors.As(err, &header), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		err = errors.New("the server does not speak TLS on this port")
		return fail("check the port, or whether the URL should begin with http://")
	}
	// Alerts and the handshake's own errors have no exported types.
	switch text := err.Error(); {
	case containsAny(text, "protocol version not supported", "unsupported protocol version"):
		return fail("the server offers no TLS version that tls.min_version allows; the least is 1.2")
	case strings.Contains(text, "tls: certificate required"):
		return fail("the server wants a client certificate: set tls.cert_file and tls.key_file")
	case containsAny(text, "error: tls: bad certificate", "error: tls: unknown certificate", "error: tls: access denied",
		"error: tls: expired certificate", "error: tls: revoked certificate"):
		return fail("the server does not accept the client certificate, or wants one: check tls.cert_file and tls.key_file")
	case strings.Contains(text, "error: tls: unrecognized name"):
		return fail("the server does not know the name that was asked for; check the host and tls.server_name")
	case strings.Contains(text, "error: tls: handshake failure"):
		return fail("no cipher or TLS version in common, or the server wants a client certificate: tls.cert_file and tls.key_file")
	case strings.Contains(text, "remote error: tls: "):
		return fail("the server ended the TLS handshake")
	case strings.Contains(text, "tls: "):
		return fail("the TLS handshake did not succeed")
	}
	return nil
}

func containsAny(s string, subs ...string) bool {
	return slices.ContainsFunc(subs, func(sub string) bool { return strings.Contains(s, sub) })
}

func namesOf(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	names := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return " and names no host at all"
	case len(names) > 5:
		names = append(names[:5], "…")
	}
	return " but for " + strings.Join(names, ", ")
}

// networkFailure classifies what went wrong below TLS.
func networkFailure(req *http.Request, err error) *intel.Failure {
	fail := func(hint string, args ...any) *intel.Failure {
		return (&intel.Failure{Kind: intel.FailUnreachable, Err: err}).WithHint(hint, args...)
	}
	var (
		op      *net.OpError
		dns     *net.DNSError
		timeout interface{ Timeout() bool }
		host    = req.URL.Hostname()
	)
	viaProxy := errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks"))
	text := err.Error()
	switch {
	case strings.Contains(text, "Proxy Authentication Required"):
		return fail("the proxy wants a user name and password in its URL")
	case viaProxy:
		return fail("the proxy can not be reached; check proxy_url, HTTPS_PROXY and NO_PROXY")
	case errors.As(err, &dns) && dns.IsNotFound:
		err = fmt.Errorf("host %s is not known", dns.Name)
		return fail("check the name and this machine's DNS; behind a proxy, set proxy_url")
	case errors.As(err, &dns):
		err = fmt.Errorf("looking up %s did not work: %s", dns.Name, dns.Err)
		return fail("check this machine's DNS")
	case errors.As(err, &timeout) && timeout.Timeout():
		f := fail("is a firewall in the way? behind a proxy, set proxy_url")
		f.Kind = intel.FailTimeout
		return f
	case refused(err):
		return fail("nothing listens there; check host and port")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fail("there is no route to %s; check the network", host)
	case reset(err):
		err = errors.New("the server reset the connection") // the original names ports that change with every attempt
		return fail("")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		// HTTP/2; its texts number the request.
		containsAny(text, "server closed idle connection", "stream error: stream ID", "server sent GOAWAY"):
		err = errors.New("the server closed the connection without an answer")
		return fail("")
	case op == nil && (strings.Contains(text, "malformed HTTP") || strings.Contains(text, "malformed MIME")):
		err = errors.New("what answers does not speak HTTP")
		f := fail("check the port")
		f.Kind = intel.FailProtocol
		return f
	}
	return fail("")
}

// reset reports a connection that the other side broke; Windows has its own
// numbers for it.
func reset(err error) bool {
	const wsaECONNABORTED, wsaECONNRESET = syscall.Errno(10053), syscall.Errno(10054)
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, wsaECONNABORTED) || errors.Is(err, wsaECONNRESET)
}

// refused reports a refused connection; Windows has its own number for it.
func refused(err error) bool {
	const wsaECONNREFUSED = syscall.Errno(10061)
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaECONNREFUSED)
}
