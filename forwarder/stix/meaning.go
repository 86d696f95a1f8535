package stix

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// role is what a path can contribute to an observable.
type role uint8

const (
	roleUnknown   role = iota // the object type has no observables
	roleAttribute             // a further condition, never an observable by itself
	roleGuard                 // *_ref.type = '…', implied by the value it guards
	roleHost                  // an address, a range or a domain name
	roleURL
	roleEmail
	roleHash
	roleFileName
	roleDirectory // of a file or process; with a name it makes a full path
	rolePath      // a full path
	roleRegistryKey
	roleSerial
	roleASN
	roleMAC
	roleText // taken as it is
)

// A meaning says what a comparison of a path stands for.
type meaning struct {
	role role
	typ  intel.ObservableType // of an observable keyed on the value
	// field is the name that the value is filed under; "" = the path itself for an
	// attribute, none for a key.
	field string
	// rank orders the keys of one conjunction; the highest becomes the value.
	rank uint8
	// weak values do not stand alone where they are half of a pattern.
	weak bool
	// tag and tagValue are a field that goes with the value: direction, e-mail role.
	tag, tagValue string
	// loose marks a value of another object that the path only refers to.
	loose bool
}

func (m *meaning) isKey() bool { return m.role > roleGuard && m.role != roleDirectory }

func attribute(field string) meaning { return meaning{role: roleAttribute, field: field} }

// meaningOf looks a path up; facts of STIX 2.1 §6 and of what feeds send.
func meaningOf(p *Path) meaning {
	steps := p.Steps
	first := steps[0].Text
	last := &steps[len(steps)-1]
	if !last.IsIndex && last.Text == "type" && len(steps) > 1 && refersAt(steps, len(steps)-1) {
		return meaning{role: roleGuard}
	}
	var m meaning
	switch p.Type {
	case "domain-name":
		if first == "value" {
			return meaning{role: roleHost, typ: intel.TypeDomain, rank: 5}
		}
		if first == "resolves_to_refs" && last.Text == "value" {
			return attribute(intel.FieldResolvesTo)
		}
	case "ipv4-addr":
		if first == "value" {
			return meaning{role: roleHost, typ: intel.TypeIPv4, rank: 5}
		}
	case "ipv6-addr":
		if first == "value" {
			return meaning{role: roleHost, typ: intel.TypeIPv6, rank: 5}
		}
	case "url":
		if first == "value" {
			return meaning{role: roleURL, typ: intel.TypeURL, rank: 5}
		}
	case "file":
		m = fileMeaning(steps)
	case "artifact":
		if first == "hashes" {
			return hashMeaning(intel.TypeArtifact, steps, 1)
		}
	case "directory":
		if first == "path" {
			return meaning{role: rolePath, typ: intel.TypeDirectory, field: intel.FieldPath, rank: 5, weak: true}
		}
	case "email-addr":
		if first == "value" {
			return meaning{role: roleEmail, typ: intel.TypeEmail, rank: 5}
		}
	case "email-message":
		m = emailMeaning(steps)
	case "network-traffic":
		m = trafficMeaning(steps)
	case "windows-registry-key":
		switch {
		case first == "key":
			return meaning{role: roleRegistryKey, typ: intel.TypeRegistryKey, field: intel.FieldKey, rank: 5}
		case first == "values" && last.Text == "name":
			return attribute(intel.FieldValueName)
		case first == "values" && last.Text == "data":
			return attribute(intel.FieldValueData)
		}
	case "process":
		m = processMeaning(steps)
	case "mutex":
		if first == "name" {
			return meaning{role: roleText, typ: intel.TypeMutex, field: intel.FieldName, rank: 5}
		}
	case "user-account":
		switch first {
		case "user_id":
			return meaning{role: roleText, typ: intel.TypeUserAccount, field: intel.FieldUserID, rank: 5, weak: true}
		case "account_login":
			return meaning{role: roleText, typ: intel.TypeUserAccount, field: intel.FieldAccountLogin, rank: 4, weak: true}
		case "account_type":
			return attribute(intel.FieldAccountType)
		}
	case "x509-certificate":
		switch first {
		case "hashes":
			return hashMeaning(intel.TypeCertificate, steps, 1)
		case "serial_number":
			return meaning{role: roleSerial, typ: intel.TypeCertificate, field: intel.FieldSerialNumber, rank: 5}
		case "subject":
			return meaning{role: roleText, typ: intel.TypeCertificate, field: intel.FieldSubject, rank: 4, weak: true}
		case "issuer":
			return meaning{role: roleText, typ: intel.TypeCertificate, field: intel.FieldIssuer, rank: 3, weak: true}
		}
	case "autonomous-system":
		switch first {
		case "number":
			return meaning{role: roleASN, typ: intel.TypeASN, field: intel.FieldNumber, rank: 5, weak: true}
		case "name":
			return attribute(intel.FieldName)
		}
	case "mac-addr":
		if first == "value" {
			return meaning{role: roleMAC, typ: intel.TypeMAC, rank: 5}
		}
	case "software":
		switch first {
		case "cpe":
			return meaning{role: roleText, typ: intel.TypeSoftware, field: intel.FieldCPE, rank: 5, weak: true}
		case "name":
			return meaning{role: roleText, typ: intel.TypeSoftware, field: intel.FieldName, rank: 4, weak: true}
		}
	default:
		return meaning{}
	}
	if m.role == roleUnknown {
		return attribute("")
	}
	return m
}

// refersAt reports whether the step before i, indices aside, is a reference.
func refersAt(steps []Step, i int) bool {
	for i--; i >= 0; i-- {
		if !steps[i].IsIndex {
			return strings.HasSuffix(steps[i].Text, "_ref") || strings.HasSuffix(steps[i].Text, "_refs")
		}
	}
	return false
}

