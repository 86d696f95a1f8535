// Package setting holds the value types of configuration blocks that several
// packages share. Their underlying type is string or bool, so that gohcl can
// decode them, but the package knows no HCL.
package setting

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret is a string that must not be shown: a password, token or key. It
// prints as **redacted** with every verb and encoder; Reveal is the one way to
// its text.
type Secret string

const redacted = "**redacted**"

// Reveal returns the secret's text, for use in a request.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret; an empty one prints as nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Format hides the secret from every other verb.
func (s Secret) Format(f fmt.State, verb rune) { fmt.Fprint(f, s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Duration is a length of time as written in the configuration: one or more
// decimal numbers with a unit out of "ms s m h d", as in "90s", "1h30m", "30d".
type Duration string

// Parse returns d's value; it is never negative.
func (d Duration) Parse() (time.Duration, error) {
	rest := strings.TrimSpace(string(d))
	if rest == "" {
		return 0, fmt.Errorf("empty duration; write a number with a unit, such as \"15m\"")
	}
	if rest == "0" {
		return 0, nil
	}
	var total time.Duration
	for rest != "" {
		i := 0
		for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '.') {
			i++
		}
		j := i
		for j < len(rest) && rest[j] >= 'a' && rest[j] <= 'z' {
			j++
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		unit, known := units[rest[i:j]]
		if err != nil || !known {
			return 0, fmt.Errorf("invalid duration %q; write numbers with a unit out of ms, s, m, h, d, such as \"90s\" or \"1h30m\"", string(d))
		}
		part := n * float64(unit)
		if part > float64(maxDuration-total) {
			return 0, fmt.Errorf("duration %q is too long; the most is %d days", string(d), maxDuration/(24*time.Hour))
		}
		total += time.Duration(part)
		rest = rest[j:]
	}
	return total, nil
}

const maxDuration = 36500 * 24 * time.Hour

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// Or returns d's value, or def where d is empty or invalid (validation reports
// the latter).
func (d Duration) Or(def time.Duration) time.Duration {
	if d == "" {
		return def
	}
	v, err := d.Parse()
	if err != nil {
		return def
	}
	return v
}

// Problem is one thing wrong with a decoded configuration block.
type Problem struct {
	// Path names the attribute within the block: "url", "batch.max_events". Empty = the block.
	Path string
	// Message is one lower-case sentence: what is wrong and what to do.
	Message string
}

// Problemf builds a Problem.
func Problemf(path, format string, args ...any) Problem {
	return Problem{Path: path, Message: fmt.Sprintf(format, args...)}
}
