package stix

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"hash/fnv"
	"strings"
)

// PublishedAs is the member in which an indicator that [ByContent] has named
// keeps the id that it was published under.
const PublishedAs = "x_published_as"

// contentSpace is the name space of the ids that [ByContent] gives. It is our
// own: the one of STIX 2.1 §2.9 is for cyber-observable objects only.
var contentSpace = [16]byte{0x5d, 0x0c, 0x1e, 0x83, 0x7a, 0x35, 0x4e, 0x0b, 0x9b, 0x5f, 0x61, 0x37, 0xd2, 0x4c, 0x90, 0xee}

// ByContent gives an indicator the id that follows from what it looks for and
// who says so: a UUIDv5 of pattern_type, pattern and created_by_ref. Some
// producers give an indicator a new STIX id with every publication; by content
// all of these are versions of one indicator. What is no indicator, or has no
// pattern, is returned as it is.
func ByContent(raw []byte) []byte {
	r := reader{scanner: scanner{buf: raw}}
	var typ, pattern, patternType, creator string
	open, idFrom, idTo := -1, -1, -1
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		if open < 0 {
			open = bytes.IndexByte(raw, '{')
		}
		switch string(name) {
		case "type":
			r.str("type", &typ)
		case "id":
			r.peek()
			idFrom = r.pos
			r.skip()
			idTo = r.pos
		case "pattern":
			r.str("pattern", &pattern)
		case "pattern_type":
			r.str("pattern_type", &patternType)
		case "created_by_ref":
			r.str("created_by_ref", &creator)
		default:
			r.skip()
		}
	}
	pattern = strings.TrimSpace(pattern)
	if r.end() != nil || typ != "indicator" || pattern == "" || idFrom < 0 || raw[idFrom] != '"' || idTo-idFrom <= len(`""`) {
		return raw
	}
	if patternType = strings.ToLower(strings.TrimSpace(patternType)); patternType == "" {
		patternType = "stix"
	}
	out := make([]byte, 0, len(raw)+64)
	out = append(out, published...)
	out = append(out, raw[idFrom:idTo]...)
	out = append(out, ',')
	out = append(out, raw[open+1:idFrom]...)
	out = fmt.Appendf(out, `"indicator--%s"`, uuid5(contentSpace, patternType+"\n"+creator+"\n"+pattern))
	return append(out, raw[idTo:]...)
}

// uuid5 is RFC 9562 §5.5.
func uuid5(space [16]byte, name string) string {
	h := sha1.New()
	h.Write(space[:])
	h.Write([]byte(name))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

var published = []byte(`{"` + PublishedAs + `":`)

// Named reports whether raw is what [ByContent] made of an indicator.
func Named(raw []byte) bool { return bytes.HasPrefix(raw, published) }

// Substance identifies what an indicator that [ByContent] has named says, apart
// from when it was published and as what, in whatever order its members are: a
// publication that only repeats the last one has the same.
func Substance(raw []byte) uint64 {
	r := reader{scanner: scanner{buf: raw}}
	var sum uint64
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		r.peek()
		from := r.pos
		r.skip()
		switch string(name) {
		case "id", "created", "modified", PublishedAs:
			continue
		}
		h := fnv.New64a()
		h.Write(name)
		h.Write([]byte{0})
		h.Write(raw[from:r.pos])
		sum += h.Sum64()
	}
	return sum
}
