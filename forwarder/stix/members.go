package stix

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// A reader is a scanner that takes the values of members the way feeds send
// them, and notes by name what was not as the specification has it.
type reader struct {
	scanner
	issues []string
}

// The ways in which a member can be odd; an issue reads "member: way".
const (
	oddType    = "wrong type"
	oddValue   = "wrong value"
	oddNull    = "null"
	oddName    = "wrong name"
	oddMissing = "missing"
	oddTime    = "not a time stamp"
)

func (r *reader) note(member, what string) {
	issue := member + ": " + what
	if !slices.Contains(r.issues, issue) {
		r.issues = append(r.issues, issue)
	}
}

// null consumes a null, which STIX does not allow (2.1 §3.1) and which reads as
// an absent member.
func (r *reader) null(member string) bool {
	if r.peek() != 'n' {
		return false
	}
	r.word("null")
	r.note(member, oddNull)
	return true
}

// str reads a string; a number or boolean is taken by its text.
func (r *reader) str(member string, into *string) {
	switch c := r.peek(); {
	case c == '"':
		*into = r.string(r.stringSpan())
	case r.null(member):
	case c == '{' || c == '[':
		r.note(member, oddType)
		r.skip()
	default:
		from := r.pos
		r.skip()
		r.note(member, oddType)
		*into = string(r.buf[from:r.pos])
	}
}

// list reads an array of strings; one string is a list of one.
func (r *reader) list(member string, into *[]string) {
	switch c := r.peek(); {
	case c == '[':
		var out []string
		for ok := r.enter('[', ']'); ok; ok = r.more(']') {
			if r.peek() != '"' {
				r.note(member, oddType)
				r.skip()
				continue
			}
			out = append(out, r.string(r.stringSpan()))
		}
		*into = out
	case c == '"':
		r.note(member, oddType)
		if v := strings.TrimSpace(r.string(r.stringSpan())); v != "" {
			*into = []string{v}
		}
	case r.null(member):
	default:
		r.note(member, oddType)
		r.skip()
	}
}

// each calls visit for every object of an array; a single object is an array of
// one.
func (r *reader) each(member string, visit func()) {
	switch c := r.peek(); {
	case c == '[':
		for ok := r.enter('[', ']'); ok; ok = r.more(']') {
			if r.peek() != '{' {
				r.note(member, oddType)
				r.skip()
				continue
			}
			visit()
		}
	case c == '{':
		r.note(member, oddType)
		visit()
	case r.null(member):
	default:
		r.note(member, oddType)
		r.skip()
	}
}

// timestamp reads a time; what is no time stamp leaves into as it was.
func (r *reader) timestamp(member string, into *time.Time) {
	switch c := r.peek(); {
	case c == '"':
		from, to, escaped := r.stringSpan()
		var t time.Time
		var ok bool
		if escaped {
			t, ok = parseTime(unescapeJSON(r.buf[from:to]))
		} else {
			t, ok = parseTime(r.buf[from:to])
		}
		if !ok {
			r.note(member, oddTime)
			return
		}
		*into = t
	case r.null(member):
	default:
		r.note(member, oddType)
		r.skip()
	}
}

// boolean reads true or false, also as a string or as 0 and 1.
func (r *reader) boolean(member string, into *bool) {
	switch c := r.peek(); {
	case c == 't':
		r.word("true")
		*into = true
	case c == 'f':
		r.word("false")
		*into = false
	case r.null(member):
	default:
		var text string
		r.str(member, &text)
		r.note(member, oddType)
		if v, err := strconv.ParseBool(strings.ToLower(text)); err == nil {
			*into = v
		}
	}
}

// integer reads a whole number; 85.0 and "85" count as one.
func (r *reader) integer(member string, into *int64) bool {
	c := r.peek()
	var text string
	switch {
	case c == '"':
		r.note(member, oddType)
		text = strings.TrimSpace(r.string(r.stringSpan()))
	case c == '-' || c >= '0' && c <= '9':
		text = string(r.number())
	case r.null(member):
		return false
	default:
		r.note(member, oddType)
		r.skip()
		return false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*into = n
		return true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != f || f < -1<<62 || f > 1<<62 {
		r.note(member, oddValue)
		return false
	}
	r.note(member, oddType)
	*into = int64(f + 0.5)
	if f < 0 {
		*into = int64(f - 0.5)
	}
	return true
}
