package elasticsearch

import (
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"taxii-forwarder/forwarder/intel"
)

// writeAtomic writes the members of threat.indicator that hold the observable's
// own value, each of them single-valued. What the server would refuse, such as
// text in a field of type ip, is left out: the value is in
// threat.indicator.name in any case, and every condition in stix.observable.
func writeAtomic(w *writer, o *intel.Observable) {
	switch o.Type {
	case intel.TypeIPv4, intel.TypeIPv6:
		writeAddress(w, o)
	case intel.TypeDomain:
		m := w.open("url")
		writeHost(w, o.Value)
		w.close(m)
	case intel.TypeURL:
		writeURL(w, o.Value)
	case intel.TypeFile, intel.TypeArtifact, intel.TypeProcess:
		writeFile(w, o)
	case intel.TypeDirectory:
		m := w.open("file")
		w.string("directory", o.Value)
		w.close(m)
	case intel.TypeEmail:
		m := w.open("email")
		w.string("address", o.Value)
		w.close(m)
	case intel.TypeRegistryKey:
		writeRegistry(w, o)
	case intel.TypeCertificate:
		writeCertificate(w, o)
	case intel.TypeASN:
		if n, err := strconv.ParseUint(o.Value, 10, 32); err == nil {
			m := w.open("as")
			w.int("number", int64(n))
			w.close(m)
		}
	case intel.TypeMAC:
		// The notation of ECS: RFC 7042, upper case with hyphens.
		w.string("mac", strings.ToUpper(strings.ReplaceAll(o.Value, ":", "-")))
	}
}

func writeAddress(w *writer, o *intel.Observable) {
	if o.IsRange() {
		w.string("ip_range", addressRange(o.Value))
	} else if a, err := netip.ParseAddr(o.Value); err == nil && a.Zone() == "" {
		w.string("ip", o.Value)
	}
	field := intel.FieldDstPort
	if o.Field(field) == "" {
		field = intel.FieldSrcPort
	}
	if port, err := strconv.ParseUint(o.Field(field), 10, 16); err == nil {
		w.int("port", int64(port))
	}
}

// addressRange returns a CIDR range as the server takes it; "" when it does not.
// IPv4 addresses mapped into IPv6 are refused there with a prefix length, which
// could be meant for either.
func addressRange(value string) string {
	p, err := netip.ParsePrefix(value)
	switch {
	case err != nil:
		return ""
	case !p.Addr().Is4In6():
		return value
	case p.Bits() >= 96:
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).String()
	}
	return ""
}

// writeHost writes a host and, of a domain name, its parts by the public
// suffix list.
func writeHost(w *writer, host string) {
	w.string("domain", host)
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	w.string("top_level_domain", suffix)
	rest, ok := strings.CutSuffix(host, "."+suffix)
	if !ok {
		return
	}
	name := rest[strings.LastIndexByte(rest, '.')+1:]
	w.string("registered_domain", host[len(rest)-len(name):])
	w.string("subdomain", strings.TrimSuffix(rest[:len(rest)-len(name)], "."))
}

// writeURL writes the URL as it is, twice: the rules compare url.full with
// url.full and url.original with url.original. Its parts follow when it can be
// parsed.
func writeURL(w *writer, value string) {
	m := w.open("url")
	defer w.close(m)
	w.string("full", value)
	w.string("original", value)
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return
	}
	w.string("scheme", u.Scheme)
	if host := u.Hostname(); host != "" {
		writeHost(w, strings.ToLower(host))
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		w.int("port", int64(port))
	}
	w.string("path", u.EscapedPath())
	if ext := path.Ext(u.Path); len(ext) > 1 {
		w.string("extension", ext[1:])
	}
	w.string("query", u.RawQuery)
	w.string("fragment", u.Fragment)
	if u.User != nil {
		w.string("username", u.User.Username())
		password, _ := u.User.Password()
		w.string("password", password)
	}
}

// fileHashes are the hashes that ECS has a field for below file.hash.
var fileHashes = [...]struct{ field, name string }{
	{intel.FieldMD5, "md5"},
	{intel.FieldSHA1, "sha1"},
	{intel.FieldSHA256, "sha256"},
	{intel.FieldSHA384, "sha384"},
	{intel.FieldSHA512, "sha512"},
	{intel.FieldSSDEEP, "ssdeep"},
	{intel.FieldTLSH, "tlsh"},
}

