package elastictest

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decode reads a document with its numbers as they are.
func decode(source []byte) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(source))
	dec.UseNumber()
	var m map[string]any
	_ = dec.Decode(&m)
	return m
}

// query runs a compiled query; s.mu is held.
func (ix *index) query(m matcher) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(ix.docs)) {
		d := ix.docs[id]
		if !d.deleted.IsZero() {
			continue
		}
		if d.decoded == nil {
			d.decoded = decode(d.source)
		}
		if m(d.decoded) {
			ids = append(ids, id)
		}
	}
	return ids
}

// find answers whether there is such an index and what the query matches; s.mu
// is held.
func (s *Server) find(name string, q any, lenient bool) (*index, []string, *Error) {
	ix := s.indices[name]
	if ix == nil {
		if lenient {
			return nil, nil, nil
		}
		return nil, nil, fail(404, "index_not_found_exception", "no such index [%s]", name)
	}
	if q == nil {
		q = map[string]any{"match_all": map[string]any{}}
	}
	m, e := s.compile(q, ix.mapping)
	if e != nil {
		return nil, nil, e
	}
	return ix, ix.query(m), nil
}

func (s *Server) search(c *call, name string, count bool) {
	if !s.may("read") {
		c.error(denied("indices:data/read/search", "indices ["+name+"]", "read", "all"))
		return
	}
	var body struct {
		Query   any  `json:"query"`
		Size    *int `json:"size"`
		Version bool `json:"version"`
		Track   any  `json:"track_total_hits"`
	}
	if len(c.body) > 0 {
		if e := decodeStrict(c.body, &body); e != nil {
			c.error(e)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ix, ids, e := s.find(name, body.Query, c.r.URL.Query().Get("ignore_unavailable") == "true")
	if e != nil {
		c.error(e)
		return
	}
	if count {
		c.json(200, map[string]any{"count": len(ids)})
		return
	}
	size := 10
	if body.Size != nil {
		size = *body.Size
	} else if n, err := strconv.Atoi(c.r.URL.Query().Get("size")); err == nil {
		size = n
	}
	hits := []any{}
	for _, id := range ids[:min(size, len(ids))] {
		d := ix.docs[id]
		hit := map[string]any{"_index": name, "_id": id, "_source": json.RawMessage(d.source)}
		if body.Version {
			hit["_version"] = d.version
		}
		hits = append(hits, hit)
	}
	c.json(200, map[string]any{"timed_out": false, "hits": map[string]any{"total": map[string]any{"value": len(ids), "relation": "eq"}, "hits": hits}})
}

// fieldCaps answers GET /index/_field_caps for fields without wildcards.
func (s *Server) fieldCaps(c *call, name string) {
	if !s.may("read", "view_index_metadata", "manage") {
		c.error(denied("indices:data/read/field_caps", "indices ["+name+"]", "read", "view_index_metadata", "manage", "all"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[name]
	if ix == nil {
		c.error(fail(404, "index_not_found_exception", "no such index [%s]", name))
		return
	}
	fields := map[string]any{}
	for _, field := range strings.Split(c.r.URL.Query().Get("fields"), ",") {
		kind := "_id"
		if field != "_id" {
			n := ix.mapping.leaf(field)
			if n == nil {
				continue
			}
			kind = n.kind
		}
		fields[field] = map[string]any{kind: map[string]any{"type": kind, "metadata_field": field == "_id", "searchable": true, "aggregatable": field != "_id"}}
	}
	c.json(200, map[string]any{"indices": []any{name}, "fields": fields})
}

func (s *Server) get(c *call, name, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[name]
	if ix == nil {
		c.error(fail(404, "index_not_found_exception", "no such index [%s]", name))
		return
	}
	d := ix.docs[id]
	if d == nil || !d.deleted.IsZero() {
		c.json(404, map[string]any{"_index": name, "_id": id, "found": false})
		return
	}
	c.json(200, map[string]any{"_index": name, "_id": id, "_version": d.version, "_seq_no": d.seq, "found": true, "_source": json.RawMessage(d.source)})
}

// assignment is the one script that this server understands.
var assignment = regexp.MustCompile(`^ctx\._source\['([^']+)'\] = params\.(\w+);?$`)

// updateByQuery answers POST /index/_update_by_query. Every update goes by
// internal versioning: the stored version grows by 1.
func (s *Server) updateByQuery(c *call, name string) {
	if !s.may("read") || !s.may("index", "write") {
		c.error(denied("indices:data/write/update/byquery", "indices ["+name+"]", "read", "index", "write", "all"))
		return
	}
	var body struct {
		Query  any `json:"query"`
		Script *struct {
			Lang   string         `json:"lang"`
			Source string         `json:"source"`
			Params map[string]any `json:"params"`
		} `json:"script"`
	}
	if e := decodeStrict(c.body, &body); e != nil {
		c.error(e)
		return
	}
	var field string
	var value any
	if body.Script != nil {
		found := assignment.FindStringSubmatch(body.Script.Source)
		if found == nil || body.Script.Lang != "" && body.Script.Lang != "painless" {
			c.error(fail(400, "script_exception", "compile error: elastictest knows ctx._source['field'] = params.name only"))
			return
		}
		field, value = found[1], body.Script.Params[found[2]]
	}
	limit := -1
	if n, err := strconv.Atoi(c.r.URL.Query().Get("max_docs")); err == nil {
		limit = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ix, ids, e := s.find(name, body.Query, c.r.URL.Query().Get("ignore_unavailable") == "true")
	if e != nil {
		c.error(e)
		return
	}
	if limit >= 0 {
		ids = ids[:min(limit, len(ids))]
	}
	for _, id := range ids {
		doc := decode(ix.docs[id].source)
		if field != "" {
			doc[field] = value
		}
		source, err := json.Marshal(doc)
		if err != nil {
			panic(err)
		}
		if e := s.checker.check(ix.mapping, id, source); e != nil {
			c.error(e)
			return
		}
		ix.apply(&write{action: "index", id: id, ifSeqNo: -1, source: source}, s.options.Now(), s.options.GCDeletes)
	}
	s.stats.Refreshed += len(ids)
	c.json(200, map[string]any{
		"took": 1, "timed_out": false, "total": len(ids), "updated": len(ids), "deleted": 0, "batches": 1,
		"version_conflicts": 0, "noops": 0, "retries": map[string]any{"bulk": 0, "search": 0}, "failures": []any{},
	})
}
