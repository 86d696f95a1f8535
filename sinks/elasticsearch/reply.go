package elasticsearch

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

// filterPath is the part of a bulk reply that is read; the server leaves out
// the rest, which is most of it.
var filterPath = []string{"errors", "error", "status", "items.*._id", "items.*.status", "items.*.error", "items.*.failure_store"}

// item is what the server says of one operation.
type item struct {
	action       string
	id           string // as it stands in the JSON, without quotes, when it has no escapes
	status       int
	failureStore string
	err          *cause
}

// cause is the error object of Elasticsearch.
type cause struct {
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	CausedBy *cause `json:"caused_by"`
}

// text is the error's explanation with its innermost cause.
func (c *cause) text() string {
	if c == nil {
		return ""
	}
	s := c.Type + ": " + c.Reason
	if inner := c.CausedBy; inner != nil {
		for inner.CausedBy != nil {
			inner = inner.CausedBy
		}
		if inner.Reason != "" && !strings.Contains(s, inner.Reason) {
			s += "; " + inner.Type + ": " + inner.Reason
		}
	}
	const limit = 1000
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// parseReply calls each with the items of a bulk reply, in order. It reads
// token by token: a reply has thousands of items, nearly all alike. each
// returns false to end it.
func parseReply(body []byte, each func(*item) bool) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	found := false
	err := members(dec, func(name string) error {
		if name != "items" {
			return dec.SkipValue()
		}
		found = true
		if err := expect(dec, '['); err != nil {
			return err
		}
		var it item
		for dec.PeekKind() == '{' {
			it = item{}
			if err := readItem(dec, &it); err != nil {
				return err
			}
			if !each(&it) {
				return errStop
			}
		}
		return expect(dec, ']')
	})
	switch {
	case err == errStop:
		return nil
	case err != nil:
		return err
	case !found:
		return intel.Fail(intel.FailProtocol, "no items")
	}
	return nil
}

var errStop = intel.Fail(intel.FailProtocol, "stop")

func readItem(dec *jsontext.Decoder, it *item) error {
	return members(dec, func(action string) error {
		it.action = action
		return members(dec, func(name string) error {
			switch name {
			case "_id":
				v, err := dec.ReadValue()
				if err == nil && v.Kind() == '"' {
					it.id = string(v[1 : len(v)-1])
				}
				return err
			case "status":
				v, err := dec.ReadValue()
				if err == nil {
					it.status, _ = strconv.Atoi(string(v))
				}
				return err
			case "failure_store":
				return json.UnmarshalDecode(dec, &it.failureStore, lenient)
			case "error":
				v, err := dec.ReadValue()
				if err != nil {
					return err
				}
				it.err = parseCause(v)
				return nil
			}
			return dec.SkipValue()
		})
	})
}

// parseCause reads an error, which some gateways send as text.
func parseCause(v jsontext.Value) *cause {
	c := &cause{}
	if v.Kind() == '"' {
		_ = json.Unmarshal(v, &c.Reason, lenient)
		return c
	}
	_ = json.Unmarshal(v, c, lenient)
	return c
}

// members calls each with the name of every member of an object; each reads
// the value.
func members(dec *jsontext.Decoder, each func(name string) error) error {
	if err := expect(dec, '{'); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		v, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := each(known(v[1 : len(v)-1])); err != nil {
			return err
		}
	}
	return expect(dec, '}')
}

// known returns a name as a string, without an allocation for the usual ones.
func known(name []byte) string {
	switch string(name) {
	case "index":
		return "index"
	case "delete":
		return "delete"
	case "_id":
		return "_id"
	case "status":
		return "status"
	}
	return string(name)
}

func expect(dec *jsontext.Decoder, kind jsontext.Kind) error {
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() != kind {
		return intel.Fail(intel.FailProtocol, "%q where %q was expected", t.Kind().String(), kind.String())
	}
	return nil
}

// replyError reads the error of a reply that is no success.
func replyError(body []byte) *cause {
	var reply struct {
		Error jsontext.Value `json:"error"`
	}
	if json.Unmarshal(body, &reply, lenient) != nil || len(reply.Error) == 0 {
		return nil
	}
	return parseCause(reply.Error)
}

// conflictVersion returns the document's current version from the text of a
// version conflict, "[id]: version conflict, current version [7] is higher than
// the one provided [5]"; the reply has it nowhere else.
func conflictVersion(c *cause) (int64, bool) {
	if c == nil {
		return 0, false
	}
	const before = "current version ["
	i := strings.LastIndex(c.Reason, before)
	if i < 0 {
		return 0, false
	}
	digits, _, ok := strings.Cut(c.Reason[i+len(before):], "]")
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, ok && err == nil && v > 0
}

// verdict is what an item means for its operation.
type verdict uint8

const (
	accepted verdict = iota
	conflict         // a newer version is there, or one that has to be written over
	refused          // this document never
	busy             // later perhaps
	broken           // nothing gets in until someone sees to the index
)

// judge classifies an item.
func judge(it *item, remove bool) verdict {
	kind := ""
	if it.err != nil {
		kind = it.err.Type
	}
	switch {
	case it.failureStore == "used" || it.failureStore == "failed":
		// Accepted, but not into the index: the failure store of a data stream.
		return refused
	case it.status >= 200 && it.status < 300 && it.err == nil:
		return accepted
	case it.status == 409:
		return conflict
	case it.status == 404 && remove && it.err == nil:
		return accepted // there was nothing to delete
	case it.status == 429 || it.status >= 500:
		return busy
	case it.status == 401 || it.status == 403 || it.status == 404 || setupErrors[kind]:
		return broken
	case it.status == 400 && it.err != nil && strings.Contains(it.err.Reason, "data stream"):
		return broken // "only write ops with an op_type of create are allowed in data streams"
	case it.status >= 400:
		return refused
	}
	return busy // no status at all: nothing is known
}

// setupErrors are the errors of an item that are not the document's.
var setupErrors = map[string]bool{
	"index_not_found_exception":    true,
	"index_closed_exception":       true,
	"cluster_block_exception":      true,
	"security_exception":           true,
	"invalid_index_name_exception": true,
	"alias_not_found_exception":    true,
}

// refusedReason is the reason of a dead letter.
func refusedReason(it *item) string {
	switch {
	case it.failureStore != "":
		return "failure_store"
	case it.err != nil && isWord(it.err.Type):
		return it.err.Type
	}
	return "status_" + strconv.Itoa(it.status)
}

// isWord reports whether an error's type is fit for a metric label.
func isWord(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// refusedDetail is the server's explanation for a dead letter.
func refusedDetail(it *item, secrets *strings.Replacer) string {
	if it.failureStore != "" && it.err == nil {
		return "the server put the document into the failure store of a data stream instead of the index"
	}
	return cmp.Or(secrets.Replace(it.err.text()), "item status "+strconv.Itoa(it.status))
}
