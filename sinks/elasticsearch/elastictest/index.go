package elastictest

import (
	"bytes"
	"fmt"
	"time"
)

// document is a document or, when deleted, what is remembered of it.
type document struct {
	source  []byte
	decoded map[string]any // source, once a query has looked at it
	version int64
	seq     int64
	deleted time.Time // zero = it exists
}

// index is an index: documents by _id under one mapping.
type index struct {
	mapping *node
	docs    map[string]*document
	seq     int64
}

func newIndex(mapping *node) *index { return &index{mapping: mapping, docs: map[string]*document{}} }

// current returns the document and its version for a write, -1 when there is
// neither document nor tombstone.
func (ix *index) current(id string, now time.Time, gc time.Duration) (*document, int64) {
	d := ix.docs[id]
	if d == nil {
		return nil, -1
	}
	if !d.deleted.IsZero() && gc >= 0 && now.Sub(d.deleted) > gc {
		delete(ix.docs, id)
		return nil, -1
	}
	return d, d.version
}

// write is one operation of a bulk request.
type write struct {
	action      string
	id          string
	versionType string
	version     int64 // 0 with internal versioning
	ifSeqNo     int64 // -1 = no condition
	source      []byte
}

// result is what became of it.
type result struct {
	status  int
	result  string // created, updated, deleted, not_found
	version int64
	seq     int64
	err     *Error
	stored  bool // in the failure store
	repeat  bool // over the same version
}

// apply carries out a write. The caller has checked the document.
func (ix *index) apply(w *write, now time.Time, gc time.Duration) result {
	d, current := ix.current(w.id, now, gc)
	exists := d != nil && d.deleted.IsZero()
	conflict := func(format string, args ...any) result {
		reason := fmt.Sprintf("[%s]: version conflict, ", w.id) + fmt.Sprintf(format, args...)
		return result{status: 409, err: &Error{Status: 409, Type: "version_conflict_engine_exception", Reason: reason}}
	}
	next := int64(1)
	switch w.versionType {
	case "external_gte":
		if current != -1 && current > w.version {
			return conflict("current version [%d] is higher than the one provided [%d]", current, w.version)
		}
		next = w.version
	case "external", "external_gt":
		if current != -1 && current >= w.version {
			return conflict("current version [%d] is higher or equal to the one provided [%d]", current, w.version)
		}
		next = w.version
	default:
		if w.ifSeqNo >= 0 && (!exists || d.seq != w.ifSeqNo) {
			return conflict("required seqNo [%d], primary term [1]. but no document was found", w.ifSeqNo)
		}
		if w.action == "create" && exists {
			return conflict("document already exists (current version [%d])", current)
		}
		if current != -1 {
			next = current + 1
		}
	}
	ix.seq++
	r := result{version: next, seq: ix.seq}
	switch {
	case w.action == "delete":
		r.status, r.result = 404, "not_found"
		if exists {
			r.status, r.result = 200, "deleted"
		}
		ix.docs[w.id] = &document{version: next, seq: ix.seq, deleted: now}
	default:
		r.status, r.result = 201, "created"
		if exists {
			r.status, r.result, r.repeat = 200, "updated", d.version == next
		}
		ix.docs[w.id] = &document{source: bytes.Clone(w.source), version: next, seq: ix.seq}
	}
	return r
}
