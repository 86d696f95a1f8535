package elasticsearch

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// writer appends JSON to b. Members are written in the order of the calls;
// empty values are left out, and so is an object that stays empty.
type writer struct{ b []byte }

// comma separates the next member or element from the one before it.
func (w *writer) comma() {
	if c := w.b[len(w.b)-1]; c != '{' && c != '[' {
		w.b = append(w.b, ',')
	}
}

// key begins a member. name must need no escaping.
func (w *writer) key(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// open begins a member that is an object; the result goes to [writer.close].
func (w *writer) open(name string) int {
	start := len(w.b)
	w.key(name)
	w.b = append(w.b, '{')
	return start
}

// close ends an object, or takes it back when nothing was written into it.
func (w *writer) close(start int) {
	if w.b[len(w.b)-1] == '{' {
		w.b = w.b[:start]
		return
	}
	w.b = append(w.b, '}')
}

// quote appends a string literal; invalid UTF-8 becomes U+FFFD.
func (w *writer) quote(s string) {
	if !plain(s) {
		w.b, _ = jsontext.AppendQuote(w.b, s)
		return
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

// plain reports whether s stands for itself in JSON: ASCII without control
// characters, quotes and backslashes, as nearly every string here. It looks at
// eight bytes at a time.
func plain(s string) bool {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	for len(s) >= 8 {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := x^ones*'"', x^ones*'\\'
		// The high bit of each byte: not ASCII, below space, or equal to one of the two.
		if (x|(x-ones*' ')|(quote-ones)|(slash-ones))&high != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (w *writer) string(name, value string) {
	if value != "" {
		w.key(name)
		w.quote(value)
	}
}

func (w *writer) int(name string, value int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

func (w *writer) true(name string, value bool) {
	if value {
		w.key(name)
		w.b = append(w.b, "true"...)
	}
}

// time writes RFC 3339 in UTC, which a date field reads as
// strict_date_optional_time. Years that this format can not hold are left out.
func (w *writer) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return
	}
	w.key(name)
	w.b = append(w.b, '"')
	w.b = appendTime(w.b, t)
	w.b = append(w.b, '"')
}

// appendTime formats a time of the years 1 to 9999 in UTC with three decimals,
// or six where it has microseconds. It does what t.AppendFormat would, in a
// third of the time; documents hold many times.
func appendTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	if micros := t.Nanosecond() / 1000; micros%1000 == 0 {
		dst = appendDigits(append(dst, '.'), micros/1000, 3)
	} else {
		dst = appendDigits(append(dst, '.'), micros, 6)
	}
	return append(dst, 'Z')
}

func appendDigits(dst []byte, n, width int) []byte {
	start := len(dst)
	dst = append(dst, "000000"[:width]...)
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// strings writes an array, leaving out what is empty.
func (w *writer) strings(name string, values []string) {
	start := len(w.b)
	w.key(name)
	w.b = append(w.b, '[')
	empty := true
	for _, v := range values {
		if v != "" {
			w.comma()
			w.quote(v)
			empty = false
		}
	}
	if empty {
		w.b = w.b[:start]
		return
	}
	w.b = append(w.b, ']')
}
