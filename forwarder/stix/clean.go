package stix

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// maxValue bounds an observable's value. Longer ones exist only by mistake, and
// no destination indexes them.
const maxValue = 16 << 10

// clean normalises a literal for the key that m stands for, and appends what it
// yields: nothing with ok false if it is not what the path says nor anything
// else that is known.
func clean(m *meaning, lit Literal, dst []value) (out []value, ok bool) {
	s := lit.Text()
	if len(s) > maxValue || strings.IndexByte(s, 0) >= 0 {
		return dst, false
	}
	v := value{typ: m.typ, field: m.field}
	switch m.role {
	case roleHost:
		return cleanHost(s, dst)
	case roleURL:
		v, ok = cleanURL(s)
	case roleEmail:
		v, ok = cleanEmail(s)
	case roleHash:
		v.field, v.text, ok = cleanHash(m.field, s)
	case roleRegistryKey:
		v.text = cleanRegistryKey(s)
		ok = v.text != ""
	case roleSerial:
		v.text = cleanSerial(s)
		ok = v.text != ""
	case roleASN:
		v.text, ok = cleanASN(s)
	case roleMAC:
		v.text, ok = cleanMAC(s)
	case roleFileName:
		if v.text, ok = s, strings.TrimSpace(s) != ""; strings.ContainsAny(s, `/\`) {
			v.field = intel.FieldPath // a full path filed as a name
		}
	default:
		v.text, ok = s, strings.TrimSpace(s) != ""
	}
	if !ok {
		return dst, false
	}
	return append(dst, v), true
}

// hives maps the abbreviations of registry roots to their names.
var hives = map[string]string{
	"HKLM": "HKEY_LOCAL_MACHINE",
	"HKCU": "HKEY_CURRENT_USER",
	"HKCR": "HKEY_CLASSES_ROOT",
	"HKU":  "HKEY_USERS",
	"HKCC": "HKEY_CURRENT_CONFIG",
	"HKPD": "HKEY_PERFORMANCE_DATA",
}

// cleanRegistryKey writes the hive in full and upper case, and single
// backslashes: HKLM:\Software\\X\ is HKEY_LOCAL_MACHINE\Software\X.
func cleanRegistryKey(s string) string {
	s = strings.TrimSpace(s)
	for strings.Contains(s, `\\`) {
		s = strings.ReplaceAll(s, `\\`, `\`)
	}
	if rest, ok := cutFold(s, `\REGISTRY\MACHINE\`); ok {
		s = `HKEY_LOCAL_MACHINE\` + rest
	} else if rest, ok := cutFold(s, `\REGISTRY\USER\`); ok {
		s = `HKEY_USERS\` + rest
	}
	s = strings.Trim(s, `\`)
	if rest, ok := cutFold(s, `Computer\`); ok {
		s = rest
	}
	root, rest, deep := strings.Cut(s, `\`)
	root = strings.ToUpper(strings.TrimSuffix(root, ":"))
	if name, ok := hives[root]; ok {
		root = name
	} else if !strings.HasPrefix(root, "HKEY_") {
		return s
	}
	if !deep {
		return root
	}
	return root + `\` + rest
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

var serialSeparators = strings.NewReplacer(":", "", " ", "", "-", "")

// cleanSerial writes a certificate's serial number as lower-case hex without
// separators; what is no hex stays as it is.
func cleanSerial(s string) string {
	s = strings.TrimSpace(s)
	hex := serialSeparators.Replace(strings.ToLower(s))
	hex = strings.TrimPrefix(hex, "0x")
	if hex == "" || !isHex(hex, len(hex)) {
		return s
	}
	return hex
}

// cleanASN reads 64496, "64496" and "AS64496".
func cleanASN(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if rest, ok := cutFold(s, "AS"); ok {
		s = rest
		if rest, ok = cutFold(s, "N"); ok {
			s = rest
		}
	}
	s = strings.TrimLeft(strings.TrimSpace(s), "0")
	_, ok := digits(s, 0, len(s))
	return s, ok && s != "" && len(s) <= 10
}

// cleanMAC writes a MAC address as six lower-case octets with colons.
func cleanMAC(s string) (string, bool) {
	hex := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.TrimSpace(s)))
	if !isHex(hex, 12) {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < 12; i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex[i : i+2])
	}
	return b.String(), true
}