// is reports whether the keys from the start are those given, indices aside, and
// nothing follows.
func is(steps []Step, keys ...string) bool {
	n := 0
	for i := range steps {
		if steps[i].IsIndex {
			continue
		}
		if n == len(keys) || steps[i].Text != keys[n] {
			return false
		}
		n++
	}
	return n == len(keys)
}

func fileMeaning(steps []Step) meaning {
	switch steps[0].Text {
	case "hashes":
		return hashMeaning(intel.TypeFile, steps, 1)
	case "content_ref": // the artifact with the file's content
		if len(steps) > 2 && steps[1].Text == "hashes" {
			return hashMeaning(intel.TypeFile, steps, 2)
		}
	case "name":
		return meaning{role: roleFileName, typ: intel.TypeFile, field: intel.FieldName, rank: 3, weak: true}
	case "path": // not in the specification, but in use (Mobile Verification Toolkit)
		return meaning{role: rolePath, typ: intel.TypeFile, field: intel.FieldPath, rank: 4}
	case "size":
		return attribute(intel.FieldSize)
	case "parent_directory_ref":
		if is(steps, "parent_directory_ref", "path") {
			return meaning{role: roleDirectory, typ: intel.TypeFile, field: intel.FieldDirectory}
		}
	}
	return meaning{}
}

func emailMeaning(steps []Step) meaning {
	role := ""
	switch steps[0].Text {
	case "from_ref":
		role = "from"
	case "sender_ref":
		role = "sender"
	case "to_refs":
		role = "to"
	case "cc_refs":
		role = "cc"
	case "bcc_refs":
		role = "bcc"
	case "subject":
		return meaning{role: roleText, typ: intel.TypeEmailMessage, field: intel.FieldSubject, rank: 3, weak: true}
	case "body":
		return meaning{role: roleText, typ: intel.TypeEmailMessage, field: intel.FieldBody, rank: 2, weak: true}
	case "body_multipart":
		for i := range steps {
			if steps[i].Text == "hashes" && refersAt(steps, i) {
				return loosely(hashMeaning(intel.TypeFile, steps, i+1))
			}
		}
	}
	if role == "" || !is(steps, steps[0].Text, "value") {
		return meaning{}
	}
	m := meaning{role: roleEmail, typ: intel.TypeEmail, rank: 5, tag: intel.FieldEmailRole, tagValue: role}
	if role == "to" || role == "cc" || role == "bcc" {
		m.rank = 4 // a recipient is more often the victim than the sender is
	}
	return m
}

func trafficMeaning(steps []Step) meaning {
	switch steps[0].Text {
	case "dst_ref":
		if is(steps, "dst_ref", "value") {
			return meaning{role: roleHost, typ: intel.TypeIPv4, rank: 6, tag: intel.FieldDirection, tagValue: "dst"}
		}
	case "src_ref":
		if is(steps, "src_ref", "value") {
			return meaning{role: roleHost, typ: intel.TypeIPv4, rank: 5, tag: intel.FieldDirection, tagValue: "src"}
		}
	case "dst_port":
		return attribute(intel.FieldDstPort)
	case "src_port":
		return attribute(intel.FieldSrcPort)
	case "protocols":
		return attribute(intel.FieldProtocol)
	case "extensions":
		if len(steps) < 3 || steps[1].Text != "http-request-ext" {
			break
		}
		switch steps[2].Text {
		case "request_method":
			return attribute(intel.FieldRequestMethod)
		case "request_value":
			return attribute(intel.FieldRequestValue)
		case "request_header":
			if len(steps) > 3 && strings.EqualFold(steps[3].Text, "User-Agent") {
				return meaning{role: roleText, typ: intel.TypeUserAgent, field: intel.FieldUserAgent, rank: 2, weak: true}
			}
		}
	}
	return meaning{}
}

func processMeaning(steps []Step) meaning {
	switch steps[0].Text {
	case "command_line":
		return meaning{role: roleText, typ: intel.TypeProcess, field: intel.FieldCommandLine, rank: 5}
	case "name": // STIX 2.0 only, still common
		return meaning{role: roleFileName, typ: intel.TypeProcess, field: intel.FieldName, rank: 3, weak: true}
	case "image_ref", "binary_ref": // 2.1, 2.0
		switch {
		case is(steps[1:], "name"):
			return meaning{role: roleFileName, typ: intel.TypeProcess, field: intel.FieldName, rank: 3, weak: true}
		case is(steps[1:], "parent_directory_ref", "path"):
			return meaning{role: roleDirectory, typ: intel.TypeProcess, field: intel.FieldDirectory}
		case len(steps) > 2 && steps[1].Text == "hashes":
			return loosely(hashMeaning(intel.TypeFile, steps, 2))
		}
	}
	return meaning{}
}

// loosely marks m as the value of an object that the pattern's object refers
// to: an attachment's hash finds the file wherever it is.
func loosely(m meaning) meaning {
	m.loose = true
	return m
}

// hashMeaning looks the algorithm up that steps[at] names. An index takes any
// algorithm; which one it is shows in the value's length.
func hashMeaning(typ intel.ObservableType, steps []Step, at int) meaning {
	m := meaning{role: roleHash, typ: typ}
	if len(steps) != at+1 {
		return meaning{}
	}
	if steps[at].IsIndex {
		m.rank = hashRankBase
		return m
	}
	algorithm := hashKey(steps[at].Text)
	m.field, m.rank = hashField(algorithm)
	if m.field == "" {
		return meaning{}
	}
	return m
}
