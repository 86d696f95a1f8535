package splunk

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// The threat-intelligence collections of Splunk Enterprise Security 4.7 to 8.3
// that an event can fit. Domains live in ip_intel: there is no domain_intel.
const (
	ipIntel          = "ip_intel"
	httpIntel        = "http_intel"
	fileIntel        = "file_intel"
	emailIntel       = "email_intel"
	certificateIntel = "certificate_intel"
	processIntel     = "process_intel"
	registryIntel    = "registry_intel"
	userIntel        = "user_intel"
)

// place is where the value of an observable goes: a field, and the collection
// that has such a field ("" where Enterprise Security has none).
type place struct {
	collection, field string
	hash              string // the kind of hash the value is: "sha256"; "" = none
}

// typePlaces holds the types whose values can only be one thing.
var typePlaces = map[intel.ObservableType]place{
	intel.TypeIPv4:        {collection: ipIntel, field: "ip"},
	intel.TypeIPv6:        {collection: ipIntel, field: "ip"},
	intel.TypeDomain:      {collection: ipIntel, field: "domain"},
	intel.TypeURL:         {collection: httpIntel, field: "url"},
	intel.TypeUserAgent:   {collection: httpIntel, field: "http_user_agent"},
	intel.TypeEmail:       {collection: emailIntel, field: "src_user"},
	intel.TypeUserAccount: {collection: userIntel, field: "user"},
	intel.TypeDirectory:   {field: "file_path"},
	intel.TypeMutex:       {field: "mutex"},
	intel.TypeASN:         {field: "asn"},
	intel.TypeMAC:         {field: "mac"},
	intel.TypeSoftware:    {field: "software"},
}

// fieldPlaces holds, for the other types, what the value is by the name of the
// condition it came from.
var fieldPlaces = map[intel.ObservableType]map[string]place{
	intel.TypeFile: {
		intel.FieldPath: {field: "file_path"},
		intel.FieldName: {collection: fileIntel, field: "file_name"},
	},
	intel.TypeEmailMessage: {
		intel.FieldSubject: {collection: emailIntel, field: "subject"},
		intel.FieldBody:    {field: "body"},
	},
	intel.TypeRegistryKey: {
		intel.FieldKey:       {collection: registryIntel, field: "registry_path"},
		intel.FieldValueName: {collection: registryIntel, field: "registry_value_name"},
		intel.FieldValueData: {collection: registryIntel, field: "registry_value_text"},
	},
	intel.TypeProcess: {
		intel.FieldCommandLine: {collection: processIntel, field: "process"},
		intel.FieldName:        {collection: processIntel, field: "process_file_name"},
		intel.FieldPath:        {field: "process_path"},
	},
	intel.TypeCertificate: {
		intel.FieldSerialNumber: {collection: certificateIntel, field: "certificate_serial"},
		intel.FieldIssuer:       {collection: certificateIntel, field: "certificate_issuer"},
		intel.FieldSubject:      {collection: certificateIntel, field: "certificate_subject"},
	},
}

// hashNames maps the hash fields to their names in an event. exact marks those
// that a tool computes from a file's content alone, and which ES's file_hash is
// compared with.
var hashNames = map[string]struct {
	name  string
	exact bool
}{
	intel.FieldMD5:          {"md5", true},
	intel.FieldSHA1:         {"sha1", true},
	intel.FieldSHA224:       {"sha224", true},
	intel.FieldSHA256:       {"sha256", true},
	intel.FieldSHA384:       {"sha384", true},
	intel.FieldSHA512:       {"sha512", true},
	intel.FieldSHA3256:      {"sha3_256", true},
	intel.FieldSHA3512:      {"sha3_512", true},
	intel.FieldSSDEEP:       {"ssdeep", false},
	intel.FieldTLSH:         {"tlsh", false},
	intel.FieldImphash:      {"imphash", false},
	intel.FieldVhash:        {"vhash", false},
	intel.FieldAuthentihash: {"authentihash", false},
	intel.FieldPEhash:       {"pehash", false},
}

