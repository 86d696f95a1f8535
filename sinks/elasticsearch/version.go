package elasticsearch

import (
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

// A document's version is a positive 63-bit number for version_type
// external_gte, made of three parts:
//
//	bits 62–11  the indicator's modified time in µs since 1970, up to the year 2112
//	bits 10–1   the time of forwarding in steps of 15 days since 2025, up to the year 2067
//	bit  0      1 for a delete
//
// The first part orders the versions of an indicator, whoever sends them and
// however late. The rest orders what is done with one and the same version:
//
//   - [Sink.Refresh] goes through _update_by_query, which knows internal
//     versioning only and adds 1 to the stored version each time. It touches no
//     document twice within [refreshAge], so that by the time it has added n,
//     the second part has grown by at least n, and a later write of the same
//     version is not taken for a stale one.
//   - A delete outranks the index operation of the same version, so that one
//     which still hangs in the server after its connection was given up can not
//     bring the document back.
//
// A conflict among writes of the same modified time that is left in spite of
// this (a clock set back, a document touched by others) is settled by sending
// the write again with the version that the server names, see
// [conflictVersion].
const (
	versionShift   = 11
	maxVersionTime = 1<<52 - 1
	maxVersionStep = 1<<10 - 1
	versionStep    = 15 * 24 * time.Hour
)

var versionEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// version returns the version of an indicator's documents; modified is
// [intel.Indicator.Version].
func version(modified int64, at time.Time, remove bool) int64 {
	step := int64(at.Sub(versionEpoch) / versionStep)
	v := min(max(modified, 0), maxVersionTime)<<versionShift | min(max(step, 0), maxVersionStep)<<1
	if remove {
		v |= 1
	}
	return max(v, 1) // _update_by_query can not update a document of version 0
}

// sameModified reports whether two versions are of the same version of the
// indicator.
func sameModified(a, b int64) bool { return a>>versionShift == b>>versionShift }

// maxDocumentID is the longest _id that the server takes, in bytes.
const maxDocumentID = 512

// appendID appends, as a JSON string, the _id of an observable's document; the
// zero Ref stands for the indicator as a whole. The digest keeps it short and
// free of odd characters whatever the observable is.
func appendID(dst []byte, ind *intel.Indicator, ref intel.Ref) []byte {
	var scratch [2 * maxDocumentID]byte
	id := append(scratch[:0], ind.Feed...)
	id = append(id, ':')
	id = append(id, ind.ID...)
	if ref != (intel.Ref{}) {
		var in [512]byte
		key := append(in[:0], ref.Type...)
		key = append(key, ':')
		key = append(key, ref.Value...)
		sum := sha256.Sum256(key)
		id = append(id, ':')
		id = base64.RawURLEncoding.AppendEncode(id, sum[:16])
	}
	quoted, _ := jsontext.AppendQuote(dst, id)
	if len(quoted)-len(dst) <= maxDocumentID {
		return quoted
	}
	sum := sha256.Sum256(id)
	dst = append(quoted[:len(dst)], '"')
	dst = base64.RawURLEncoding.AppendEncode(dst, sum[:])
	return append(dst, '"')
}
