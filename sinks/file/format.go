package file

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/sentinel"
	"taxii-forwarder/sinks/splunk"
)

// An encoder appends to dst what becomes of one change, as whole lines, each
// ending in a newline. The outcome is Delivered when there is something to
// write or nothing needs writing; Skipped or Rejected with its reason otherwise,
// and then dst comes back as it was.
type encoder interface {
	Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome)
}

// formats are the shapes a line can have. Those of other sinks are what these
// would send with nothing but their defaults.
var formats = map[string]func() encoder{
	"indicator": func() encoder { return indicatorEncoder{} },
	"stix":      func() encoder { return stixEncoder{} },
	"ecs":       func() encoder { return elasticsearch.NewEncoder() },
	"splunk":    func() encoder { return splunk.NewEncoder(splunk.EncoderOptions{}) },
	"sentinel":  func() encoder { return sentinel.NewEncoder(sentinel.EncoderOptions{}) },
}

// Formats returns the names that [Config].Format can have.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// tolerant are the options under which whatever a server sent can be written
// back: invalid UTF-8 becomes U+FFFD and a repeated member stays repeated.
var tolerant = jsontext.AllowInvalidUTF8(true)

// indicatorEncoder writes one line per change: the action and the indicator as
// the forwarder understood it.
type indicatorEncoder struct{}

// line is the indicator format.
type line struct {
	Action         string           `json:"action"`
	Reason         intel.Reason     `json:"reason,omitzero"`
	At             time.Time        `json:"at"`
	Seq            int64            `json:"seq"`
	FirstDelivered time.Time        `json:"first_delivered,omitzero"`
	Removed        []intel.Ref      `json:"removed,omitempty"`
	Indicator      *intel.Indicator `json:"indicator"`
}

func (indicatorEncoder) Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	start := len(dst)
	buf := bytes.NewBuffer(dst)
	err := json.MarshalWrite(buf, &line{
		Action:         c.Action.String(),
		Reason:         c.Reason,
		At:             c.At.UTC(),
		Seq:            c.Seq,
		FirstDelivered: c.FirstDelivered.UTC(),
		Removed:        c.Remove,
		Indicator:      c.Indicator,
	}, tolerant, json.Deterministic(true))
	if err != nil {
		return dst[:start], intel.Outcome{Status: intel.Rejected, Reason: "encode", Detail: err.Error(), Sent: c.Indicator.Raw}
	}
	buf.WriteByte('\n')
	return buf.Bytes(), intel.Outcome{Status: intel.Delivered}
}

// stixEncoder writes the object as the server sent it, on one line. A
// withdrawal writes it with "revoked": true, whatever the reason.
type stixEncoder struct{}

func (stixEncoder) Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	raw := c.Indicator.Raw
	if len(raw) == 0 {
		return dst, intel.Outcome{Status: intel.Skipped, Reason: "no_object"}
	}
	start := len(dst)
	var err error
	if c.Action == intel.Withdraw {
		dst, err = appendRevoked(dst, raw)
	} else {
		dst, err = appendCompact(dst, raw)
	}
	if err != nil {
		return dst[:start], intel.Outcome{Status: intel.Rejected, Reason: "encode", Detail: err.Error(), Sent: raw}
	}
	return append(dst, '\n'), intel.Outcome{Status: intel.Delivered}
}

// appendCompact appends a JSON value without insignificant white space.
func appendCompact(dst, raw []byte) ([]byte, error) {
	return jsontext.AppendFormat(dst, raw, tolerant, jsontext.AllowDuplicateNames(true))
}

var errNoObject = errors.New("not a JSON object")

// appendRevoked appends the JSON object raw with its member revoked set to true.
func appendRevoked(dst, raw []byte) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), tolerant, jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return dst, errNoObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	for dec.PeekKind() == '"' {
		// A value stays valid only until the next read, so each is appended first.
		name, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		before := len(dst)
		if dst, err = appendCompact(dst, name); err != nil {
			return dst, err
		}
		skip := string(dst[before:]) == `"revoked"`
		dst = append(dst, ':')
		value, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		if skip {
			dst = dst[:before]
			continue
		}
		if dst, err = appendCompact(dst, value); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	if _, err := dec.ReadToken(); err != nil {
		return dst, err
	}
	return append(dst, `"revoked":true}`...), nil
}
