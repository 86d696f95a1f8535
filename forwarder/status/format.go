package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Count writes n with a space between thousands: "1 234 567".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Bytes writes n in the largest decimal unit that leaves a number above one.
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if v /= 1000; v < 999.5 {
			return strconv.FormatFloat(v, 'g', 3, 64) + " " + unit
		}
	}
	return strconv.FormatFloat(v/1000, 'f', 1, 64) + " TB"
}

// Span writes a length of time in its two largest units: "3d 4h", "90s" as
// "1m 30s". Less than a second is "0s".
func Span(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size && u.size > time.Second {
			continue
		}
		s := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				s += fmt.Sprintf(" %d%s", rest, units[i+1].name)
			}
		}
		return s
	}
	return "0s"
}

// Ago writes when t was, seen from now: "3m ago", "in 12s", "never".
func Ago(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now):
		return "in " + Span(t.Sub(now))
	}
	return Span(now.Sub(t)) + " ago"
}

// Lag writes a lag in seconds; a negative one is unknown.
func Lag(seconds int64) string {
	if seconds < 0 {
		return "-"
	}
	return Span(time.Duration(seconds) * time.Second)
}

// clean makes text from a server harmless on a terminal: no control characters,
// no escape sequences, nothing that reorders what stands beside it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r == unicode.ReplacementChar, !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
