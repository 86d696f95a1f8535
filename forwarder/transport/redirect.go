package transport

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"

	"taxii-forwarder/forwarder/intel"
)

const maxRedirects = 5

// harmless are the request headers that may go to any host.
var harmless = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true,
	"User-Agent": true, "Range": true, "If-None-Match": true, "If-Modified-Since": true,
}

// follow sends a GET or HEAD request and follows redirects.
//
// net/http is not asked to, as its rule is another one: it drops
// Authorization from www.example.com to example.com, keeps it from https to
// http, and sends every other header, an API key included, to any host.
func (c *Client) follow(req *http.Request) (*http.Response, error) {
	var (
		first  = req.URL
		secret = c.options.Authorize != nil || c.options.TLS.hasClientCert()
	)
	for hops := 0; ; hops++ {
		resp, err := c.send(req)
		if err != nil {
			return nil, err
		}
		if !isRedirect(resp.StatusCode) || resp.Header.Get("Location") == "" {
			return resp, nil
		}
		next, err := req.URL.Parse(resp.Header.Get("Location"))
		discard(resp)
		switch {
		case err != nil || next.Host == "":
			return nil, intel.Fail(intel.FailProtocol, "%s: redirects to something that is no URL", describe(req))
		case hops == maxRedirects:
			return nil, intel.Fail(intel.FailProtocol, "%s: redirected more than %d times, last to %s", describe(req), maxRedirects, next.Host)
		case req.URL.Scheme == "https" && next.Scheme != "https":
			return nil, intel.Fail(intel.FailConfig, "%s: redirects from https to %s on %s, which is not followed", describe(req), next.Scheme, next.Host).
				WithHint("configure the https URL that the server means")
		case next.Scheme != "https" && next.Scheme != "http":
			return nil, intel.Fail(intel.FailProtocol, "%s: redirects to an address of scheme %q", describe(req), next.Scheme)
		}

		next.User = nil // credentials come from the configuration only
		out := req.Clone(req.Context())
		out.URL, out.Host = next, ""
		if !c.trust.keeps(first, next) {
			if secret {
				return nil, intel.Fail(intel.FailConfig, "%s: redirects to %s, which is outside %s and is not given the credentials",
					describe(req), next.Host, registrableDomain(first.Hostname())).
					WithHint("if that host is right, add %q to trusted_hosts", normalHost(next.Hostname()))
			}
			for name := range out.Header {
				if !harmless[textproto.CanonicalMIMEHeaderKey(name)] {
					delete(out.Header, name)
				}
			}
		}
		req = out
	}
}

// keeps reports whether what a request to from carries may go on to next: to
// the same registrable domain or a trusted host, over https unless it is the
// same host.
func (t *trust) keeps(from, next *url.URL) bool {
	host := normalHost(next.Hostname())
	if next.Scheme != "https" && host != normalHost(from.Hostname()) {
		return false
	}
	return registrableDomain(host) == registrableDomain(from.Hostname()) || t.named(next)
}

func isRedirect(code int) bool {
	switch code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// discard reads the little that a redirect has to say, so that the connection
// can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}
