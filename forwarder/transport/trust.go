package transport

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"taxii-forwarder/forwarder/intel"
)

// trust decides which hosts may see the credentials.
type trust struct {
	domain   string // registrable domain of the origin; "" = none
	httpHost string // the origin's host when the configuration says http
	hosts    []trustedHost
}

// trustedHost is one entry of trusted_hosts.
type trustedHost struct {
	name   string // lower-case host, or the domain of a wildcard
	port   string // "" = any
	suffix bool   // "*.domain": every host below it
}

func newTrust(origin string, hosts []string) (trust, error) {
	var t trust
	if origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Hostname() == "" {
			return trust{}, fmt.Errorf("origin is no URL with a host")
		}
		t.domain = registrableDomain(u.Hostname())
		if u.Scheme == "http" {
			t.httpHost = normalHost(u.Hostname())
		}
	}
	for _, h := range hosts {
		entry, err := parseTrustedHost(h)
		if err != nil {
			return trust{}, err
		}
		t.hosts = append(t.hosts, entry)
	}
	return t, nil
}

// CheckTrustedHost returns an error when s can not be an entry of
// trusted_hosts.
func CheckTrustedHost(s string) error {
	_, err := parseTrustedHost(s)
	return err
}

func parseTrustedHost(s string) (trustedHost, error) {
	bad := fmt.Errorf("trusted host %q is not a host name; write \"api.example.net\", \"api.example.net:8443\" or \"*.example.net\"", s)
	rest := strings.TrimSpace(s)
	if rest == "" || strings.ContainsAny(rest, "/@?# ") {
		return trustedHost{}, bad
	}
	var entry trustedHost
	if after, ok := strings.CutPrefix(rest, "*."); ok {
		entry.suffix, rest = true, after
	}
	if _, err := netip.ParseAddr(rest); err != nil {
		if host, port, err := net.SplitHostPort(rest); err == nil {
			rest, entry.port = host, port
		}
	}
	entry.name = normalHost(strings.Trim(rest, "[]"))
	if entry.name == "" || strings.Contains(entry.name, "*") || strings.Contains(entry.name, ":") && !isIP(entry.name) {
		return trustedHost{}, bad
	}
	if entry.suffix && registrableDomain(entry.name) == entry.name && !strings.Contains(entry.name, ".") {
		return trustedHost{}, fmt.Errorf("trusted host %q would trust a whole top-level domain; name the domain", s)
	}
	return entry, nil
}

func (t trustedHost) matches(host, port string) bool {
	if t.port != "" && t.port != port {
		return false
	}
	return t.name == host && !t.suffix || t.suffix && strings.HasSuffix(host, "."+t.name)
}

// Trusted returns nil when the client's credentials may be sent to u; the
// error is an [*intel.Failure] that names the host and says what to do.
func (c *Client) Trusted(u *url.URL) error { return c.trust.check(u) }

func (t *trust) check(u *url.URL) error {
	host := normalHost(u.Hostname())
	if !(t.domain != "" && registrableDomain(host) == t.domain || t.named(u)) {
		return intel.Fail(intel.FailConfig, "credentials are not sent to %s, which is outside %s", u.Host, orNone(t.domain)).
			WithHint("if that host is right, add %q to trusted_hosts", host)
	}
	if u.Scheme != "https" && !isLoopback(host) && host != t.httpHost {
		return intel.Fail(intel.FailConfig, "credentials are not sent to %s over plain http", u.Host).
			WithHint("use https")
	}
	return nil
}

// named reports whether trusted_hosts names u's host.
func (t *trust) named(u *url.URL) bool {
	host, port := normalHost(u.Hostname()), effectivePort(u)
	return slices.ContainsFunc(t.hosts, func(h trustedHost) bool { return h.matches(host, port) })
}

func orNone(domain string) string {
	if domain == "" {
		return "every trusted host"
	}
	return domain
}

// registrableDomain returns the part of host under which its owner may add
// names ("socdefenders.ai" for "www.socdefenders.ai"). An IP address, a
// single-label name and a public suffix stand for themselves.
func registrableDomain(host string) string {
	host = normalHost(host)
	if isIP(host) || !strings.Contains(host, ".") {
		return host
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return domain
}

// normalHost is host in lower-case A-labels without a trailing dot, or the
// canonical form of an IP address.
func normalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// IsLoopback reports whether host is this machine: "localhost", a name below
// it, or a loopback address. No name is looked up.
func IsLoopback(host string) bool { return isLoopback(normalHost(host)) }

func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func effectivePort(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
