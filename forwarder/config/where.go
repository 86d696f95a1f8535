package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"taxii-forwarder/forwarder/intel"
)

// Where is a compiled filter over indicators.
//
// # Attributes
//
// indicator.NAME, with these names and types:
//
//	id, name, type, pattern_type, created_by, feed, collection   text (type is the STIX type, "indicator")
//	confidence                                                   number, 0 to 100
//	tlp                                                          clear < green < amber < amber+strict < red
//	labels, indicator_types, observable_types                    lists of text
//	created, modified, valid_until                               times
//	revoked                                                      true or false
//
// # Operators
//
// == != < <= > >= && || ! c ? a : b and parentheses, with HCL's precedence. A
// time compares with another time, with text in RFC 3339 ("2026-01-31" and
// "2026-01-31T12:00:00Z") and with ago("30d"). A tlp compares with the name of
// a level, "white" being clear. Lists do not compare: contains and anyof ask
// for their elements.
//
// # What is absent
//
// Producers leave things out. A comparison, or a function, with something
// absent is false; != is the opposite of ==, and so true. == null and != null
// ask for absence itself. An unmarked indicator has no tlp, an empty list is
// absent.
//
// # Functions
//
//	contains(list, x)       x is an element of list
//	anyof(list, list)       the lists have an element in common
//	startswith(x, text)     endswith(x, text)     strcontains(x, text)
//	matches(regex, x)       RE2 syntax, unanchored; regex is written out
//	lower(x), upper(x)      text in lower or upper case
//	length(x)               elements of a list, distinct ones; characters of text
//	ago(duration)           the time that long before now: "90s", "12h", "30d"
type Where struct {
	text  string
	match func(*intel.Indicator) bool
}

// Match reports whether the indicator satisfies the filter; a nil filter lets
// every indicator pass. It is safe for use by several goroutines.
func (w *Where) Match(ind *intel.Indicator) bool { return w == nil || w.match(ind) }

// String returns the filter in a canonical form: two filters that differ in
// spacing, line breaks or comments only have the same one.
func (w *Where) String() string {
	if w == nil {
		return ""
	}
	return w.text
}

// ParseWhere compiles a filter expression. The error names every mistake.
func ParseWhere(text string) (*Where, error) {
	if err := tooDeep([]byte(text), ""); err != nil {
		return nil, fmt.Errorf("filter: %s", err.summary)
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "where", hcl.InitialPos)
	if diags.HasErrors() {
		var errs []error
		for _, d := range diags {
			errs = append(errs, fmt.Errorf("filter: column %d: %s: %s", d.Subject.Start.Column, d.Summary, d.Detail))
		}
		return nil, errors.Join(errs...)
	}
	w, flaws := compileWhere(expr, time.Now)
	if len(flaws) > 0 {
		var errs []error
		for _, f := range flaws {
			text := f.summary
			if f.detail != "" {
				text += ": " + f.detail
			}
			errs = append(errs, fmt.Errorf("filter: column %d: %s", f.rng.Start.Column, text))
		}
		return nil, errors.Join(errs...)
	}
	return w, nil
}

// flaw is a mistake at a position.
type flaw struct {
	rng             hcl.Range
	summary, detail string
}

// compileWhere turns a syntax tree into closures. now is the clock of ago.
func compileWhere(expr hclsyntax.Expression, now func() time.Time) (*Where, []flaw) {
	c := &compiler{now: now}
	x := c.compile(expr)
	if len(c.flaws) == 0 && x.kind != kindBool {
		c.flaw(expr, "a filter has to be true or false, and this is "+x.kind.article(), "compare it with something")
	}
	if len(c.flaws) > 0 {
		return nil, c.flaws
	}
	return &Where{text: printExpr(expr), match: x.truth}, nil
}

// Volatile reports whether the verdict on an indicator can change as time
// passes: the expression asks for an age.
func (w *Where) Volatile() bool { return strings.Contains(w.String(), "ago(") }
