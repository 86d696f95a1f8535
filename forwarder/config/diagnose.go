package config

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

func (l *loader) errorAt(rng hcl.Range, summary, detail string) {
	l.diagnose(Error, rng, summary, detail)
}

func (l *loader) warnAt(rng hcl.Range, summary, detail string) {
	l.diagnose(Warning, rng, summary, detail)
}

func (l *loader) diagnose(s Severity, rng hcl.Range, summary, detail string) {
	d := Diagnostic{Severity: s, Summary: summary, Detail: detail, File: l.path}
	if rng.Filename != "" {
		d.Line, d.Column = rng.Start.Line, rng.Start.Column
		d.Block = l.src.enclosing(rng.Start)
		d.Source, d.mark = l.src.quote(rng)
	}
	l.diags = append(l.diags, d)
}

// add takes over the HCL library's diagnostics in our style.
func (l *loader) add(diags hcl.Diagnostics) {
	meant := map[string]bool{} // what misspelt names were taken for
	for _, d := range diags {
		if d.Summary == "Unsupported argument" {
			_, name, _ := strings.Cut(d.Detail, "Did you mean ")
			meant[strings.TrimSuffix(name, "?")] = true
		}
	}
	unclosed := false
	for _, d := range diags {
		rng := hcl.Range{}
		if d.Subject != nil {
			rng = *d.Subject
		}
		severity, summary, detail := Error, lowerFirst(d.Summary), d.Detail
		switch d.Summary {
		case "Unsuitable value type":
			// A function that gave an error is followed by this.
			if strings.Contains(detail, "value must be known") {
				continue
			}
			detail = strings.TrimPrefix(detail, "Unsuitable value: ")
			if d.Context != nil { // the subject is the value's beginning only
				rng = *d.Context
			}
		case "Missing required argument":
			_, name, _ := strings.Cut(detail, "The argument ")
			name, _, _ = strings.Cut(name, " is required")
			if meant[name] {
				continue
			}
			summary, detail = strings.Trim(name, `"`)+" is missing", ""
			rng = l.src.header(rng)
		case "Error in function call":
			summary = "a function gave no value"
			if _, reason, ok := strings.Cut(detail, " failed: "); ok {
				detail = strings.TrimSuffix(reason, ".")
			}
		case "Call to unknown function":
			detail += " There are env, file and credential."
		case "Variables not allowed":
			detail = `there are no variables; text is written in quotes, and env("NAME"), file("path") and credential("name") bring values in`
		case "Invalid multi-line string", "Unterminated template string":
			// One quote that is missing makes nonsense of every line that follows.
			if unclosed {
				continue
			}
			unclosed = true
		}
		if d.Severity == hcl.DiagWarning {
			severity = Warning
		}
		if rng.Filename != "" {
			l.parsed = append(l.parsed, rng)
		}
		l.diagnose(severity, rng, summary, detail)
	}
}

// incomplete reports whether the HCL library found fault within a range: what
// is missing there may just be misspelt.
func (l *loader) incomplete(in hcl.Range) bool {
	return slices.ContainsFunc(l.parsed, func(r hcl.Range) bool { return in.Overlaps(r) || in.ContainsPos(r.Start) })
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

// finish sorts the diagnostics, drops repetitions and takes out every secret.
// What a function returned counts as one wherever it was used: it may have
// been put into the wrong attribute.
func (l *loader) finish() []Diagnostic {
	slices.SortStableFunc(l.diags, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail))
	})
	l.diags = slices.Compact(l.diags)

	// The longest first, so that no part of one stays when another is within it.
	slices.SortFunc(l.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, s := range l.secrets {
		if len(s) < 4 { // no secret, and likely to be part of a word
			continue
		}
		for i := range l.diags {
			d := &l.diags[i]
			for _, text := range []*string{&d.Summary, &d.Detail, &d.Source, &d.Block} {
				if strings.Contains(*text, s) {
					*text = strings.ReplaceAll(*text, s, "**redacted**")
					d.mark = [2]int{}
				}
			}
		}
	}
	return l.diags
}
