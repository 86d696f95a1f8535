package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// scope is a block's body and what to point at when the thing itself is not
// written in it.
type scope struct {
	body  *hclsyntax.Body
	block hcl.Range // the block's type and labels
	whole hcl.Range // from there to the closing brace
}

func blockScope(b *hclsyntax.Block) scope { return scope{b.Body, b.DefRange(), b.Range()} }

// attr returns the expression of an attribute; nil when it is not written.
func (s scope) attr(name string) hclsyntax.Expression {
	if a, ok := s.body.Attributes[name]; ok {
		return a.Expr
	}
	return nil
}

// has reports whether an attribute is written.
func (s scope) has(name string) bool { return s.attr(name) != nil }

// at returns the place of a path such as "url", "batch.max_events" or
// "addresses[1]": the attribute's value, or the nearest thing that is there.
func (s scope) at(path string) hcl.Range {
	for path != "" {
		step, rest, _ := strings.Cut(path, ".")
		name, index, indexed := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		if expr := s.attr(name); expr != nil {
			if tuple, ok := expr.(*hclsyntax.TupleConsExpr); ok && indexed {
				if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(tuple.Exprs) {
					return tuple.Exprs[i].Range()
				}
			}
			return expr.Range()
		}
		inner := s.child(name)
		if inner.body == nil {
			break
		}
		s, path = inner, rest
	}
	return s.block
}

// written reports whether a path's attribute or block is there.
func (s scope) written(path string) bool {
	at := s.at(path)
	return path == "" || at != s.block && !slices.ContainsFunc(s.body.Blocks, func(b *hclsyntax.Block) bool { return b.DefRange() == at })
}

// child returns the first block of a type; its body is nil when there is none.
func (s scope) child(blockType string) scope {
	for _, b := range s.body.Blocks {
		if b.Type == blockType {
			return blockScope(b)
		}
	}
	return scope{}
}

// isLiteral reports whether a value is written out rather than brought in by a
// function.
func isLiteral(expr hclsyntax.Expression) bool {
	if hasCall(expr) {
		return false
	}
	v, diags := expr.Value(nil)
	return diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type().FriendlyName() != "string" || v.AsString() != ""
}

// hasCall reports whether a function is called in a value.
func hasCall(expr hclsyntax.Expression) bool {
	found := false
	_ = hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if _, ok := n.(*hclsyntax.FunctionCallExpr); ok {
			found = true
		}
		return nil
	})
	return found
}
