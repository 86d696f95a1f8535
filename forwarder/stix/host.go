package stix

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"

	"taxii-forwarder/forwarder/intel"
)

// A value is what one literal yields: an observable's type and value, the field
// that it is filed under if any, and what was written into it besides.
type value struct {
	typ      intel.ObservableType
	text     string
	field    string
	port     string
	wildcard bool // *.example.com
}

// cleanHost reads a literal under a path for addresses and domain names. What it
// is shows in the value, whatever the path says: addresses filed as domains,
// domains with a path, e-mail addresses, comma-separated lists. ok is false for
// what is none of them.
func cleanHost(s string, dst []value) ([]value, bool) {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, ',') < 0 || strings.Contains(s, "://") {
		v, ok := hostValue(s)
		if !ok {
			return dst, false
		}
		return append(dst, v), true
	}
	n := len(dst)
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		v, ok := hostValue(part)
		if !ok {
			return dst[:n], false
		}
		dst = append(dst, v)
	}
	return dst, len(dst) > n
}

func hostValue(s string) (value, bool) {
	s = refang(s)
	if v, ok := address(s); ok {
		return v, v.text != ""
	}
	if strings.Contains(s, "://") {
		return urlValue(s)
	}
	if strings.IndexByte(s, '@') >= 0 {
		return emailValue(s)
	}
	if host, path, ok := strings.Cut(s, "/"); ok && path != "" {
		if !looksLikeHost(host) {
			return value{}, false
		}
		return urlValue(s)
	} else if ok {
		s = host
	}
	if host, port, ok := cutPort(s); ok {
		d, ok := domain(host)
		return value{typ: intel.TypeDomain, text: d, port: port}, ok
	}
	if isFileName(s) {
		return value{typ: intel.TypeFile, text: s, field: intel.FieldName}, true
	}
	wildcard := strings.HasPrefix(s, "*.") || strings.HasPrefix(s, ".")
	if wildcard {
		s = s[strings.IndexByte(s, '.')+1:]
	}
	d, ok := domain(s)
	return value{typ: intel.TypeDomain, text: d, wildcard: wildcard}, ok
}

// address reads an IP address, a CIDR range (its host bits are cleared, and a
// range of one is an address) or address:port. The text is empty for what is an
// address but can not be looked for: a range of everything, or a bad mask.
func address(s string) (value, bool) {
	if s == "" || !digit(s[0]) && s[0] != '[' && strings.IndexByte(s, ':') < 0 {
		return value{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return addressValue(a, ""), true
	}
	if before, after, ok := strings.Cut(s, "/"); ok {
		a, err := netip.ParseAddr(strings.TrimSpace(before))
		if err != nil {
			return value{}, false
		}
		bits, ok := maskBits(strings.TrimSpace(after), a)
		if !ok {
			return value{}, false
		}
		p, err := a.WithZone("").Prefix(bits)
		if err != nil {
			return value{}, false
		}
		if a := p.Addr(); a.Is4In6() && bits >= 96 {
			p = netip.PrefixFrom(a.Unmap(), bits-96)
		}
		if p.Bits() == 0 {
			return value{typ: addressType(p.Addr())}, true
		}
		if p.IsSingleIP() {
			return addressValue(p.Addr(), ""), true
		}
		return value{typ: addressType(p.Addr()), text: p.String()}, true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		a, err := netip.ParseAddr(s[1 : len(s)-1])
		return addressValue(a, ""), err == nil
	}
	if host, port, ok := cutPort(s); ok {
		if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			return addressValue(a, port), true
		}
	}
	return value{}, false
}

func addressValue(a netip.Addr, port string) value {
	a = a.Unmap().WithZone("")
	return value{typ: addressType(a), text: a.String(), port: port}
}

func addressType(a netip.Addr) intel.ObservableType {
	if a.Is4() || a.Is4In6() {
		return intel.TypeIPv4
	}
	return intel.TypeIPv6
}

// maskBits reads the part of a range after the slash: a length, or IPv4's dotted
// mask.
func maskBits(s string, a netip.Addr) (int, bool) {
	if mask, err := netip.ParseAddr(s); err == nil && mask.Is4() && a.Is4() {
		b := mask.As4()
		m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		bits := 0
		for m&(1<<31) != 0 {
			bits++
			m <<= 1
		}
		return bits, m == 0
	}
	if len(s) < 1 || len(s) > 3 {
		return 0, false
	}
	n, ok := digits(s, 0, len(s))
	return n, ok && n <= a.BitLen()
}

// cutPort splits host:port; a bare IPv6 address is not taken for one.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i+1 == len(s) || len(s)-i > 6 {
		return "", "", false
	}
	host, port = s[:i], s[i+1:]
	n, ok := digits(port, 0, len(port))
	if !ok || n < 1 || n > 65535 || strings.IndexByte(host, ':') >= 0 && host[0] != '[' {
		return "", "", false
	}
	return host, port, true
}

// lookup maps domain names as resolvers do, but lets through underscores and
// other characters that names in use have.
var lookup = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))

// domain normalises a domain name: lower case, A-labels, no trailing dot. It
// refuses what can not be one: empty or long labels, white space, a numeric top
// level.
func domain(s string) (string, bool) {
	if !isASCII(s) {
		a, err := lookup.ToASCII(s)
		if err != nil {
			// Registries let in what IDNA 2008 does not, emoji for one.
			if strings.ContainsFunc(s, invisible) {
				return "", false
			}
			if a, err = idna.Punycode.ToASCII(norm.NFC.String(strings.ToLower(s))); err != nil {
				return "", false
			}
		}
		s = a
	}
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	if s == "" || len(s) > 253 {
		return "", false
	}
	start, alphabetic := 0, false
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			switch c := s[i]; {
			case c >= 'a' && c <= 'z':
				alphabetic = true
			case !digit(c) && c != '-' && c != '_':
				return "", false
			}
			continue
		}
		if n := i - start; n == 0 || n > 63 {
			return "", false
		}
		if i == len(s) {
			break
		}
		start, alphabetic = i+1, false
	}
	return s, alphabetic
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func invisible(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// isFileName recognises file names that were filed as domains: the extension is
// no top-level domain.
func isFileName(s string) bool {
	i := strings.LastIndexByte(s, '.')
	if i <= 0 || i+1 == len(s) {
		return false
	}
	switch strings.ToLower(s[i+1:]) {
	case "txt", "exe", "dll", "doc", "docx", "docm", "xls", "xlsx", "xlsm", "ppt", "pptx", "pdf", "rtf",
		"vbs", "bat", "cmd", "ps1", "hta", "lnk", "jar", "apk", "ipa", "elf", "msi", "scr", "sys", "tmp",
		"dat", "bin", "rar", "iso", "img", "dmg", "plist", "dylib", "log", "html", "htm", "php", "jpg", "png", "gif":
	default:
		return false
	}
	_, icann := publicsuffix.PublicSuffix(strings.ToLower(s))
	return !icann && !strings.ContainsAny(s, "/:@")
}
