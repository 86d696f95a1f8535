package elastictest

import (
	"maps"
	"slices"
)

// Stats counts what arrived in bulk requests.
type Stats struct {
	Bulks     int // bulk requests whose operations were looked at
	MaxBytes  int // the longest of them, decompressed
	Created   int
	Updated   int
	Repeated  int // of Updated: with the version that was there already
	Deleted   int
	NotFound  int // deletes of what is not there
	Conflicts int
	Refused   int // other errors
	Refreshed int // by _update_by_query
}

func (st *Stats) count(w *write, r *result) {
	switch {
	case r.err != nil && r.status == 409:
		st.Conflicts++
	case r.err != nil || r.stored:
		st.Refused++
	case r.result == "created":
		st.Created++
	case r.result == "updated":
		st.Updated++
		if r.repeat {
			st.Repeated++
		}
	case r.result == "deleted":
		st.Deleted++
	default:
		st.NotFound++
	}
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Doc is a document as it is stored.
type Doc struct {
	ID      string
	Version int64
	Source  []byte
}

// Decoded returns the document's content.
func (d *Doc) Decoded() map[string]any { return decode(d.Source) }

// Doc returns a document by its _id.
func (s *Server) Doc(index, id string) (Doc, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[index]
	if ix == nil || ix.docs[id] == nil || !ix.docs[id].deleted.IsZero() {
		return Doc{}, false
	}
	d := ix.docs[id]
	return Doc{ID: id, Version: d.version, Source: slices.Clone(d.source)}, true
}

// Docs returns all documents of an index, ordered by _id.
func (s *Server) Docs(index string) []Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[index]
	if ix == nil {
		return nil
	}
	var out []Doc
	for _, id := range slices.Sorted(maps.Keys(ix.docs)) {
		if d := ix.docs[id]; d.deleted.IsZero() {
			out = append(out, Doc{ID: id, Version: d.version, Source: slices.Clone(d.source)})
		}
	}
	return out
}

// Len returns the number of documents in an index.
func (s *Server) Len(index string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if ix := s.indices[index]; ix != nil {
		for _, d := range ix.docs {
			if d.deleted.IsZero() {
				n++
			}
		}
	}
	return n
}

// Find returns the _ids of the documents that a query matches. The query is in
// the form of encoding/json's values. It panics when the server would refuse it.
func (s *Server) Find(index string, query any) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ids, e := s.find(index, query, true)
	if e != nil {
		panic("elastictest: " + e.Reason)
	}
	return ids
}

// Requests returns method and path of every request so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// HasTemplate reports whether there is an index template of this name.
func (s *Server) HasTemplate(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.templates[name] != nil
}
