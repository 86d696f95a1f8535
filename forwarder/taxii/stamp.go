package taxii

import (
	"strconv"
	"strings"
	"time"
)

// A stamp is a date that a server gave.
type stamp struct {
	text string // as the server wrote it
	time time.Time
	unit time.Duration // of its last digit, at least a microsecond
}

func (s stamp) ok() bool { return !s.time.IsZero() }

// A Precision is how many digits of a second a server takes in added_after.
// TAXII wants six (§2); some servers refuse all but three, or any.
type Precision int

// The precisions, in the order in which they are tried.
const (
	Microseconds Precision = iota
	Milliseconds
	Seconds
)

var precisions = [...]struct {
	layout string
	unit   time.Duration
}{
	Microseconds: {"2006-01-02T15:04:05.000000Z", time.Microsecond},
	Milliseconds: {"2006-01-02T15:04:05.000Z", time.Millisecond},
	Seconds:      {"2006-01-02T15:04:05Z", time.Second},
}

func (p Precision) unit() time.Duration { return precisions[p].unit }

// format writes t, rounded down: an added_after may be too early, never too late.
func (p Precision) format(t time.Time) string {
	t = t.UTC().Truncate(p.unit())
	return t.Format(precisions[p].layout)
}

// layouts are the ways in which servers have been seen to write dates, besides
// what the specification wants.
var layouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999", // no zone: UTC
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006-01-02T15:04:05.999999999 -0700",
	"2006-01-02T15:04:05.999999999 MST",
	"2006-01-02T15:04:05.999999999Z07:00Z", // Python's isoformat() + "Z"
	"Mon, 02 Jan 2006 15:04:05 MST",        // HTTP
	"Mon, 2 Jan 2006 15:04:05 -0700",       // mail
	"Monday, 02-Jan-06 15:04:05 MST",       // RFC 850
	"Mon Jan 02 2006 15:04:05 GMT-0700",    // JavaScript's Date.toString
	"Mon Jan _2 15:04:05 2006",             // C's asctime
}

// parseStamp reads a date leniently. What is no date at all, such as
// "undefined", "None" or "Invalid Date", is not ok.
func parseStamp(text string) (stamp, bool) {
	s := strings.Trim(strings.TrimSpace(text), `"'`)
	if len(s) < 8 || len(s) > 80 {
		return stamp{}, false
	}
	if i := strings.IndexByte(s, '('); i > 0 { // "(Coordinated Universal Time)"
		s = strings.TrimSpace(s[:i])
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return unixStamp(text, n)
	}
	if len(s) > 10 && s[4] == '-' && s[7] == '-' {
		b := []byte(strings.ToUpper(s))
		if b[10] == ' ' {
			b[10] = 'T'
		}
		s = string(b)
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		// Go takes an abbreviation that it does not know for UTC.
		if zone, _ := t.Zone(); strings.HasSuffix(layout, "MST") && zone != "UTC" && zone != "GMT" {
			continue
		}
		if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
			return stamp{}, false
		}
		return stamp{text: text, time: t, unit: unitOf(s)}, true
	}
	return stamp{}, false
}

// unixStamp reads seconds or milliseconds since 1970.
func unixStamp(text string, n float64) (stamp, bool) {
	switch {
	case n >= 1e8 && n < 1e11:
		unit := time.Second
		if n != float64(int64(n)) {
			unit = time.Microsecond
		}
		return stamp{text: text, time: time.UnixMicro(int64(n * 1e6)).UTC(), unit: unit}, true
	case n >= 1e11 && n < 1e14:
		return stamp{text: text, time: time.UnixMicro(int64(n * 1e3)).UTC(), unit: time.Millisecond}, true
	}
	return stamp{}, false
}

// unitOf returns what the last digit of a date's seconds stands for.
func unitOf(s string) time.Duration {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return time.Second
	}
	unit := time.Second
	for _, c := range s[i+1:] {
		if c < '0' || c > '9' {
			break
		}
		unit /= 10
	}
	return max(unit, time.Microsecond)
}

// exact makes a stamp of a time that did not come from a header.
func exact(t time.Time) stamp {
	return stamp{text: Microseconds.format(t), time: t.UTC().Truncate(time.Microsecond), unit: time.Microsecond}
}
