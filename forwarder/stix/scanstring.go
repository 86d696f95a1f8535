package stix

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// stringSpan consumes a string and returns the bounds of its content, and
// whether that has escapes. The caller has seen the opening quote.
func (s *scanner) stringSpan() (from, to int, escaped bool) {
	b, i := s.buf, s.pos+1
	from = i
	for {
		for i+8 <= len(b) {
			if m := stringSpecials(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			s.pos = len(b)
			s.fail("")
			return from, from, false
		}
		switch c := b[i]; {
		case c == '"':
			s.pos = i + 1
			return from, i, escaped
		case c == '\\':
			escaped = true
			n := escapeLen(b[i:])
			if n == 0 {
				s.pos = i
				s.fail("bad escape")
				return from, from, false
			}
			i += n
		case c < 0x20:
			s.pos = i
			s.fail("control character in a string")
			return from, from, false
		default:
			i++
		}
	}
}

// stringSpecials marks the bytes of w that end or interrupt a JSON string:
// quote, backslash, control characters. The lowest mark is always right; higher
// ones may be false, because a borrow runs upwards.
func stringSpecials(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
}

// escapeLen returns the length of the escape sequence that b starts with, 0 if
// it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// string decodes a span that stringSpan returned. Invalid UTF-8 and lone
// surrogates become U+FFFD.
func (s *scanner) string(from, to int, escaped bool) string {
	var text string
	switch {
	case escaped:
		return unescapeJSON(s.buf[from:to])
	case s.text != "":
		text = s.text[from:to]
	default:
		text = string(s.buf[from:to])
	}
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func unescapeJSON(b []byte) string {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		c := b[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		i += 2
		switch c = b[i-1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(b[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if len(b)-i >= 6 && b[i] == '\\' && b[i+1] == 'u' {
					low, _ = hex4(b[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}
