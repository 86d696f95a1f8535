package splunk

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// The codes in the body of HEC's answers.
const (
	codeSuccess          = 0
	codeTokenDisabled    = 1
	codeTokenRequired    = 2
	codeInvalidAuth      = 3
	codeInvalidToken     = 4
	codeNoData           = 5
	codeInvalidFormat    = 6
	codeIncorrectIndex   = 7
	codeInternalError    = 8
	codeBusy             = 9
	codeChannelMissing   = 10
	codeChannelInvalid   = 11
	codeEventMissing     = 12
	codeEventBlank       = 13
	codeAckDisabled      = 14
	codeNestedFields     = 15
	codeQueryAuth        = 16
	codeHealthy          = 17
	codeQueuesFull       = 18
	codeAckUnavailable   = 19
	codeBothFull         = 20
	codeHealthBadToken   = 21
	codeHealthDisabled   = 22
	codeShuttingDown     = 23
	codeQueueNearFull    = 24
	codeAckNearFull      = 25
	codeQueueAtCapacity  = 26
	codeAckAtCapacity    = 27
	codeChannelMissingLB = 28 // Splunk Cloud's variant of 10
)

// verdict is what an answer means for the request it answers.
type verdict uint8

const (
	// failed: the destination as a whole; answer.fail says why. The events before
	// answer.bad are accepted all the same.
	failed verdict = iota
	// accepted: every event.
	accepted
	// poisoned: event number answer.bad is refused, those before it are accepted,
	// those after it were not looked at.
	poisoned
	// refused: some event, but not which; none is accepted.
	refused
	// tooLarge: the request as such; none is accepted.
	tooLarge
)

// answer is HEC's answer to a request of n events.
type answer struct {
	verdict verdict
	status  int
	code    int // -1 = the body is no answer of HEC
	text    string
	bad     int // see verdict
	ackID   int64
	hasAck  bool
	slow    bool // accepted, but queues are filling
	fail    *intel.Failure
}

// reason is the word for a refusal in outcomes and metrics.
func (a *answer) reason() string {
	if a.code < 0 {
		return "http_" + strconv.Itoa(a.status)
	}
	return "hec_code_" + strconv.Itoa(a.code)
}

// detail is the destination's own words.
func (a *answer) detail() string {
	if a.code < 0 {
		return a.text
	}
	return a.text + " (code " + strconv.Itoa(a.code) + ")"
}

// reply is the body of an answer.
type reply struct {
	Text  string `json:"text"`
	Code  *int   `json:"code"`
	Bad   *int   `json:"invalid-event-number"`
	AckID *int64 `json:"ackId"`
}

