package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"taxii-forwarder/forwarder/intel"
)

// compiler compiles one filter and gathers its flaws.
type compiler struct {
	now   func() time.Time
	flaws []flaw
}

// flaw reports a mistake and returns the value to go on with.
func (c *compiler) flaw(at hclsyntax.Node, summary, detail string) value {
	c.flaws = append(c.flaws, flaw{at.Range(), summary, detail})
	return value{}
}

func (c *compiler) compile(expr hclsyntax.Expression) value {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return c.compile(e.Expression)
	case *hclsyntax.LiteralValueExpr:
		return c.literal(e)
	case *hclsyntax.TemplateExpr:
		if s, ok := plainText(e); ok {
			return constText(s)
		}
		return c.flaw(e, "text with ${…} in it", "a filter takes plain text only")
	case *hclsyntax.TemplateWrapExpr:
		return c.flaw(e, "text with ${…} in it", "write the expression without quotes")
	case *hclsyntax.ScopeTraversalExpr:
		return c.attribute(e)
	case *hclsyntax.UnaryOpExpr:
		return c.unary(e)
	case *hclsyntax.BinaryOpExpr:
		return c.binary(e)
	case *hclsyntax.ConditionalExpr:
		return c.conditional(e)
	case *hclsyntax.TupleConsExpr:
		return c.tuple(e)
	case *hclsyntax.FunctionCallExpr:
		return c.call(e)
	case *hclsyntax.IndexExpr, *hclsyntax.SplatExpr, *hclsyntax.RelativeTraversalExpr:
		return c.flaw(e, "lists have no indices in a filter", "ask with contains(list, x) or anyof(list, list)")
	}
	return c.flaw(expr, "this can not be used in a filter", "")
}

func plainText(e *hclsyntax.TemplateExpr) (string, bool) {
	text := ""
	for _, part := range e.Parts {
		lit, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || lit.Val.Type() != cty.String || lit.Val.IsNull() {
			return "", false
		}
		text += lit.Val.AsString()
	}
	return text, true
}

func (c *compiler) literal(e *hclsyntax.LiteralValueExpr) value {
	switch v := e.Val; {
	case v.IsNull():
		return value{kind: kindNull}
	case !v.IsKnown():
	case v.Type() == cty.Bool:
		b := v.True()
		x := boolValue(func(*intel.Indicator) bool { return b })
		x.constant = true
		return x
	case v.Type() == cty.Number:
		f, _ := v.AsBigFloat().Float64()
		x := numValue(func(*intel.Indicator) float64 { return f })
		x.constant = true
		return x
	case v.Type() == cty.String:
		return constText(v.AsString())
	}
	return c.flaw(e, "this can not be used in a filter", "")
}

func (c *compiler) attribute(e *hclsyntax.ScopeTraversalExpr) value {
	names := slices.Sorted(maps.Keys(attributes))
	root := e.Traversal.RootName()
	if root != "indicator" {
		if slices.Contains(names, root) {
			return c.flaw(e, fmt.Sprintf("unknown name %q", root), "write indicator."+root)
		}
		return c.flaw(e, fmt.Sprintf("unknown name %q", root), "text is written in quotes, and what a filter sees is indicator.NAME")
	}
	if len(e.Traversal) == 1 {
		return c.flaw(e, "indicator by itself is no value", "write indicator.NAME; "+didYouMean("", names))
	}
	step, ok := e.Traversal[1].(hcl.TraverseAttr)
	if !ok {
		return c.flaw(e, "indicator has no indices", "write indicator.NAME")
	}
	v, ok := attributes[step.Name]
	if !ok {
		return c.flaw(e, fmt.Sprintf("an indicator has no %q here", step.Name), didYouMean(step.Name, names))
	}
	if len(e.Traversal) > 2 {
		if v.kind == kindList {
			return c.flaw(e, "lists have no indices in a filter", "ask with contains(list, x) or anyof(list, list)")
		}
		return c.flaw(e, fmt.Sprintf("indicator.%s has no attributes", step.Name), "it is "+v.kind.article())
	}
	return v
}

func (c *compiler) tuple(e *hclsyntax.TupleConsExpr) value {
	items := make([]value, 0, len(e.Exprs))
	ok := true
	for _, sub := range e.Exprs {
		v := c.compile(sub)
		if v.kind != kindInvalid && !v.isText() {
			v = c.flaw(sub, "a list holds text only, and this is "+v.kind.article(), "")
		}
		ok = ok && v.kind != kindInvalid
		items = append(items, v)
	}
	if !ok {
		return value{}
	}
	list := &listValue{len: func(*intel.Indicator) int { return len(items) }}
	if !slices.ContainsFunc(items, func(v value) bool { return !v.constant }) {
		texts := make([]string, len(items))
		for i, v := range items {
			texts[i] = v.literal
		}
		list.constant = texts
		list.at = func(_ *intel.Indicator, i int) string { return texts[i] }
	} else {
		list.at = func(ind *intel.Indicator, i int) string { return items[i].text(ind) }
	}
	return value{kind: kindList, list: list, constant: list.constant != nil, always: len(items) > 0}
}

func (c *compiler) conditional(e *hclsyntax.ConditionalExpr) value {
	cond, yes, no := c.compile(e.Condition), c.compile(e.TrueResult), c.compile(e.FalseResult)
	if cond.kind != kindInvalid && cond.kind != kindBool {
		cond = c.flaw(e.Condition, "a condition has to be true or false, and this is "+cond.kind.article(), "")
	}
	if cond.kind == kindInvalid || yes.kind == kindInvalid || no.kind == kindInvalid {
		return value{}
	}
	if yes.kind != no.kind || yes.kind == kindNull || yes.kind == kindList {
		return c.flaw(e, fmt.Sprintf("the two results are %s and %s", yes.kind.article(), no.kind.article()),
			"both have to be the same kind of value, and neither null nor a list")
	}
	v := value{kind: yes.kind, always: yes.always && no.always}
	switch v.kind {
	case kindBool:
		v.truth = choose(cond.truth, yes.truth, no.truth)
	case kindText, kindTLP:
		v.text = choose(cond.truth, yes.text, no.text)
	case kindTime:
		v.time = choose(cond.truth, yes.time, no.time)
	case kindNumber:
		v.num = func(i *intel.Indicator) (float64, bool) {
			if cond.truth(i) {
				return yes.num(i)
			}
			return no.num(i)
		}
	}
	return v
}

func choose[T any](cond func(*intel.Indicator) bool, yes, no func(*intel.Indicator) T) func(*intel.Indicator) T {
	return func(i *intel.Indicator) T {
		if cond(i) {
			return yes(i)
		}
		return no(i)
	}
}
