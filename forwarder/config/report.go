package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Severity says whether a configuration can be used in spite of a diagnostic.
type Severity uint8

// The severities.
const (
	Error Severity = iota + 1
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Diagnostic is one thing wrong, or unwise, in a configuration. It holds no
// secret.
type Diagnostic struct {
	Severity Severity
	Summary  string // lower case, without a full stop
	Detail   string // what to do; may be empty
	File     string
	Line     int    // from 1; 0 = the file as a whole
	Column   int    // from 1
	Block    string // the block it is in, such as feed "x"; may be empty
	Source   string // the line, without what may be secret
	mark     [2]int // columns of Source to underline, from 0, exclusive; equal = none
}

// Text returns the diagnostic in one line, without its place.
func (d Diagnostic) Text() string {
	if d.Detail == "" {
		return d.Summary
	}
	return d.Summary + ": " + d.Detail
}

// Place returns "file:line", or the file alone.
func (d Diagnostic) Place() string {
	if d.Line == 0 {
		return d.File
	}
	return fmt.Sprintf("%s:%d", d.File, d.Line)
}

// Report is everything there is to say about a configuration.
type Report struct {
	// Diagnostics are in the order of the file.
	Diagnostics []Diagnostic
}

// HasErrors reports whether the configuration can not be used.
func (r *Report) HasErrors() bool { return r.count(Error) > 0 }

func (r *Report) count(s Severity) int {
	n := 0
	for _, d := range r.Diagnostics {
		if d.Severity == s {
			n++
		}
	}
	return n
}

// Summary returns the report in one line: the counts and the first error.
func (r *Report) Summary() string {
	errors, warnings := r.count(Error), r.count(Warning)
	if errors == 0 {
		return plural(warnings, "warning")
	}
	text := plural(errors, "error")
	if warnings > 0 {
		text += " and " + plural(warnings, "warning")
	}
	for _, d := range r.Diagnostics {
		if d.Severity == Error {
			where := ""
			if d.Line > 0 {
				where = fmt.Sprintf("line %d: ", d.Line)
			}
			if errors > 1 {
				text += "; the first is"
			} else {
				text += " in it"
			}
			return text + ": " + where + d.Text()
		}
	}
	return text
}

// Warnings returns the warnings, a line each, for a log.
func (r *Report) Warnings() []string {
	var out []string
	for _, d := range r.Diagnostics {
		if d.Severity == Warning {
			out = append(out, d.Place()+": "+d.Text())
		}
	}
	return out
}

// WriteTo writes every diagnostic with its source line. width is the
// terminal's, 0 = do not wrap.
func (r *Report) WriteTo(w io.Writer, color bool, width int) error {
	var b strings.Builder
	paint := func(code, s string) string {
		if !color || s == "" {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	for _, d := range r.Diagnostics {
		code := "1;31"
		if d.Severity == Warning {
			code = "1;33"
		}
		b.WriteString(paint(code, d.Severity.String()+":") + " " + paint("1", d.Summary) + "\n")
		b.WriteString("  " + d.Place())
		if d.Block != "" {
			b.WriteString(", in " + d.Block)
		}
		b.WriteString("\n")
		if d.Source != "" {
			number := fmt.Sprintf("%5d", d.Line)
			b.WriteString(number + paint("2", " | ") + d.Source + "\n")
			if d.mark[1] > d.mark[0] {
				b.WriteString(strings.Repeat(" ", len(number)) + paint("2", " | ") +
					strings.Repeat(" ", d.mark[0]) + paint(code, strings.Repeat("^", d.mark[1]-d.mark[0])) + "\n")
			}
		}
		if d.Detail != "" {
			b.WriteString(wrap(d.Detail, width))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap indents text by two and breaks it at width.
func wrap(text string, width int) string {
	const indent = "  "
	var b strings.Builder
	col := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case col == 0:
			b.WriteString(indent)
			col = len(indent)
		case width > 0 && col+1+n > width:
			b.WriteString("\n" + indent)
			col = len(indent)
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	b.WriteByte('\n')
	return b.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