func writeFile(w *writer, o *intel.Observable) {
	m := w.open("file")
	defer w.close(m)
	hash := w.open("hash")
	for _, h := range fileHashes {
		w.string(h.name, o.Field(h.field))
	}
	w.close(hash)
	if imphash := o.Field(intel.FieldImphash); imphash != "" {
		pe := w.open("pe")
		w.string("imphash", imphash)
		w.close(pe)
	}
	full := o.Field(intel.FieldPath)
	if o.Type == intel.TypeProcess {
		w.string("path", full)
		return
	}
	name, directory := o.Field(intel.FieldName), o.Field(intel.FieldDirectory)
	if i := strings.LastIndexAny(full, `/\`); i >= 0 {
		if name == "" {
			name = full[i+1:]
		}
		if directory == "" {
			directory = full[:max(i, 1)]
		}
	}
	if full == "" && name != "" && directory != "" {
		separator := "/"
		if strings.Contains(directory, `\`) {
			separator = `\`
		}
		full = strings.TrimSuffix(directory, separator) + separator + name
	}
	w.string("name", name)
	w.string("path", full)
	w.string("directory", directory)
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		w.string("extension", name[i+1:])
	}
	if size, err := strconv.ParseInt(o.Field(intel.FieldSize), 10, 64); err == nil && size >= 0 {
		w.int("size", size)
	}
}

// hives are the abbreviations that ECS and the events of Elastic Defend,
// Winlogbeat and Sysmon use in registry.path.
var hives = map[string]string{
	"HKEY_LOCAL_MACHINE":  "HKLM",
	"HKEY_CURRENT_USER":   "HKCU",
	"HKEY_CLASSES_ROOT":   "HKCR",
	"HKEY_USERS":          "HKU",
	"HKEY_CURRENT_CONFIG": "HKCC",
}

// writeRegistry writes registry.path, which the rule compares, as hive, key
// and value name.
func writeRegistry(w *writer, o *intel.Observable) {
	full := o.Field(intel.FieldKey)
	if full == "" {
		full = o.Value
	}
	hive, key, ok := strings.Cut(full, `\`)
	if short, known := hives[strings.ToUpper(hive)]; known {
		hive = short
	} else {
		ok = false // no hive: the whole is the key
	}
	value, data := o.Field(intel.FieldValueName), o.Field(intel.FieldValueData)
	m := w.open("registry")
	p := full
	if ok {
		w.string("hive", hive)
		w.string("key", key)
		p = hive + `\` + key
	} else {
		w.string("key", full)
	}
	w.string("value", value)
	if value != "" {
		p += `\` + value
	}
	w.string("path", p)
	if data != "" {
		d := w.open("data")
		w.strings("strings", []string{data})
		w.close(d)
	}
	w.close(m)
}

// writeCertificate writes no hash: in file.hash, where others put it, the hash
// rule would look for it among files. It is in stix.observable.
func writeCertificate(w *writer, o *intel.Observable) {
	m := w.open("x509")
	w.string("serial_number", strings.ToUpper(o.Field(intel.FieldSerialNumber)))
	for _, side := range [...]struct{ field, name string }{{intel.FieldIssuer, "issuer"}, {intel.FieldSubject, "subject"}} {
		if dn := o.Field(side.field); dn != "" {
			s := w.open(side.name)
			w.string("distinguished_name", dn)
			w.close(s)
		}
	}
	w.close(m)
}

// writeRelated writes related.*, by which an analyst pivots.
func writeRelated(w *writer, o *intel.Observable) {
	m := w.open("related")
	defer w.close(m)
	switch o.Type {
	case intel.TypeIPv4, intel.TypeIPv6:
		if a, err := netip.ParseAddr(o.Value); err == nil && a.Zone() == "" {
			w.strings("ip", []string{o.Value})
		}
	case intel.TypeDomain:
		w.strings("hosts", []string{o.Value})
	case intel.TypeURL:
		u, err := url.Parse(o.Value)
		if err != nil {
			return
		}
		host := strings.ToLower(u.Hostname())
		if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
			w.strings("ip", []string{host})
		} else {
			w.strings("hosts", []string{host})
		}
	case intel.TypeUserAccount:
		w.strings("user", []string{o.Value})
	case intel.TypeFile, intel.TypeArtifact, intel.TypeProcess:
		var hashes []string
		for _, f := range o.Fields {
			if strings.HasPrefix(f.Name, "hash.") {
				hashes = append(hashes, f.Value)
			}
		}
		w.strings("hash", hashes)
	}
}
