package sentinel

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

const idPrefix = "indicator--"

// validID reports whether id is an indicator's (STIX 2.1 §2.9).
func validID(id string) bool {
	uuid, ok := strings.CutPrefix(id, idPrefix)
	return ok && guid.MatchString(uuid)
}

// derivedID is the id of the object that stands for one observable of the
// indicator with the given, valid id: a version 5 UUID (RFC 9562 §5.5) with the
// indicator's UUID as name space and the observable's Ref as name, so that the
// same observable has the same id for good.
func derivedID(id string, ref intel.Ref) string {
	h := sha1.New()
	space, _ := hex.DecodeString(strings.ReplaceAll(id[len(idPrefix):], "-", ""))
	h.Write(space)
	h.Write([]byte(ref.String()))
	var sum [sha1.Size]byte
	h.Sum(sum[:0])
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80

	out := make([]byte, 0, len(idPrefix)+36)
	out = append(out, idPrefix...)
	for i, n := range []int{4, 2, 2, 2, 6} {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, u[:n])
		u = u[n:]
	}
	return string(out)
}
