package sentinel

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// hashNames are the STIX names of the hashes that Sentinel or STIX know
// (STIX 2.1 §10.7 and common additions).
var hashNames = map[string]string{
	intel.FieldMD5:          "MD5",
	intel.FieldSHA1:         "SHA-1",
	intel.FieldSHA224:       "SHA-224",
	intel.FieldSHA256:       "SHA-256",
	intel.FieldSHA384:       "SHA-384",
	intel.FieldSHA512:       "SHA-512",
	intel.FieldSHA3256:      "SHA3-256",
	intel.FieldSHA3512:      "SHA3-512",
	intel.FieldSSDEEP:       "SSDEEP",
	intel.FieldTLSH:         "TLSH",
	intel.FieldImphash:      "IMPHASH",
	intel.FieldVhash:        "VHASH",
	intel.FieldPEhash:       "PEHASH",
	intel.FieldAuthentihash: "AUTHENTIHASH",
}

// fieldPaths are the object paths of keys that are not hashes.
var fieldPaths = map[intel.ObservableType]map[string]string{
	intel.TypeFile:         {intel.FieldPath: "path", intel.FieldName: "name"},
	intel.TypeDirectory:    {intel.FieldPath: "path"},
	intel.TypeEmailMessage: {intel.FieldSubject: "subject", intel.FieldBody: "body"},
	intel.TypeRegistryKey:  {intel.FieldKey: "key"},
	intel.TypeProcess:      {intel.FieldCommandLine: "command_line", intel.FieldName: "name"},
	intel.TypeMutex:        {intel.FieldName: "name"},
	intel.TypeUserAccount:  {intel.FieldUserID: "user_id", intel.FieldAccountLogin: "account_login"},
	intel.TypeCertificate:  {intel.FieldSerialNumber: "serial_number", intel.FieldIssuer: "issuer", intel.FieldSubject: "subject"},
	intel.TypeASN:          {intel.FieldNumber: "number"},
	intel.TypeSoftware:     {intel.FieldName: "name", intel.FieldCPE: "cpe"},
	intel.TypeUserAgent:    {intel.FieldUserAgent: userAgentPath},
}

// defaultPaths are the object paths of values whose condition has no field.
var defaultPaths = map[intel.ObservableType]string{
	intel.TypeFile:         "name",
	intel.TypeArtifact:     "url",
	intel.TypeDirectory:    "path",
	intel.TypeEmailMessage: "subject",
	intel.TypeRegistryKey:  "key",
	intel.TypeProcess:      "command_line",
	intel.TypeMutex:        "name",
	intel.TypeUserAccount:  "account_login",
	intel.TypeCertificate:  "serial_number",
	intel.TypeASN:          "number",
	intel.TypeSoftware:     "name",
	intel.TypeUserAgent:    userAgentPath,
}

const userAgentPath = "extensions.'http-request-ext'.request_header.'User-Agent'"

// singlePattern returns the normal form of ind's pattern when that is one value
// of one object, which is what Sentinel takes apart dependably.
func singlePattern(ind *intel.Indicator) (string, bool) {
	if len(ind.Observables) != 1 || ind.Fidelity != intel.FidelityExact {
		return "", false
	}
	o := &ind.Observables[0]
	keys := 0
	for _, f := range o.Fields {
		switch f.Name {
		case intel.FieldDirection, intel.FieldEmailRole:
			// Where the value stood. Sentinel's rules look for it everywhere.
		default:
			keys++
		}
	}
	switch o.Type {
	case intel.TypeIPv4, intel.TypeIPv6, intel.TypeDomain, intel.TypeURL, intel.TypeEmail, intel.TypeMAC:
		if keys > 0 {
			return "", false
		}
	default:
		if keys > 1 || keys == 1 && keyPath(o) == "" {
			return "", false
		}
	}
	return observablePattern(o), true
}

// keyPath is the object path that o's value came from, or "".
func keyPath(o *intel.Observable) string {
	for i := range o.Fields {
		f := &o.Fields[i]
		if f.Value != o.Value {
			continue
		}
		if name, ok := hashNames[f.Name]; ok {
			return hashPath(name)
		}
		if path, ok := fieldPaths[o.Type][f.Name]; ok {
			return path
		}
	}
	return ""
}

// observablePattern is the pattern of the value that o is keyed on; its other
// conditions are left out.
func observablePattern(o *intel.Observable) string {
	if path := keyPath(o); path != "" {
		return comparison(o.Type, path, o.Value)
	}
	return refPattern(o.Ref())
}

// refPattern is the pattern of an observable of which only the Ref is known.
func refPattern(r intel.Ref) string {
	path := defaultPaths[r.Type]
	if path == "" {
		path = "value"
	}
	switch r.Type {
	case intel.TypeFile, intel.TypeArtifact, intel.TypeCertificate:
		if name := hashByLength(r.Value); name != "" {
			path = hashPath(name)
		} else if r.Type == intel.TypeFile && strings.ContainsAny(r.Value, `/\`) {
			path = "path"
		}
	}
	return comparison(r.Type, path, r.Value)
}

func comparison(t intel.ObservableType, path, value string) string {
	object := string(t)
	if t == intel.TypeUserAgent {
		object = "network-traffic"
	}
	var b strings.Builder
	b.Grow(len(object) + len(path) + len(value) + 10)
	b.WriteByte('[')
	b.WriteString(object)
	b.WriteByte(':')
	b.WriteString(path)
	b.WriteString(" = ")
	if t == intel.TypeASN && isNumber(value) {
		b.WriteString(value)
	} else {
		b.WriteByte('\'')
		for i := 0; i < len(value); i++ {
			if value[i] == '\'' || value[i] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(value[i])
		}
		b.WriteByte('\'')
	}
	b.WriteByte(']')
	return b.String()
}

// hashPath spells a hash's path as Sentinel's tables do: always quoted, as
// most names need it.
func hashPath(name string) string { return "hashes.'" + name + "'" }

// hashByLength names the hash that a run of hex digits is, or returns "".
func hashByLength(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return ""
		}
	}
	switch len(s) {
	case 32:
		return "MD5"
	case 40:
		return "SHA-1"
	case 56:
		return "SHA-224"
	case 64:
		return "SHA-256"
	case 96:
		return "SHA-384"
	case 128:
		return "SHA-512"
	}
	return ""
}

func isNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && (len(s) == 1 || s[0] != '0')
}

// withdrawnPattern is the pattern of a revocation, which the API requires even
// where the producer's revoking version has none.
func withdrawnPattern(ind *intel.Indicator, given []intel.Ref) string {
	if single, ok := singlePattern(ind); ok && patternType(ind.PatternType) == "stix" {
		return single
	}
	switch {
	case ind.Pattern != "":
		return ind.Pattern
	case len(given) > 0:
		return refPattern(given[0])
	}
	return "[indicator:id = '" + ind.ID + "']"
}
