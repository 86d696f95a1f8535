package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// # Looking up STIX ids
//
// Nothing indexes a STIX id itself. Ids are random and long, so that an index of
// them is large and a page of it is dirtied by almost every new object. The
// indexes hold 64 bits of the id's hash instead; whoever looks an id up compares
// the id as well, in the same statement or right after it. That no id is there
// twice is the one writer's to see to, and [Store.Check]'s to verify.

// idHash is the hash of an id as the columns *_hash have it. It is cryptographic
// so that no feed can make up ids that share one by the thousand. A variable for
// the sake of tests.
var idHash = func(id string) int64 {
	var buf [64]byte
	sum := sha256.Sum256(append(buf[:0], id...))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// hashOrNull is the hash of an id that may be empty.
func hashOrNull(id string) any {
	if id == "" {
		return nil
	}
	return idHash(id)
}

// jsonIDs writes ids as a JSON object of their hashes, the form in which they
// are handed to a statement as one parameter: in json_each(?) j, j.key is the id
// and j.value its hash.
func jsonIDs(ids []string) string {
	b := make([]byte, 0, 2+len(ids)*72)
	b = append(b, '{')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, id)
		b = append(b, ':')
		b = strconv.AppendInt(b, idHash(id), 10)
	}
	return string(append(b, '}'))
}
