package elastictest

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// metadata is the object of an action line.
type metadata struct {
	Index         string `json:"_index"`
	ID            string `json:"_id"`
	Version       *int64 `json:"version"`
	VersionType   string `json:"version_type"`
	IfSeqNo       *int64 `json:"if_seq_no"`
	IfPrimaryTerm *int64 `json:"if_primary_term"`
	Routing       string `json:"routing"`
	RequireAlias  *bool  `json:"require_alias"`
}

// parseBulk reads the body of a bulk request, as strictly as the server: one
// bad action line fails the whole request, while a bad document fails alone.
func (s *Server) parseBulk(body []byte) ([]write, *Error) {
	if len(body) == 0 {
		return nil, fail(400, "parse_exception", "request body is required")
	}
	if body[len(body)-1] != '\n' {
		return nil, fail(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
	}
	var writes []write
	for line := 1; len(body) > 0; line++ {
		text, rest, _ := bytes.Cut(body, []byte("\n"))
		body = rest
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		w, e := s.parseAction(text, line)
		if e != nil {
			return nil, e
		}
		if w.action != "delete" {
			if len(body) == 0 {
				break // dropped without a word
			}
			w.source, body, _ = bytes.Cut(body, []byte("\n"))
			line++
		}
		writes = append(writes, w)
	}
	if len(writes) == 0 {
		return nil, fail(400, "action_request_validation_exception", "Validation Failed: 1: no requests added;")
	}
	return writes, nil
}

func (s *Server) parseAction(text []byte, line int) (write, *Error) {
	bad := func(why string) (write, *Error) {
		return write{}, fail(400, "illegal_argument_exception", "Malformed action/metadata line [%d], %s", line, why)
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return bad("expected START_OBJECT")
	}
	t, err := dec.ReadToken()
	if err != nil || t.Kind() != '"' {
		return bad("expected FIELD_NAME but found [END_OBJECT]")
	}
	name := t.String()
	switch name {
	case "index", "create", "delete":
	case "update":
		return bad("elastictest does not know the action update")
	default:
		if s.options.Distribution == OpenSearch {
			return bad("expected one of [create, delete, index, update] but found [" + name + "]")
		}
		return bad("expected field [create], [delete], [index] or [update] but found [" + name + "]")
	}
	var m metadata
	if err := json.UnmarshalDecode(dec, &m, json.RejectUnknownMembers(true)); err != nil {
		if errors.Is(err, json.ErrUnknownName) {
			return write{}, fail(400, "illegal_argument_exception", "Action/metadata line [%d] contains an unknown parameter [%s]", line, unknownName(err))
		}
		return bad(err.Error())
	}
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '}' || dec.PeekKind() > 0 {
		return bad("expected END_OBJECT")
	}
	w := write{action: name, id: m.ID, versionType: m.VersionType, ifSeqNo: -1}
	if m.IfSeqNo != nil {
		w.ifSeqNo = *m.IfSeqNo
	}
	if m.Version != nil {
		w.version = *m.Version
	}
	external := strings.HasPrefix(m.VersionType, "external")
	invalid := func(why string) (write, *Error) {
		return write{}, fail(400, "action_request_validation_exception", "Validation Failed: 1: %s;", why)
	}
	switch {
	case m.VersionType != "" && !external && m.VersionType != "internal":
		return write{}, fail(400, "illegal_argument_exception", "No version type match [%s]", m.VersionType)
	case external && (m.Version == nil || *m.Version < 0):
		return invalid("illegal version value [-3] for version type [" + strings.ToUpper(m.VersionType) + "]")
	case name == "create" && external:
		return invalid("create operations only support internal versioning. use index instead")
	case !external && m.Version != nil:
		return invalid("internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead")
	case name == "delete" && m.ID == "":
		return invalid("id is missing")
	case len(m.ID) > 512:
		return invalid("id [" + m.ID[:20] + "…] is too long, must be no longer than 512 bytes but was: " + strconv.Itoa(len(m.ID)))
	}
	return w, nil
}

// rejected is the error of what the server has no room for right now.
func (s *Server) rejected(format string, args ...any) *Error {
	kind := "es_rejected_execution_exception"
	if s.options.Distribution == OpenSearch {
		kind = "rejected_execution_exception"
	}
	return fail(429, kind, format, args...)
}

// unknownName is the last member of the path at which decoding stopped.
func unknownName(err error) string {
	var at *json.SemanticError
	if !errors.As(err, &at) {
		return ""
	}
	return at.JSONPointer.LastToken()
}

// bulk answers POST /index/_bulk.
func (s *Server) bulk(c *call, name string, fault Fault) {
	canIndex, canDelete := s.may("index", "write"), s.may("delete", "write")
	if !canIndex && !canDelete {
		c.error(denied("indices:data/write/bulk", "indices ["+name+"]", "create_doc", "create", "delete", "index", "write", "all"))
		return
	}
	writes, e := s.parseBulk(c.body)
	if e != nil {
		c.error(e)
		return
	}
	if limit := s.options.Pressure; limit > 0 && len(c.body) > limit {
		c.error(s.rejected("rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, "+
			"coordinating_operation_bytes=%d, max_coordinating_and_primary_bytes=%d]", len(c.body), limit))
		return
	}
	s.mu.Lock()
	results := make([]result, len(writes))
	s.stats.Bulks++
	s.stats.MaxBytes = max(s.stats.MaxBytes, len(c.body))
	for i := range writes {
		w := &writes[i]
		results[i] = s.one(name, w, i, fault, w.action == "delete" && canDelete || w.action != "delete" && canIndex)
		s.stats.count(w, &results[i])
	}
	s.mu.Unlock()
	s.faults.announce()

	switch fault {
	case ShortReply:
		writes, results = writes[:len(writes)-1], results[:len(results)-1]
	case LongReply:
		writes, results = append(writes, writes[0]), append(results, results[0])
	case Shuffled:
		if n := len(writes); n > 1 {
			writes[0], writes[n-1] = writes[n-1], writes[0]
			results[0], results[n-1] = results[n-1], results[0]
		}
	}
	s.reply(c, fault, renderBulk(name, writes, results, c.r.URL.Query().Get("filter_path") != ""))
}

// one carries out one operation; s.mu is held.
func (s *Server) one(name string, w *write, i int, fault Fault, allowed bool) result {
	failed := func(e *Error) result { return result{status: e.Status, err: e} }
	switch {
	case fault == BusyItems && i%2 == 0:
		return failed(s.rejected("rejected execution of primary operation"))
	case fault == ErrorItems && i%3 == 0:
		return failed(fail(503, "unavailable_shards_exception", "[%s][0] primary shard is not active Timeout: [1m]", name))
	case fault == DiskFull:
		return failed(fail(429, "cluster_block_exception", "index [%s] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];", name))
	case fault == IndexGone:
		return failed(fail(404, "index_not_found_exception", "no such index [%s]", name))
	case fault == ReadOnly:
		return failed(fail(403, "cluster_block_exception", "index [%s] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];", name))
	case !allowed:
		return failed(denied("indices:data/write/bulk[s]", "indices ["+name+"]", "delete", "write", "all"))
	}
	ix := s.indices[name]
	if ix == nil {
		auto := s.privileges == nil
		for _, p := range s.privileges {
			auto = auto || p == "auto_configure" || p == "create_index" || p == "manage"
		}
		if !auto {
			return failed(denied("indices:admin/auto_create", "indices ["+name+"]", "auto_configure", "create_index", "manage", "all"))
		}
		if s.options.RefuseAutoCreate {
			return failed(fail(404, "index_not_found_exception", "no such index [%s]", name))
		}
		root, e := s.mappingFor(name)
		if e != nil {
			return failed(e)
		}
		ix = newIndex(root)
		s.indices[name] = ix
	}
	if w.action != "delete" {
		var e *Error
		if !s.options.Lax {
			e = s.checker.check(ix.mapping, w.id, w.source)
		}
		if e == nil && s.poison != nil {
			e = s.poison(w.id, w.source)
		}
		if e != nil {
			if s.options.FailureStore && e.Status == 400 {
				return result{status: 201, result: "created", version: 1, stored: true}
			}
			return failed(e)
		}
	}
	return ix.apply(w, s.options.Now(), s.options.GCDeletes)
}

// renderBulk writes the reply, the whole of it or what the sink's filter_path
// leaves.
func renderBulk(name string, writes []write, results []result, filtered bool) []byte {
	b := make([]byte, 0, 256*len(writes))
	failures := false
	for i := range results {
		failures = failures || results[i].err != nil
	}
	b = append(b, '{')
	if !filtered {
		b = append(b, `"took":3,`...)
	}
	b = strconv.AppendBool(append(b, `"errors":`...), failures)
	b = append(b, `,"items":[`...)
	for i := range results {
		w, r := &writes[i], &results[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"`...)
		b = append(append(b, w.action...), `":{`...)
		if !filtered {
			b, _ = jsontext.AppendQuote(append(b, `"_index":`...), name)
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(append(b, `"_id":`...), w.id)
		b = strconv.AppendInt(append(b, `,"status":`...), int64(r.status), 10)
		if r.stored {
			b = append(b, `,"failure_store":"used"`...)
		}
		if r.err != nil {
			e, err := json.Marshal(r.err.body(), jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
			if err != nil {
				panic(err)
			}
			b = append(append(b, `,"error":`...), e...)
		} else if !filtered {
			b = strconv.AppendInt(append(b, `,"_version":`...), r.version, 10)
			b, _ = jsontext.AppendQuote(append(b, `,"result":`...), r.result)
			b = strconv.AppendInt(append(b, `,"_seq_no":`...), r.seq, 10)
			b = append(b, `,"_primary_term":1,"_shards":{"total":2,"successful":1,"failed":0}`...)
		}
		b = append(b, '}', '}')
	}
	return append(b, ']', '}')
}
