package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// contentHash is what tells most unchanged objects from changed ones.
func contentHash(raw []byte) int64 {
	sum := sha256.Sum256(raw)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// sameContent reports whether two JSON texts differ in nothing but white space,
// the order of members and the spelling of strings and floating-point numbers.
// Servers that keep objects in a database column of type jsonb, or in a hash
// table, spell the same object differently from one request to the next.
func sameContent(a, b []byte) bool {
	a, okA := normal(a)
	b, okB := normal(b)
	return okA && okB && string(a) == string(b)
}

func normal(raw []byte) ([]byte, bool) {
	v := jsontext.Value(slices.Clone(raw))
	err := v.Format(
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
		jsontext.PreserveRawStrings(false),
		jsontext.CanonicalizeRawFloats(true),
		jsontext.CanonicalizeRawInts(false), // large ones would lose digits
		jsontext.ReorderRawObjects(true),
		jsontext.Multiline(false),
		jsontext.SpaceAfterColon(false),
		jsontext.SpaceAfterComma(false),
	)
	return v, err == nil
}
