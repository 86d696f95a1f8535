package stix

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// hashRankBase is the rank of a hash of unknown kind; a hash outranks every
// other key of its object.
const hashRankBase = 20

// hashField returns the field of a hash algorithm, and its rank among the
// hashes of one file: what identifies it best comes first, fuzzy hashes last. ""
// for an algorithm that has no field.
func hashField(algorithm string) (field string, rank uint8) {
	switch algorithm {
	case "SHA256":
		return intel.FieldSHA256, 39
	case "SHA512":
		return intel.FieldSHA512, 38
	case "SHA384":
		return intel.FieldSHA384, 37
	case "SHA3512":
		return intel.FieldSHA3512, 36
	case "SHA3256":
		return intel.FieldSHA3256, 35
	case "SHA224":
		return intel.FieldSHA224, 34
	case "SHA1":
		return intel.FieldSHA1, 33
	case "MD5":
		return intel.FieldMD5, 32
	case "AUTHENTIHASH":
		return intel.FieldAuthentihash, 31
	case "PEHASH":
		return intel.FieldPEhash, 30
	case "TLSH":
		return intel.FieldTLSH, 29
	case "SSDEEP":
		return intel.FieldSSDEEP, 28
	case "VHASH":
		return intel.FieldVhash, 27
	case "IMPHASH":
		return intel.FieldImphash, 26
	}
	return "", 0
}

// cleanHash normalises a hash for its field and checks its form. With an empty
// field the algorithm is inferred from the length.
func cleanHash(field, value string) (string, string, bool) {
	value = strings.TrimSpace(value)
	switch field {
	case intel.FieldSSDEEP: // case matters
		return field, value, isSSDEEPDigest(value)
	case intel.FieldTLSH:
		digest := value
		if len(digest) == 72 && (strings.HasPrefix(digest, "T1") || strings.HasPrefix(digest, "t1")) {
			digest = digest[2:]
		}
		return field, strings.ToUpper(value), isHex(digest, 70)
	case intel.FieldVhash: // VirusTotal's; of any length, in letters and digits
		return field, value, value != "" && len(value) <= 256 && !strings.ContainsFunc(value, notPrintable)
	}
	value = strings.ToLower(value)
	n := len(value)
	if !isHex(value, n) {
		return field, value, false
	}
	if field == "" {
		switch n {
		case 32:
			field = intel.FieldMD5
		case 40:
			field = intel.FieldSHA1
		case 56:
			field = intel.FieldSHA224
		case 64:
			field = intel.FieldSHA256
		case 96:
			field = intel.FieldSHA384
		case 128:
			field = intel.FieldSHA512
		}
		return field, value, field != ""
	}
	ok := false
	switch field {
	case intel.FieldMD5, intel.FieldImphash:
		ok = n == 32
	case intel.FieldSHA1, intel.FieldPEhash:
		ok = n == 40
	case intel.FieldSHA224:
		ok = n == 56
	case intel.FieldSHA256, intel.FieldSHA3256:
		ok = n == 64
	case intel.FieldSHA384:
		ok = n == 96
	case intel.FieldSHA512, intel.FieldSHA3512:
		ok = n == 128
	case intel.FieldAuthentihash: // an MD5, SHA-1 or SHA-256 of the signed part
		ok = n == 32 || n == 40 || n == 64
	}
	return field, value, ok
}

// isSSDEEPDigest matches blocksize:hash:hash.
func isSSDEEPDigest(s string) bool {
	size, rest, ok := strings.Cut(s, ":")
	if !ok || size == "" || strings.Count(rest, ":") != 1 || len(s) > 160 {
		return false
	}
	for i := 0; i < len(size); i++ {
		if !digit(size[i]) {
			return false
		}
	}
	return !strings.ContainsFunc(rest, notPrintable)
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7F }
