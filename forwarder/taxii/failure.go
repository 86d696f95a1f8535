package taxii

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// A statusError is an answer other than 2xx. Its code steers a walk; outside
// the package its failure is all there is.
type statusError struct {
	code    int
	failure *intel.Failure
}

func (e *statusError) Error() string { return e.failure.Error() }
func (e *statusError) Unwrap() error { return e.failure }

// statusOf returns the HTTP status that err is about, or 0.
func statusOf(err error) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.code
	}
	return 0
}

// plainFailure is err as it leaves the package.
func plainFailure(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*statusError); ok {
		return e.failure
	}
	var f *intel.Failure
	if errors.As(err, &f) {
		return err
	}
	return intel.AsFailure(err)
}

// readStatus builds the error for an answer other than 2xx and closes it.
func readStatus(resp *http.Response) *statusError {
	defer resp.Body.Close()
	var data []byte
	if body, err := bodyOf(resp); err == nil {
		data, _ = transport.ReadLimited(body, 64<<10) // what there is will do
		data = transport.Redact(resp, data)
	}
	if text := errorText(data); text != "" {
		data = []byte(text)
	}
	f := transport.StatusFailure(resp, data)
	switch resp.StatusCode {
	case http.StatusBadRequest:
		f.Hint = "the server does not take a parameter of this request"
	case http.StatusUnauthorized:
		f.Hint = "the server does not know these credentials; check the feed's auth block, and which kind of it the server wants"
	case http.StatusForbidden:
		f.Hint = "the credentials are known but may not read this"
	case http.StatusNotFound:
		f.Hint = "no such API root or collection, or one that these credentials may not see; the discover command lists what there is"
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		f.Hint = "the server does not speak " + MediaType + "; it may be a TAXII 2.0 or 1.x server"
		if is20(resp) {
			f = failure20(plain(resp.Request.URL))
		}
	}
	return &statusError{code: resp.StatusCode, failure: f}
}

// accept judges a 2xx answer by its header. Content types are taken
// leniently, as servers send many wrong ones with the right bodies.
func accept(resp *http.Response) error {
	kind := contentType(resp)
	switch {
	case strings.Contains(kind, "html"):
		return notTAXII(resp, errHTML)
	case resp.StatusCode == http.StatusPartialContent, is20(resp):
		return failure20(plain(resp.Request.URL))
	case strings.Contains(kind, "xml"):
		return notTAXII(resp, errors.New("the answer is XML, as of a TAXII 1.x server"))
	}
	return nil
}

func contentType(resp *http.Response) string {
	v := strings.ToLower(resp.Header.Get("Content-Type"))
	if kind, _, err := mime.ParseMediaType(v); err == nil {
		return kind
	}
	kind, _, _ := strings.Cut(v, ";")
	return strings.TrimSpace(kind)
}

// is20 reports whether an answer has a media type of TAXII 2.0.
func is20(resp *http.Response) bool {
	return strings.Contains(contentType(resp), "vnd.oasis") &&
		!strings.Contains(resp.Header.Get("Content-Type"), "2.1")
}

func failure20(u string) *intel.Failure {
	return intel.Fail(intel.FailProtocol, "GET %s: this is a TAXII 2.0 server", u).
		WithHint("only TAXII 2.1 is supported; ask the provider for its 2.1 address, often /taxii2/ in place of /taxii/")
}

// notTAXII is the failure for a 2xx answer with a body that is not ours.
func notTAXII(resp *http.Response, err error) error {
	var f *intel.Failure
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, new(flate.CorruptInputError)):
		return intel.Fail(intel.FailProtocol, "GET %s: the answer is announced as gzip but is not", plain(resp.Request.URL)).
			WithHint("the server or a proxy in front of it spoils its answers")
	case errors.As(err, &f):
		return err
	}
	f = intel.Fail(intel.FailProtocol, "GET %s: %w", plain(resp.Request.URL), err)
	switch {
	case errors.Is(err, errHTML):
		f.WithHint("a login page, a proxy's notice or a wrong URL; check the URL with a browser")
	case errors.Is(err, errNotJSON):
		f.WithHint("check that the URL is that of a TAXII 2.1 server")
	case errors.Is(err, errShort):
		f.Kind = intel.FailUnreachable
		f.WithHint("the connection was cut, or the server gave up half-way")
	}
	return f
}

// errorText finds what an error body says, in whichever of the known shapes it
// is: TAXII's {title, description} (§3.6.1), {error: {code, message}} or {error:
// text}, OpenTAXII's {code, name, description} with a description by parameter
// where one is wrong, and others' message, detail, reason. It returns "" for a
// body that reads like none of them.
func errorText(body []byte) string {
	m, err := parseMembers(body)
	if err != nil {
		return ""
	}
	if inner, err := parseMembers(m["error"]); err == nil {
		if text := errorText(m["error"]); text != "" {
			if code := inner.text("code"); code != "" && !strings.Contains(text, code) {
				return code + ": " + text
			}
			return text
		}
	}
	var parts []string
	for _, name := range []string{"title", "name", "error", "message", "description", "detail", "reason", "errordescription"} {
		text := m.text(name)
		if text == "" && name != "error" { // that has been looked into
			text = leaves(m[name], 3)
		}
		if text != "" && !contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, ": ")
	if id := m.text("errorid"); id != "" {
		text += fmt.Sprintf(" (error id %s)", id)
	}
	return transport.Snippet([]byte(text))
}

// leaves writes the texts of a list or object, down to a depth: "next: Not a
// valid value."
func leaves(v jsontext.Value, depth int) string {
	if depth < 0 {
		return ""
	}
	var parts []string
	switch v.Kind() {
	case '"', '0':
		return strings.TrimSpace(scalarText(v))
	case '[':
		var list []jsontext.Value
		if json.Unmarshal(v, &list, lenient...) != nil {
			return ""
		}
		for _, e := range list {
			if text := leaves(e, depth-1); text != "" {
				parts = append(parts, text)
			}
		}
	case '{':
		var object map[string]jsontext.Value
		if json.Unmarshal(v, &object, lenient...) != nil {
			return ""
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if text := leaves(object[name], depth-1); text != "" {
				parts = append(parts, name+": "+text)
			}
		}
	}
	return strings.Join(parts, ", ")
}

func contains(parts []string, text string) bool {
	for _, p := range parts {
		if strings.EqualFold(p, text) {
			return true
		}
	}
	return false
}
