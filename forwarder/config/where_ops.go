package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"taxii-forwarder/forwarder/intel"
)

func (c *compiler) unary(e *hclsyntax.UnaryOpExpr) value {
	v := c.compile(e.Val)
	switch {
	case v.kind == kindInvalid:
		return v
	case e.Op == hclsyntax.OpLogicalNot && v.kind == kindBool:
		x := boolValue(func(i *intel.Indicator) bool { return !v.truth(i) })
		x.constant = v.constant
		return x
	case e.Op == hclsyntax.OpLogicalNot:
		return c.flaw(e, "! wants true or false, and this is "+v.kind.article(), "")
	case v.kind == kindNumber && v.constant:
		f, _ := v.num(nil)
		x := numValue(func(*intel.Indicator) float64 { return -f })
		x.constant = true
		return x
	}
	return c.flaw(e, "a filter does no arithmetic", "")
}

func (c *compiler) binary(e *hclsyntax.BinaryOpExpr) value {
	l, r := c.compile(e.LHS), c.compile(e.RHS)
	if l.kind == kindInvalid || r.kind == kindInvalid {
		return value{}
	}
	switch e.Op {
	case hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
		return c.logical(e, l, r)
	case hclsyntax.OpEqual:
		return c.equal(e, l, r, false)
	case hclsyntax.OpNotEqual:
		return c.equal(e, l, r, true)
	case hclsyntax.OpLessThan:
		return c.order(e, l, r, "<", func(d int) bool { return d < 0 })
	case hclsyntax.OpLessThanOrEqual:
		return c.order(e, l, r, "<=", func(d int) bool { return d <= 0 })
	case hclsyntax.OpGreaterThan:
		return c.order(e, l, r, ">", func(d int) bool { return d > 0 })
	case hclsyntax.OpGreaterThanOrEqual:
		return c.order(e, l, r, ">=", func(d int) bool { return d >= 0 })
	}
	return c.flaw(e, "a filter does no arithmetic", "")
}

func (c *compiler) logical(e *hclsyntax.BinaryOpExpr, l, r value) value {
	ok := true
	for side, v := range map[hclsyntax.Expression]value{e.LHS: l, e.RHS: r} {
		if v.kind != kindBool {
			c.flaw(side, "&& and || want true or false, and this is "+v.kind.article(), "compare it with something")
			ok = false
		}
	}
	if !ok {
		return value{}
	}
	if e.Op == hclsyntax.OpLogicalAnd {
		return boolValue(func(i *intel.Indicator) bool { return l.truth(i) && r.truth(i) })
	}
	return boolValue(func(i *intel.Indicator) bool { return l.truth(i) || r.truth(i) })
}

// equal compiles == and !=.
func (c *compiler) equal(e *hclsyntax.BinaryOpExpr, l, r value, negate bool) value {
	var eq func(*intel.Indicator) bool
	switch l, r, ok := c.align(e, l, r); {
	case !ok:
		return value{}
	case l.kind == kindNull:
		eq = r.absent()
	case r.kind == kindNull:
		eq = l.absent()
	case l.kind == kindList || r.kind == kindList:
		return c.flaw(e, "lists can not be compared", "ask with contains(list, x) or anyof(list, list)")
	case l.kind != r.kind:
		return c.flaw(e, fmt.Sprintf("%s never equals %s", l.kind.article(), r.kind.article()), "")
	case l.kind == kindBool:
		eq = func(i *intel.Indicator) bool { return l.truth(i) == r.truth(i) }
	case l.kind == kindText || l.kind == kindTLP:
		if (l.constant && l.literal == "") != (r.constant && r.literal == "") {
			return c.flaw(e, `nothing equals ""`, "what has no text is absent: compare with null")
		}
		eq = func(i *intel.Indicator) bool {
			a := l.text(i)
			return a != "" && a == r.text(i)
		}
	default:
		eq = ordered(l, r, func(d int) bool { return d == 0 })
	}
	if negate {
		return boolValue(func(i *intel.Indicator) bool { return !eq(i) })
	}
	return boolValue(eq)
}

// order compiles the four comparisons by order.
func (c *compiler) order(e *hclsyntax.BinaryOpExpr, l, r value, op string, holds func(int) bool) value {
	l, r, ok := c.align(e, l, r)
	switch {
	case !ok:
		return value{}
	case l.kind != r.kind:
		return c.flaw(e, fmt.Sprintf("%s and %s have no order", l.kind.article(), r.kind.article()), "")
	case l.kind != kindNumber && l.kind != kindTime && l.kind != kindTLP:
		return c.flaw(e, op+" wants numbers, times or TLP levels, and these are "+l.kind.article(), "")
	}
	return boolValue(ordered(l, r, holds))
}

// ordered compares two values of the same ordered kind; false when either is
// absent.
func ordered(l, r value, holds func(int) bool) func(*intel.Indicator) bool {
	switch l.kind {
	case kindNumber:
		return func(i *intel.Indicator) bool {
			a, ok := l.num(i)
			if !ok {
				return false
			}
			b, ok := r.num(i)
			if !ok {
				return false
			}
			switch {
			case a < b:
				return holds(-1)
			case a > b:
				return holds(1)
			}
			return holds(0)
		}
	case kindTime:
		return func(i *intel.Indicator) bool {
			a, b := l.time(i), r.time(i)
			return !a.IsZero() && !b.IsZero() && holds(a.Compare(b))
		}
	}
	return func(i *intel.Indicator) bool {
		a, b := intel.TLP(l.text(i)).Rank(), intel.TLP(r.text(i)).Rank()
		return a > 0 && b > 0 && holds(a-b)
	}
}

// align turns a constant text into a time or a TLP level where the other side
// is one.
func (c *compiler) align(e *hclsyntax.BinaryOpExpr, l, r value) (value, value, bool) {
	var ok bool
	if l, ok = c.convert(e.LHS, l, r.kind); !ok {
		return l, r, false
	}
	r, ok = c.convert(e.RHS, r, l.kind)
	return l, r, ok
}

func (c *compiler) convert(at hclsyntax.Node, v value, to kind) (value, bool) {
	if v.kind != kindText || to != kindTime && to != kindTLP {
		return v, true
	}
	if !v.constant {
		c.flaw(at, "text can not be compared with "+to.article(), "")
		return v, false
	}
	if to == kindTLP {
		level, ok := tlpLevel(v.literal)
		if !ok {
			c.flaw(at, fmt.Sprintf("%q is no TLP level", v.literal), "there are clear, green, amber, amber+strict and red; null asks for unmarked")
			return v, false
		}
		v = constText(level)
		v.kind = kindTLP
		return v, true
	}
	t, err := parseInstant(v.literal)
	if err != nil {
		c.flaw(at, fmt.Sprintf("%q is no time", v.literal), `write it as in "2026-01-31" or "2026-01-31T12:00:00Z", or ago("30d")`)
		return v, false
	}
	x := timeValue(func(*intel.Indicator) time.Time { return t })
	x.constant, x.always = true, true
	return x, true
}

// tlpLevel reads a level as people write it: "RED", "TLP:AMBER", "white".
func tlpLevel(s string) (string, bool) {
	s = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "tlp:")
	if s == "white" {
		s = string(intel.TLPClear)
	}
	return s, intel.TLP(s).Rank() > 0
}

// parseInstant reads an RFC 3339 time, or a date as its beginning in UTC.
func parseInstant(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	return time.Parse(time.DateOnly, s)
}
