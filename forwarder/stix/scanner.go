package stix

import (
	"errors"
	"fmt"
)

// maxNesting is how deep arrays and objects may nest, as in encoding/json.
const maxNesting = 10_000

// A scanner walks the members of one JSON object in a single pass, without
// building anything for the values that nobody asks for. It checks the whole
// text against RFC 8259 on the way, except that invalid UTF-8, lone surrogates
// and repeated names are let through: a feed's stray byte is no reason to lose
// an indicator, but what is accepted here is embedded in other JSON later.
//
// The first error sticks; every method is a no-op after it.
type scanner struct {
	buf []byte
	// text is buf as a string, when decoded strings may alias it; else "".
	text  string
	pos   int
	depth int
	err   error
}

var errTruncated = errors.New("unexpected end of JSON")

func (s *scanner) fail(what string) {
	if s.err != nil {
		return
	}
	if s.pos >= len(s.buf) {
		s.err = errTruncated
		return
	}
	s.err = fmt.Errorf("invalid JSON at byte %d: %s", s.pos, what)
}

// peek skips white space and returns the next byte, 0 at the end or after an
// error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// enter consumes the opening bracket and reports whether something is inside.
func (s *scanner) enter(open, end byte) bool {
	if s.peek() != open {
		s.fail("want " + string(rune(open)))
		return false
	}
	s.pos++
	if s.depth++; s.depth > maxNesting {
		s.fail("nested too deep")
		return false
	}
	if s.peek() == end {
		s.pos++
		s.depth--
		return false
	}
	return s.err == nil
}

// more consumes a comma or the closing bracket and reports whether another
// element follows.
func (s *scanner) more(end byte) bool {
	switch s.peek() {
	case ',':
		s.pos++
		return true
	case end:
		s.pos++
		s.depth--
		return false
	}
	s.fail("want , or " + string(rune(end)))
	return false
}

// firstMember enters an object and reads its first name, nextMember reads the
// following ones. The value must be consumed before nextMember is called.
func (s *scanner) firstMember() ([]byte, bool) {
	if !s.enter('{', '}') {
		return nil, false
	}
	return s.memberName()
}

func (s *scanner) nextMember() ([]byte, bool) {
	if !s.more('}') {
		return nil, false
	}
	return s.memberName()
}

func (s *scanner) memberName() ([]byte, bool) {
	if s.peek() != '"' {
		s.fail("want a member name")
		return nil, false
	}
	from, to, escaped := s.stringSpan()
	if s.peek() != ':' {
		s.fail("want :")
		return nil, false
	}
	s.pos++
	name := s.buf[from:to]
	if escaped {
		name = []byte(unescapeJSON(name))
	}
	return name, true
}

// end reports what is wrong with the whole text, once its value is consumed.
func (s *scanner) end() error {
	if s.err == nil && s.peek() != 0 || s.err == nil && s.pos < len(s.buf) {
		s.fail("something follows the object")
	}
	return s.err
}

// skip consumes one value of any kind.
func (s *scanner) skip() {
	switch s.peek() {
	case '"':
		s.stringSpan()
	case '{':
		for _, ok := s.firstMember(); ok; _, ok = s.nextMember() {
			s.skip()
		}
	case '[':
		for ok := s.enter('[', ']'); ok; ok = s.more(']') {
			s.skip()
		}
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

func (s *scanner) word(w string) {
	if end := s.pos + len(w); end <= len(s.buf) && string(s.buf[s.pos:end]) == w {
		s.pos = end
		return
	}
	s.fail("want " + w)
}

// number consumes a number and returns its text.
func (s *scanner) number() []byte {
	if s.err != nil {
		return nil
	}
	from, i, b := s.pos, s.pos, s.buf
	digits := func() bool {
		start := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		return i > start
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		s.fail("want a value")
		return nil
	}
	if i < len(b) && b[i] == '.' {
		if i++; !digits() {
			s.fail("want a number")
			return nil
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			s.fail("want a number")
			return nil
		}
	}
	s.pos = i
	return b[from:i]
}
