package stix

import (
	"strings"
	"unicode/utf8"
)

// A lexer cuts a pattern into tokens by longest match. It never looks back, so
// that its time is linear in the pattern's length.
type lexer struct {
	src string
	pos int
}

func (l *lexer) next() token {
	if !l.space() {
		return token{kind: tokenInvalid, offset: l.pos, text: "/*"}
	}
	start := l.pos
	if start >= len(l.src) {
		return token{kind: tokenEnd, offset: start}
	}
	kind, size := l.match()
	l.pos += size
	return token{kind: kind, offset: start, text: l.src[start:l.pos]}
}

// match returns the kind and length of the token at the current position.
func (l *lexer) match() (tokenKind, int) {
	rest := l.src[l.pos:]
	switch c := rest[0]; c {
	case '[':
		return tokenLeftBracket, 1
	case ']':
		return tokenRightBracket, 1
	case '(':
		return tokenLeftParen, 1
	case ')':
		return tokenRightParen, 1
	case ':':
		return tokenColon, 1
	case ',':
		return tokenComma, 1
	case '*':
		return tokenStar, 1
	case '\'':
		if n := quoted(rest); n > 0 {
			return tokenString, n
		}
	case '=':
		if strings.HasPrefix(rest, "==") {
			return tokenEqual, 2
		}
		return tokenEqual, 1
	case '!':
		if strings.HasPrefix(rest, "!=") {
			return tokenNotEqual, 2
		}
	case '<':
		if strings.HasPrefix(rest, "<=") {
			return tokenLessEqual, 2
		}
		if strings.HasPrefix(rest, "<>") {
			return tokenNotEqual, 2
		}
		return tokenLess, 1
	case '>':
		if strings.HasPrefix(rest, ">=") {
			return tokenGreaterEqual, 2
		}
		return tokenGreater, 1
	case '.', '+', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if kind, n := number(rest); n > 0 {
			return kind, n
		}
		if c == '.' {
			return tokenDot, 1
		}
	default:
		if nameStart(c) {
			return name(rest)
		}
	}
	_, n := utf8.DecodeRuneInString(rest)
	return tokenInvalid, n
}

// space skips white space and comments. It reports false at a comment that does
// not end.
func (l *lexer) space() bool {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			l.pos++
		case c == '/' && strings.HasPrefix(l.src[l.pos:], "//"):
			n := strings.IndexAny(l.src[l.pos:], "\r\n")
			if n < 0 {
				l.pos = len(l.src)
				return true
			}
			l.pos += n
		case c == '/' && strings.HasPrefix(l.src[l.pos:], "/*"):
			n := strings.Index(l.src[l.pos+2:], "*/")
			if n < 0 {
				return false
			}
			l.pos += n + 4
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(l.src[l.pos:])
			if !unicodeSpace(r) {
				return true
			}
			l.pos += n
		default:
			return true
		}
	}
	return true
}

// unicodeSpace is the grammar's list of white space beyond ASCII.
func unicodeSpace(r rune) bool {
	switch r {
	case 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200A
}

func nameStart(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func digit(c byte) bool { return c-'0' <= 9 }

// name matches a name, a keyword, or one of the literals that begin with a
// letter.
func name(s string) (tokenKind, int) {
	n, hyphen := 1, false
	for n < len(s) && (nameStart(s[n]) || digit(s[n]) || s[n] == '-') {
		hyphen = hyphen || s[n] == '-'
		n++
	}
	if n == 1 && len(s) > 1 && s[1] == '\'' {
		switch s[0] {
		case 'h':
			if m := hexLiteral(s); m > 0 {
				return tokenHex, m
			}
		case 'b':
			if m := binaryLiteral(s); m > 0 {
				return tokenBinary, m
			}
		case 't':
			if m := timestampLiteral(s); m > 0 {
				return tokenTimestamp, m
			}
		}
	}
	if hyphen {
		return tokenHyphenName, n
	}
	return keyword(s[:n]), n
}

// number matches [+-]? (0|[1-9]\d*) or [+-]? \d* '.' \d+, whichever is longer;
// 0 if neither.
func number(s string) (tokenKind, int) {
	i := 0
	if s[0] == '+' || s[0] == '-' {
		i++
	}
	start := i
	for i < len(s) && digit(s[i]) {
		i++
	}
	if i+1 < len(s) && s[i] == '.' && digit(s[i+1]) {
		for i++; i < len(s) && digit(s[i]); i++ {
		}
		return tokenFloat, i
	}
	switch {
	case i == start:
		return tokenInvalid, 0
	case s[start] == '0':
		return tokenInt, start + 1
	}
	return tokenInt, i
}

// quoted returns the length of the string literal that s starts with, 0 if it
// is none: it does not end, or has a backslash before anything but ' and \.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\'':
			return i + 1
		case '\\':
			if i++; i >= len(s) || s[i] != '\'' && s[i] != '\\' {
				return 0
			}
		}
	}
	return 0
}

// hexLiteral matches h'…' with an even number of hex digits, none included.
func hexLiteral(s string) int {
	i := 2
	for i < len(s) && (digit(s[i]) || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'f') {
		i++
	}
	if i < len(s) && s[i] == '\'' && i%2 == 0 {
		return i + 1
	}
	return 0
}

// binaryLiteral matches b'…' with padded, non-empty base64.
func binaryLiteral(s string) int {
	i := 2
	for i < len(s) && (digit(s[i]) || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] == '+' || s[i] == '/') {
		i++
	}
	for pad := 0; pad < 2 && i < len(s) && s[i] == '='; pad++ {
		i++
	}
	if i > 2 && i < len(s) && s[i] == '\'' && (i-2)%4 == 0 {
		return i + 1
	}
	return 0
}

// timestampLiteral matches t'…'.
func timestampLiteral(s string) int {
	end := strings.IndexByte(s[2:min(len(s), maxTimestamp)], '\'')
	if end < 0 || !isTimestamp(s[2:2+end]) {
		return 0
	}
	return end + 3
}

// maxTimestamp bounds how far a time stamp's end is looked for, so that many
// unended ones do not make the lexer quadratic.
const maxTimestamp = 1024

// isTimestamp matches YYYY-MM-DDTHH:MM:SS[.fraction]Z as the grammar has it:
// ranges are checked, the calendar is not, and second 60 is allowed.
func isTimestamp(s string) bool {
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return false
	}
	_, ok := digits(s, 0, 4)
	within := func(at, low, high int) {
		v, valid := digits(s, at, 2)
		ok = ok && valid && v >= low && v <= high
	}
	within(5, 1, 12)
	within(8, 1, 31)
	within(11, 0, 23)
	within(14, 0, 59)
	within(17, 0, 60)
	if fraction := s[19 : len(s)-1]; fraction != "" {
		ok = ok && len(fraction) > 1 && fraction[0] == '.'
		for i := 1; i < len(fraction); i++ {
			ok = ok && digit(fraction[i])
		}
	}
	return ok
}
