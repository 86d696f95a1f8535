package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

var operators = map[*hclsyntax.Operation]string{
	hclsyntax.OpLogicalAnd: "&&", hclsyntax.OpLogicalOr: "||",
	hclsyntax.OpEqual: "==", hclsyntax.OpNotEqual: "!=",
	hclsyntax.OpLessThan: "<", hclsyntax.OpLessThanOrEqual: "<=",
	hclsyntax.OpGreaterThan: ">", hclsyntax.OpGreaterThanOrEqual: ">=",
}

// printExpr writes an expression that compiled in canonical form.
func printExpr(expr hclsyntax.Expression) string {
	var b strings.Builder
	write(&b, expr)
	return b.String()
}

func write(b *strings.Builder, expr hclsyntax.Expression) {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		b.WriteByte('(')
		write(b, e.Expression)
		b.WriteByte(')')
	case *hclsyntax.LiteralValueExpr:
		b.Write(hclwrite.TokensForValue(e.Val).Bytes())
	case *hclsyntax.TemplateExpr:
		s, _ := plainText(e)
		b.Write(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
	case *hclsyntax.ScopeTraversalExpr:
		b.WriteString(e.Traversal.RootName())
		for _, step := range e.Traversal[1:] {
			if a, ok := step.(hcl.TraverseAttr); ok {
				b.WriteString("." + a.Name)
			}
		}
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpLogicalNot {
			b.WriteByte('!')
		} else {
			b.WriteByte('-')
		}
		write(b, e.Val)
	case *hclsyntax.BinaryOpExpr:
		write(b, e.LHS)
		b.WriteString(" " + operators[e.Op] + " ")
		write(b, e.RHS)
	case *hclsyntax.ConditionalExpr:
		write(b, e.Condition)
		b.WriteString(" ? ")
		write(b, e.TrueResult)
		b.WriteString(" : ")
		write(b, e.FalseResult)
	case *hclsyntax.TupleConsExpr:
		b.WriteByte('[')
		writeList(b, e.Exprs)
		b.WriteByte(']')
	case *hclsyntax.FunctionCallExpr:
		b.WriteString(e.Name + "(")
		writeList(b, e.Args)
		b.WriteByte(')')
	}
}

func writeList(b *strings.Builder, items []hclsyntax.Expression) {
	for i, x := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		write(b, x)
	}
}
