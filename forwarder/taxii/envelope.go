package taxii

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxMember bounds what is kept of a top-level member other than objects: the
// next token above all, which some servers build from whole states.
const maxMember = 64 << 10

// Reasons why a body is no envelope.
var (
	errHTML     = errors.New("the answer is an HTML page, not TAXII")
	errUTF16    = errors.New("the answer is encoded as UTF-16; JSON is UTF-8")
	errNotJSON  = errors.New("the answer is not a JSON object")
	errNoObject = errors.New("objects is neither a list nor null")
)

// A said is a boolean that may be absent.
type said int8

const (
	unsaid said = iota
	no
	yes
)

// An envelope is what a page says besides its objects (TAXII 2.1 §3.7), or
// a STIX bundle, which some servers send instead and which has only objects.
type envelope struct {
	more said
	next string
	// problem is set when the body reads like an error in spite of its status.
	problem string
}

// readEnvelope reads one body from r. Each member of objects goes to entry when
// it is a valid JSON object and to broken otherwise, in order; both may be
// given only a bounded prefix of what they are told about. raw is a slice of a
// block that stays as it is. An error of entry or broken ends the reading and
// is returned as it is.
//
// An empty body is an empty envelope. Whatever follows the envelope is ignored.
func readEnvelope(r io.Reader, maxObject int, entry func(raw []byte) error, broken func(why string, raw []byte) error) (envelope, *scanner, error) {
	d := &envelopeReader{s: newScanner(r, maxObject), max: maxObject, entry: entry, broken: broken}
	err := d.read()
	return d.env, d.s, err
}

type envelopeReader struct {
	s      *scanner
	max    int
	entry  func(raw []byte) error
	broken func(why string, raw []byte) error

	env     envelope
	n       int               // entries of objects so far
	objects bool              // there was an objects member
	others  map[string][]byte // what else was there, for an error's text
}

func (d *envelopeReader) read() error {
	if done, err := d.begin(); done || err != nil {
		return err
	}
	s := d.s
	s.pos++ // {
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch c {
		case '}':
			s.pos++
			if !d.objects && d.others != nil {
				d.env.problem = d.errorText()
			}
			return nil
		case ',':
			s.pos++
		case '"':
			if err := d.member(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %q where a member's name should be, after %d bytes", errNotJSON, c, d.offset())
		}
	}
}

// begin looks at what kind of body this is. done means that it is empty.
func (d *envelopeReader) begin() (done bool, err error) {
	s := d.s
	c, err := s.peek()
	if err == errShort && s.read == int64(s.pos) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if c == 0xEF { // a byte order mark
		for s.end-s.pos < 3 && s.fill() {
		}
		if bytes.HasPrefix(s.buf[s.pos:s.end], []byte("\xEF\xBB\xBF")) {
			s.pos += 3
			if c, err = s.peek(); err != nil {
				return err == errShort, nil
			}
		}
	}
	switch c {
	case '{':
		return false, nil
	case '<':
		return false, errHTML
	case 0xFF, 0xFE, 0:
		return false, errUTF16
	}
	for s.end-s.pos < 80 && s.fill() {
	}
	return false, fmt.Errorf("%w but begins %q", errNotJSON, s.buf[s.pos:min(s.end, s.pos+40)])
}

func (d *envelopeReader) offset() int64 { return d.s.read - int64(d.s.end-d.s.pos) }

// member reads one name and its value.
func (d *envelopeReader) member() error {
	s := d.s
	s.limit = maxMember
	defer func() { s.limit = d.max }()
	raw, err := s.value()
	if err != nil {
		return err
	}
	name := unquote(raw)
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != ':' {
		return fmt.Errorf("%w: %q after the name %q, after %d bytes", errNotJSON, c, short(name), d.offset())
	}
	s.pos++
	if name == "objects" || name == "items" { // MITRE said items for a while
		s.limit = d.max
		return d.list()
	}
	value, err := s.value()
	if err != nil {
		return err
	}
	switch name {
	case "more":
		d.env.more = readSaid(value)
	case "next":
		d.env.next = scalarText(value)
	case "type", "id", "spec_version": // of a bundle
	default:
		if d.others == nil {
			d.others = map[string][]byte{}
		}
		if len(d.others) < 32 && len(value) <= 4<<10 {
			d.others[name] = value
		}
	}
	return nil
}

// list reads the value of objects.
func (d *envelopeReader) list() error {
	s := d.s
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '[':
		s.pos++
	case '{': // a single object, not in a list
		d.objects = true
		return d.one()
	case 'n':
		d.objects = true
		_, err := s.value()
		return err
	default:
		return fmt.Errorf("%w but begins with %q", errNoObject, c)
	}
	d.objects = true
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch c {
		case ']':
			s.pos++
			return nil
		case ',':
			s.pos++
		case '}', ':':
			return fmt.Errorf("%w: %q within objects, after %d bytes", errNotJSON, c, d.offset())
		default:
			if err := d.one(); err != nil {
				return err
			}
		}
	}
}

var lenient = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// one reads one entry of objects.
func (d *envelopeReader) one() error {
	from := d.offset()
	raw, err := d.s.value()
	if err != nil {
		return err
	}
	d.n++
	switch {
	case raw == nil:
		return d.broken(fmt.Sprintf("entry %d: an object of %d bytes is longer than the limit of %d", d.n, d.offset()-from, d.max), nil)
	case raw[0] != '{':
		return d.broken(fmt.Sprintf("entry %d: %s where an object should be", d.n, kindName(raw[0])), raw)
	case !jsontext.Value(raw).IsValid(lenient...):
		return d.broken(fmt.Sprintf("entry %d: not valid JSON: %s", d.n, whyInvalid(raw)), raw)
	}
	return d.entry(raw)
}

// whyInvalid says what is wrong with an entry.
func whyInvalid(raw []byte) string {
	v := jsontext.Value(bytes.Clone(raw))
	err := v.Compact(lenient...)
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%v at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return "malformed"
}

func kindName(c byte) string {
	switch jsontext.Kind(c) {
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a scalar"
}

// errorText renders the members that are not those of an envelope as an error,
// if they read like one.
func (d *envelopeReader) errorText() string {
	body, err := json.Marshal(rawMembers(d.others))
	if err != nil {
		return ""
	}
	return errorText(body)
}

func rawMembers(m map[string][]byte) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(m))
	for k, v := range m {
		if json.Valid(v) {
			out[k] = v
		}
	}
	return out
}

// readSaid reads a boolean as servers write it.
func readSaid(v []byte) said {
	switch scalarText(v) {
	case "true", "True", "1":
		return yes
	case "false", "False", "0":
		return no
	}
	return unsaid
}

// scalarText returns the text of a string, number or boolean, and "" for null
// and everything else.
func scalarText(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	switch c := v[0]; {
	case c == '"':
		return unquote(v)
	case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f':
		return string(v)
	}
	return ""
}

// unquote returns the text of a JSON string; of a malformed one what it can.
func unquote(raw []byte) string {
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && len(text) == 0 && len(raw) > 2 {
		return string(raw[1 : len(raw)-1])
	}
	return string(text)
}

func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return strconv.QuoteToASCII(s)[1 : len(strconv.QuoteToASCII(s))-1]
}
