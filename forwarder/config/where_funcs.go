package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
)

// usages are what a filter can call.
var usages = map[string]string{
	"contains":    "contains(list, x)",
	"anyof":       "anyof(list, list)",
	"startswith":  "startswith(x, text)",
	"endswith":    "endswith(x, text)",
	"strcontains": "strcontains(x, text)",
	"matches":     "matches(regex, x)",
	"lower":       "lower(x)",
	"upper":       "upper(x)",
	"length":      "length(x)",
	"ago":         "ago(duration)",
}

// builders compile a call once its arguments are compiled and counted.
var builders = map[string]func(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value{
	"contains":    buildContains,
	"anyof":       buildAnyOf,
	"startswith":  buildTextTest(strings.HasPrefix),
	"endswith":    buildTextTest(strings.HasSuffix),
	"strcontains": buildTextTest(strings.Contains),
	"matches":     buildMatches,
	"lower":       buildTextMap(strings.ToLower),
	"upper":       buildTextMap(strings.ToUpper),
	"length":      buildLength,
	"ago":         buildAgo,
}

func (c *compiler) call(e *hclsyntax.FunctionCallExpr) value {
	args := make([]value, len(e.Args))
	ok := true
	for i, a := range e.Args {
		args[i] = c.compile(a)
		ok = ok && args[i].kind != kindInvalid
	}
	usage, known := usages[e.Name]
	want := strings.Count(usage, ",") + 1
	switch {
	case !known:
		advice := "there are " + strings.Join(slices.Sorted(maps.Values(usages)), ", ")
		if s := suggest(e.Name, slices.Sorted(maps.Keys(usages))); s != "" {
			advice = "did you mean " + usages[s] + "?"
		}
		return c.flaw(e, fmt.Sprintf("there is no function %q in a filter", e.Name), advice)
	case e.ExpandFinal || len(args) != want:
		return c.flaw(e, fmt.Sprintf("%s takes %s", e.Name, plural(want, "argument")), "write "+usage)
	case !ok:
		return value{}
	}
	return builders[e.Name](c, e, args)
}

// wrongArgument reports an argument of the wrong kind.
func (c *compiler) wrongArgument(e *hclsyntax.FunctionCallExpr, i int, want string, got value) value {
	return c.flaw(e.Args[i], fmt.Sprintf("%s wants %s here, and this is %s", e.Name, want, got.kind.article()),
		"write "+usages[e.Name])
}

func buildContains(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
	list, x := args[0], args[1]
	if list.kind != kindList {
		if list.isText() {
			return c.flaw(e.Args[0], "contains wants a list here, and this is text", "strcontains(x, text) looks into text")
		}
		return c.wrongArgument(e, 0, "a list", list)
	}
	if !x.isText() {
		return c.wrongArgument(e, 1, "text", x)
	}
	l, ok := c.levels(e.Args[0], list.list, x.kind)
	if !ok {
		return value{}
	}
	if x.constant && !c.inVocabulary(e.Args[1], l.vocabulary, x.literal) {
		return value{}
	}
	return boolValue(func(i *intel.Indicator) bool {
		want := x.text(i)
		return want != "" && l.has(i, want)
	})
}

// levels turns a constant list into TLP levels where it is asked for one.
func (c *compiler) levels(at hclsyntax.Node, l *listValue, elements kind) (*listValue, bool) {
	if elements != kindTLP || l.constant == nil {
		return l, true
	}
	levels := make([]string, len(l.constant))
	for i, s := range l.constant {
		var ok bool
		if levels[i], ok = tlpLevel(s); !ok {
			c.flaw(at, fmt.Sprintf("%q is no TLP level", s), "there are clear, green, amber, amber+strict and red")
			return nil, false
		}
	}
	return &listValue{len: l.len, at: func(_ *intel.Indicator, i int) string { return levels[i] }, constant: levels}, true
}

// inVocabulary reports a constant that no element can equal.
func (c *compiler) inVocabulary(at hclsyntax.Node, vocabulary []string, s string) bool {
	if vocabulary == nil || slices.Contains(vocabulary, s) {
		return true
	}
	c.flaw(at, fmt.Sprintf("%q is no observable type", s), didYouMean(s, vocabulary))
	return false
}

func buildAnyOf(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
	for i, a := range args {
		if a.kind != kindList {
			return c.wrongArgument(e, i, "a list", a)
		}
	}
	a, b := args[0].list, args[1].list
	for i, pair := range [][2]*listValue{{a, b}, {b, a}} {
		for _, s := range pair[0].constant {
			if !c.inVocabulary(e.Args[i], pair[1].vocabulary, s) {
				return value{}
			}
		}
	}
	return boolValue(func(i *intel.Indicator) bool {
		for n := range a.len(i) {
			if x := a.at(i, n); x != "" && b.has(i, x) {
				return true
			}
		}
		return false
	})
}

func buildTextTest(test func(s, part string) bool) func(*compiler, *hclsyntax.FunctionCallExpr, []value) value {
	return func(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
		for i, a := range args {
			if !a.isText() {
				return c.wrongArgument(e, i, "text", a)
			}
		}
		x, part := args[0].text, args[1].text
		return boolValue(func(i *intel.Indicator) bool {
			s, p := x(i), part(i)
			return s != "" && p != "" && test(s, p)
		})
	}
}

func buildMatches(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
	pattern, x := args[0], args[1]
	switch {
	case pattern.kind != kindText || !pattern.constant:
		return c.flaw(e.Args[0], "matches wants its regular expression written out", "write matches(\"^text.*\", indicator.name)")
	case !x.isText():
		return c.wrongArgument(e, 1, "text", x)
	}
	re, err := regexp.Compile(pattern.literal)
	if err != nil {
		return c.flaw(e.Args[0], "invalid regular expression", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return boolValue(func(i *intel.Indicator) bool {
		s := x.text(i)
		return s != "" && re.MatchString(s)
	})
}

func buildTextMap(change func(string) string) func(*compiler, *hclsyntax.FunctionCallExpr, []value) value {
	return func(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
		x := args[0]
		if !x.isText() {
			return c.wrongArgument(e, 0, "text", x)
		}
		if x.constant {
			return constText(change(x.literal))
		}
		v := textValue(func(i *intel.Indicator) string { return change(x.text(i)) })
		v.always = x.always
		return v
	}
}

func buildLength(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
	switch x := args[0]; {
	case x.kind == kindList:
		return numValue(func(i *intel.Indicator) float64 { return float64(x.list.distinct(i)) })
	case x.isText():
		return numValue(func(i *intel.Indicator) float64 { return float64(utf8.RuneCountInString(x.text(i))) })
	default:
		return c.wrongArgument(e, 0, "a list or text", x)
	}
}

func buildAgo(c *compiler, e *hclsyntax.FunctionCallExpr, args []value) value {
	x := args[0]
	if x.kind != kindText || !x.constant {
		return c.flaw(e.Args[0], "ago wants a duration written out", `write ago("30d")`)
	}
	d, err := setting.Duration(x.literal).Parse()
	if err != nil {
		return c.flaw(e.Args[0], err.Error(), "")
	}
	now := c.now
	v := timeValue(func(*intel.Indicator) time.Time { return now().Add(-d) })
	v.always = true
	return v
}
