package intel

import "strings"

// ObservableType says what kind of thing an observable is. The values are the
// STIX Cyber-observable Object types, which ECS uses for threat.indicator.type
// too, and the few additions below.
type ObservableType string

// The observable types a pattern can yield.
const (
	TypeIPv4         ObservableType = "ipv4-addr" // address or CIDR range
	TypeIPv6         ObservableType = "ipv6-addr" // address or CIDR range
	TypeDomain       ObservableType = "domain-name"
	TypeURL          ObservableType = "url"
	TypeFile         ObservableType = "file" // by hash, else by full path, else by name
	TypeArtifact     ObservableType = "artifact"
	TypeDirectory    ObservableType = "directory"
	TypeEmail        ObservableType = "email-addr"
	TypeEmailMessage ObservableType = "email-message" // by subject or body
	TypeRegistryKey  ObservableType = "windows-registry-key"
	TypeProcess      ObservableType = "process"
	TypeMutex        ObservableType = "mutex"
	TypeUserAccount  ObservableType = "user-account"
	TypeCertificate  ObservableType = "x509-certificate"
	TypeASN          ObservableType = "autonomous-system" // Value is the bare number
	TypeMAC          ObservableType = "mac-addr"
	TypeSoftware     ObservableType = "software"
	TypeUserAgent    ObservableType = "user-agent" // HTTP User-Agent of a network-traffic pattern
	TypePort         ObservableType = "port"       // reserved: never emitted alone
)

// Names of the fields that an observable's conditions are filed under. A
// condition on a path that has no name here keeps its STIX object path.
const (
	FieldMD5          = "hash.md5"
	FieldSHA1         = "hash.sha1"
	FieldSHA224       = "hash.sha224"
	FieldSHA256       = "hash.sha256"
	FieldSHA384       = "hash.sha384"
	FieldSHA512       = "hash.sha512"
	FieldSHA3256      = "hash.sha3-256"
	FieldSHA3512      = "hash.sha3-512"
	FieldSSDEEP       = "hash.ssdeep"
	FieldTLSH         = "hash.tlsh"
	FieldImphash      = "hash.imphash"
	FieldVhash        = "hash.vhash"
	FieldAuthentihash = "hash.authentihash"
	FieldPEhash       = "hash.pehash"

	FieldName          = "name"           // file, process, mutex, software
	FieldPath          = "path"           // file or directory, full path
	FieldDirectory     = "directory"      // file's parent directory
	FieldSize          = "size"           // file, bytes, decimal
	FieldKey           = "key"            // registry key, long hive name
	FieldValueName     = "value_name"     // registry value's name
	FieldValueData     = "value_data"     // registry value's data
	FieldCommandLine   = "command_line"   // process
	FieldSubject       = "subject"        // email message or certificate
	FieldBody          = "body"           // email message
	FieldIssuer        = "issuer"         // certificate
	FieldSerialNumber  = "serial_number"  // certificate, lower-case hex without separators
	FieldUserID        = "user_id"        // user account
	FieldAccountLogin  = "account_login"  // user account
	FieldAccountType   = "account_type"   // user account
	FieldNumber        = "number"         // autonomous system
	FieldCPE           = "cpe"            // software
	FieldSrcPort       = "src_port"       // network traffic
	FieldDstPort       = "dst_port"       // network traffic
	FieldProtocol      = "protocol"       // network traffic
	FieldResolvesTo    = "resolves_to"    // domain name
	FieldRequestMethod = "request_method" // http-request-ext
	FieldRequestValue  = "request_value"  // http-request-ext
	FieldUserAgent     = "user_agent"     // http-request-ext
	FieldDirection     = "direction"      // "src" or "dst" where a network-traffic reference said so
	FieldEmailRole     = "email_role"     // "from", "sender", "to", "cc" where an email-message reference said so
)

// Fidelity says how much of a pattern an observable, or all of an indicator's
// observables together, can express.
type Fidelity string

// The fidelities, from best to worst.
const (
	// FidelityExact: matching the observable is matching the pattern (or that branch of it).
	FidelityExact Fidelity = "exact"
	// FidelitySuperset: the pattern has further conditions; whatever matches it matches the
	// observable, but not the other way round.
	FidelitySuperset Fidelity = "superset"
	// FidelityUnsupported: no observable can stand for the pattern.
	FidelityUnsupported Fidelity = "unsupported"
)

// Field is one condition of an observable: the file's size, the port beside an
// address, a second hash. A name may occur more than once.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Observable is one atomic value to look for, with whatever else the pattern
// says about the same object.
type Observable struct {
	Type ObservableType `json:"type"`
	// Value is the normalised value that the observable is keyed on: the
	// address, the domain in lower-case A-labels, the strongest hash.
	Value string `json:"value"`
	// Fields are the conditions of the same conjunction, in pattern order and
	// including the one that Value came from when it has a name of its own (a
	// hash, a registry key, …).
	Fields   []Field  `json:"fields,omitempty"`
	Fidelity Fidelity `json:"fidelity"`
}

// Ref returns the observable's identity within its indicator.
func (o *Observable) Ref() Ref { return Ref{Type: o.Type, Value: o.Value} }

// Field returns the first value filed under name, or "".
func (o *Observable) Field(name string) string {
	for i := range o.Fields {
		if o.Fields[i].Name == name {
			return o.Fields[i].Value
		}
	}
	return ""
}

// IsRange reports whether an address observable is a CIDR range rather than a
// single address.
func (o *Observable) IsRange() bool { return o.Ref().IsRange() }

// Ref identifies an observable within its indicator. Two observables of one
// indicator never share a Ref, and the same value in a later version has the
// same Ref; what a sink derives document keys from.
type Ref struct {
	Type  ObservableType `json:"type"`
	Value string         `json:"value"`
}

// String returns "type:value", the form in which the replica keeps a Ref.
func (r Ref) String() string { return string(r.Type) + ":" + r.Value }

// IsRange reports whether r is a CIDR range rather than a single address.
func (r Ref) IsRange() bool {
	return (r.Type == TypeIPv4 || r.Type == TypeIPv6) && strings.Contains(r.Value, "/")
}

// ParseRef is the inverse of [Ref.String].
func ParseRef(s string) (Ref, bool) {
	t, v, ok := strings.Cut(s, ":")
	return Ref{Type: ObservableType(t), Value: v}, ok
}
