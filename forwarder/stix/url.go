package stix

import (
	"strings"
	"unicode"

	"taxii-forwarder/forwarder/intel"
)

// refang undoes what makes an indicator harmless to click: hxxp, [.], (dot).
func refang(s string) string {
	if strings.IndexByte(s, '[') >= 0 || strings.IndexByte(s, '(') >= 0 || strings.IndexByte(s, '{') >= 0 {
		// Brackets around an IPv6 literal stay: no mark below matches them.
		s = defanged.Replace(s)
	}
	if len(s) < 4 || s[0]|0x20 != 'h' && s[0]|0x20 != 'f' {
		return s
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return s
	}
	switch strings.ToLower(scheme) {
	case "hxxp", "h**p", "htxp", "hxtp", "hxp":
		scheme = "http"
	case "hxxps", "h**ps", "htxps", "hxtps", "hxps":
		scheme = "https"
	case "fxp":
		scheme = "ftp"
	default:
		return s
	}
	return scheme + ":" + rest
}

var defanged = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "{dot}", ".", "[DOT]", ".", "(DOT)", ".",
	"[:]", ":", "[://]", "://", "[:]//", "://", "[/]", "/",
	"[@]", "@", "(@)", "@", "[at]", "@", "(at)", "@", "[AT]", "@", "(AT)", "@",
)

// cleanURL reads a literal under a path for URLs. An address, a domain or an
// e-mail address filed as a URL is what it is; anything else is kept as written,
// with or without a scheme, once refanged.
func cleanURL(s string) (value, bool) {
	s = refang(strings.TrimSpace(s))
	if strings.Contains(s, "://") {
		return urlValue(s)
	}
	if head, _, ok := strings.Cut(s, "/"); ok {
		if !looksLikeHost(head) {
			return value{}, false
		}
		return urlValue(s)
	}
	v, ok := hostValue(s)
	switch {
	case !ok || v.typ == intel.TypeFile:
		return urlValue(s)
	case v.typ == intel.TypeDomain && strings.IndexByte(v.text, '.') < 0:
		return value{}, false
	}
	return v, true
}

// looksLikeHost accepts what may stand before the path of a URL without scheme;
// user@host and host:port included.
func looksLikeHost(s string) bool {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	if v, ok := address(s); ok {
		return v.text != ""
	}
	if host, _, ok := cutPort(s); ok {
		s = host
	}
	_, ok := domain(strings.TrimPrefix(s, "*."))
	return ok
}

// urlValue accepts a refanged URL. Control characters and what has no room for a
// host are refused; the spelling is kept.
func urlValue(s string) (value, bool) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return value{}, false
	}
	rest := s
	if i := strings.Index(s, "://"); i >= 0 {
		if rest = s[i+3:]; i == 0 {
			return value{}, false
		}
	}
	if rest == "" || rest[0] == '/' && !strings.HasPrefix(s, "file:") || rest == s && !strings.ContainsAny(rest, ".:/[") {
		return value{}, false
	}
	return value{typ: intel.TypeURL, text: s}, true
}

// cleanEmail reads a literal under a path for e-mail addresses; a domain filed
// as one is a domain.
func cleanEmail(s string) (value, bool) {
	s = refang(strings.TrimSpace(s))
	if i, j := strings.LastIndexByte(s, '<'), strings.LastIndexByte(s, '>'); i >= 0 && j > i {
		s = s[i+1 : j] // "Name <local@domain>"
	}
	s = strings.TrimPrefix(s, "mailto:")
	if strings.IndexByte(s, '@') > 0 {
		return emailValue(s)
	}
	s = strings.TrimPrefix(s, "@")
	d, ok := domain(s)
	if !ok || strings.IndexByte(d, '.') < 0 {
		return value{}, false
	}
	return value{typ: intel.TypeDomain, text: d}, true
}

// emailValue normalises local@domain. The local part keeps its case (RFC 5321
// §2.4).
func emailValue(s string) (value, bool) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || strings.ContainsFunc(s[:i], func(r rune) bool { return r <= ' ' || r == 0x7F }) {
		return value{}, false
	}
	d, ok := domain(s[i+1:])
	if !ok {
		// RFC 5321 §4.1.3: local@[192.0.2.1]
		d = s[i+1:]
		if v, ok := address(d); !ok || v.text == "" || d[0] != '[' {
			return value{}, false
		}
	}
	return value{typ: intel.TypeEmail, text: s[:i+1] + d}, true
}
