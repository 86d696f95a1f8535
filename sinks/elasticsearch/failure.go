package elasticsearch

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// tooLarge is the reason of what the server refuses for its size.
const tooLarge = "too_large"

// wholeFailure is the error of a bulk request that was refused as a whole.
func wholeFailure(s *Sink, status int, r *reply) error {
	c := replyError(r.body)
	f := s.statusFailure(r, c)
	switch {
	case status == http.StatusRequestEntityTooLarge, status == http.StatusTooManyRequests && overPressure(c):
		f.Hint = ""
		return &refusal{err: f, outcome: intel.Outcome{Reason: tooLarge, Detail: f.Err.Error()}}
	case status == http.StatusBadRequest && c != nil && contentErrors[c.Type]:
		return &refusal{err: f, outcome: intel.Outcome{Reason: c.Type, Detail: s.secrets.Replace(c.text())}}
	}
	return f
}

// overPressure reports whether a request was rejected because it alone is more
// than the memory that the server has for indexing, a tenth of its heap: it asks
// to come back later, but a request of that size never gets in.
func overPressure(c *cause) bool {
	if c == nil {
		return false
	}
	size, ok := number(c.Reason, "coordinating_operation_bytes=")
	limit, known := number(c.Reason, "max_coordinating_and_primary_bytes=")
	return ok && known && size > limit
}

// number returns the number that follows a name in a text.
func number(text, name string) (int64, bool) {
	_, rest, _ := strings.Cut(text, name)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	return n, err == nil
}

// contentErrors are the errors that a server gives for a whole request because
// of a line in it.
var contentErrors = map[string]bool{
	"illegal_argument_exception":          true,
	"parse_exception":                     true,
	"parsing_exception":                   true,
	"json_parse_exception":                true,
	"x_content_parse_exception":           true,
	"action_request_validation_exception": true,
}

// itemFailure is the failure of the destination that an item shows.
func itemFailure(s *Sink, it *item) *intel.Failure {
	text := transport.Snippet([]byte(s.secrets.Replace(it.err.text())))
	if text == "" {
		text = fmt.Sprintf("item status %d", it.status)
	}
	f := intel.Fail(intel.FailConfig, "%s", text)
	switch {
	case it.err != nil && it.err.Type == "cluster_block_exception":
		if it.status == 429 { // what the server gives while a disk is above the flood stage
			f.Kind = intel.FailThrottled
		}
		return f.WithHint("the index is read-only, often because a disk of the cluster is nearly full")
	case it.status == 429:
		f.Kind = intel.FailThrottled
		return f
	case it.status >= 500 || it.status == 0:
		f.Kind = intel.FailServer
		return f
	case it.status == 404:
		f.Kind = intel.FailNotFound
		return f.WithHint("index %s does not exist and can not be created; grant auto_configure or create it", s.config.Index)
	case it.status == 401 || it.status == 403:
		f.Kind = intel.FailAuth
		return f.WithHint("the credentials need the index privileges index and delete on %s", s.config.Index)
	case it.err != nil && strings.Contains(it.err.Reason, "data stream"):
		return f.WithHint("%s is a data stream, which can not hold documents that change; choose an index name such as %s", s.config.Index, defaultIndex)
	}
	return f
}

// reply is the answer to a request.
type reply struct {
	resp *http.Response
	body []byte
}

// statusFailure is the failure for an answer that is no success.
func (s *Sink) statusFailure(r *reply, c *cause) *intel.Failure {
	text := string(r.body[:min(len(r.body), 16<<10)])
	if t := c.text(); t != "" {
		text = t
	}
	f := transport.StatusFailure(r.resp, []byte(s.secrets.Replace(text)))
	switch {
	case r.resp.StatusCode == http.StatusUnauthorized:
		f.Hint = "api_key or username and password are missing, wrong or expired"
	case r.resp.StatusCode == http.StatusForbidden && c != nil && c.Type == "security_exception":
		f.Hint = fmt.Sprintf("the credentials need the index privileges index and delete on %s, and read for the refresh", s.config.Index)
	case c != nil && c.Type == "index_not_found_exception":
		f.Hint = fmt.Sprintf("index %s does not exist and can not be created; grant auto_configure or create it", s.config.Index)
	case c != nil && c.Type == "cluster_block_exception":
		f.Kind, f.Hint = intel.FailConfig, "the index or cluster is read-only, often because a disk is nearly full"
	case r.resp.StatusCode == http.StatusBadRequest && f.Kind == intel.FailProtocol:
		f.Kind = intel.FailConfig
	}
	return f
}