// conditionNames are the further conditions of an observable that have a field
// of their own. The names begin with with_ because Enterprise Security compares
// every field it knows by itself: a file_name beside a file_hash would match
// every file of that name.
var conditionNames = map[string]string{
	intel.FieldName:          "with_name",
	intel.FieldPath:          "with_path",
	intel.FieldDirectory:     "with_directory",
	intel.FieldSize:          "with_size",
	intel.FieldKey:           "with_key",
	intel.FieldValueName:     "with_value_name",
	intel.FieldValueData:     "with_value_data",
	intel.FieldCommandLine:   "with_command_line",
	intel.FieldSubject:       "with_subject",
	intel.FieldBody:          "with_body",
	intel.FieldIssuer:        "with_issuer",
	intel.FieldSerialNumber:  "with_serial_number",
	intel.FieldUserID:        "with_user_id",
	intel.FieldAccountLogin:  "with_account_login",
	intel.FieldAccountType:   "with_account_type",
	intel.FieldNumber:        "with_number",
	intel.FieldCPE:           "with_cpe",
	intel.FieldSrcPort:       "with_src_port",
	intel.FieldDstPort:       "with_dst_port",
	intel.FieldProtocol:      "with_protocol",
	intel.FieldResolvesTo:    "with_resolves_to",
	intel.FieldRequestMethod: "with_request_method",
	intel.FieldRequestValue:  "with_request_value",
	intel.FieldUserAgent:     "with_user_agent",
	intel.FieldDirection:     "with_direction",
	intel.FieldEmailRole:     "with_email_role",
}

// placeOf says where the value filed under name goes.
func placeOf(t intel.ObservableType, name string) (place, bool) {
	if p, ok := typePlaces[t]; ok {
		return p, true
	}
	if strings.HasPrefix(name, "hash.") {
		switch t {
		case intel.TypeFile, intel.TypeArtifact:
			if h, ok := hashNames[name]; ok && h.exact {
				return place{collection: fileIntel, field: "file_hash", hash: h.name}, true
			} else if ok {
				return place{field: h.name, hash: h.name}, true
			}
		case intel.TypeCertificate:
			if h, ok := hashNames[name]; ok {
				return place{field: "ssl_hash", hash: h.name}, true
			}
		}
	}
	p, ok := fieldPlaces[t][name]
	return p, ok
}

// primary returns the place of an observable's value and the index of the
// condition that it came from, -1 if it has none.
func primary(o *intel.Observable) (place, int) {
	for i := range o.Fields {
		if o.Fields[i].Value == o.Value {
			if p, ok := placeOf(o.Type, o.Fields[i].Name); ok {
				return p, i
			}
		}
	}
	return guess(o.Ref()), -1
}

// guess says where a value goes of which only type and value are known, as is
// so for an observable of a version that is no longer at hand. It returns the
// zero place rather than a doubtful one.
func guess(r intel.Ref) place {
	if p, ok := typePlaces[r.Type]; ok {
		return p
	}
	switch r.Type {
	case intel.TypeFile, intel.TypeArtifact:
		if h := hashByLength(r.Value); h != "" {
			return place{collection: fileIntel, field: "file_hash", hash: h}
		}
		if r.Type == intel.TypeArtifact {
			return place{}
		}
		if strings.ContainsAny(r.Value, `/\`) {
			return place{field: "file_path"}
		}
		return fieldPlaces[intel.TypeFile][intel.FieldName]
	case intel.TypeRegistryKey:
		if strings.HasPrefix(r.Value, "HKEY_") {
			return fieldPlaces[intel.TypeRegistryKey][intel.FieldKey]
		}
	}
	return place{}
}

// hashByLength names the hash that a lower-case hexadecimal value can be.
func hashByLength(s string) string {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	switch len(s) {
	case 32:
		return "md5"
	case 40:
		return "sha1"
	case 56:
		return "sha224"
	case 64:
		return "sha256"
	case 96:
		return "sha384"
	case 128:
		return "sha512"
	}
	return ""
}

// isSecondHash reports whether field i of o is a hash that gets an event of its
// own beside the one for o.Value.
func isSecondHash(o *intel.Observable, i int) bool {
	f := &o.Fields[i]
	if o.Type != intel.TypeFile && o.Type != intel.TypeArtifact || f.Value == o.Value || !strings.HasPrefix(f.Name, "hash.") {
		return false
	}
	return hashNames[f.Name].exact
}