var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// judge reads an answer to a request of n events for the index.
func judge(resp *http.Response, body []byte, n int, index string) answer {
	var r reply
	a := answer{status: resp.StatusCode, code: -1}
	if err := json.Unmarshal(body, &r, tolerant); err != nil || r.Code == nil {
		return judgeStatus(a, resp, body)
	}
	a.code, a.text = *r.Code, transport.Snippet([]byte(r.Text))
	if r.AckID != nil {
		a.ackID, a.hasAck = *r.AckID, true
	}
	bad := -1
	if r.Bad != nil && *r.Bad >= 0 {
		bad = *r.Bad
	}

	switch a.code {
	case codeSuccess, codeQueueNearFull, codeAckNearFull:
		if resp.StatusCode != http.StatusOK {
			return judgeStatus(a, resp, body)
		}
		a.verdict, a.slow = accepted, a.code != codeSuccess

	case codeInvalidFormat, codeEventMissing, codeEventBlank, codeNestedFields:
		a.verdict = refused
		if bad >= 0 && bad < n {
			a.verdict, a.bad = poisoned, bad
		}
	case codeNoData:
		a.verdict = refused

	case codeIncorrectIndex:
		// All events go to one index, so it is not this event's fault. The number
		// is one past the event, unlike for the other codes.
		if bad > 1 && bad <= n {
			a.bad = bad - 1
		}
		named := "the token's default index"
		if index != "" {
			named = "index " + strconv.Quote(index)
		}
		a.fail = a.failure(intel.FailConfig, resp, named).WithHint("create %s, or add it to the indexes that the token is allowed", named)

	case codeTokenDisabled, codeHealthDisabled:
		a.fail = a.failure(intel.FailAuth, resp, "").WithHint("enable the token in Splunk: Settings > Data inputs > HTTP Event Collector")
	case codeTokenRequired, codeInvalidAuth, codeInvalidToken, codeHealthBadToken:
		a.fail = a.failure(intel.FailAuth, resp, "").WithHint("check that token is the value that Splunk shows for this HEC token, and that url leads to the Splunk that knows it")
	case codeChannelMissing, codeChannelInvalid, codeChannelMissingLB:
		a.fail = a.failure(intel.FailConfig, resp, "").WithHint("a proxy or load balancer on the way may drop the X-Splunk-Request-Channel header")
	case codeAckDisabled:
		a.fail = a.failure(intel.FailConfig, resp, "").WithHint("turn indexer acknowledgment on for the token, or set ack = \"off\"")
	case codeQueryAuth:
		a.fail = a.failure(intel.FailConfig, resp, "")
	case codeBusy:
		// Some versions accept a part and say how far they got.
		if bad > 0 && bad < n {
			a.bad = bad
		}
		a.fail = a.failure(intel.FailThrottled, resp, "")
	case codeQueuesFull, codeAckUnavailable, codeBothFull, codeQueueAtCapacity, codeAckAtCapacity:
		a.fail = a.failure(intel.FailThrottled, resp, "")
	case codeInternalError, codeShuttingDown:
		a.fail = a.failure(intel.FailServer, resp, "")

	default:
		if resp.StatusCode == http.StatusBadRequest && bad >= 0 && bad < n {
			// A code from after this was written, about one event.
			a.verdict, a.bad = poisoned, bad
			break
		}
		return judgeStatus(a, resp, body)
	}
	return a
}

// judgeStatus judges an answer by its status alone: one of a proxy or load
// balancer, of another URL, or with a code that says nothing here.
func judgeStatus(a answer, resp *http.Response, body []byte) answer {
	if a.text == "" {
		a.text = transport.Snippet(body)
	}
	if resp.StatusCode == http.StatusRequestEntityTooLarge {
		a.verdict = tooLarge
		if a.text == "" {
			a.text = http.StatusText(resp.StatusCode)
		}
		return a
	}
	f := transport.StatusFailure(resp, body)
	switch {
	case resp.StatusCode/100 == 2:
		f.Kind = intel.FailProtocol
		f.Hint = "this is no answer of an HTTP event collector; check url, and what stands between"
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed:
		f.Kind = intel.FailNotFound
		f.Hint = "no HTTP event collector is there; check host, port and path of url (default port 8088)"
	case resp.StatusCode == http.StatusUnsupportedMediaType:
		f.Kind = intel.FailConfig
		f.Hint = "what stands between may not take compressed requests; try gzip = false"
	case resp.StatusCode == http.StatusBadRequest && strings.Contains(strings.ToLower(a.text), "https"):
		f.Kind = intel.FailConfig
		f.Hint = "the port wants https; check the scheme of url"
	}
	a.fail = f
	return a
}

func (a *answer) failure(kind intel.FailureKind, resp *http.Response, about string) *intel.Failure {
	if about != "" {
		about = " for " + about
	}
	f := intel.Fail(kind, "splunk answered %d, %s (code %d)%s", resp.StatusCode, lowerFirst(a.text), a.code, about)
	if kind == intel.FailThrottled || kind == intel.FailServer {
		if d, ok := transport.RetryAfter(resp.Header, time.Now()); ok {
			f.WithRetryAfter(d)
		}
	}
	return f
}

// lowerFirst makes Splunk's "Incorrect index" fit into a sentence.
func lowerFirst(s string) string {
	if s == "" {
		return "no text"
	}
	return strings.ToLower(s[:1]) + s[1:]
}
