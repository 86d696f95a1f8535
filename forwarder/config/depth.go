package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxDepth bounds how deep brackets and signs may nest. The HCL parser recurses
// without a bound, and a stack that overflows can not be recovered.
const maxDepth = 100

// tooDeep returns a flaw when text nests deeper than that.
func tooDeep(text []byte, name string) *flaw {
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	depth, signs, questions := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenOBrace,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace,
			hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth = max(depth-1, 0)
		case hclsyntax.TokenQuestion:
			questions++
		case hclsyntax.TokenNewline:
			questions = 0
		}
		if t.Type == hclsyntax.TokenBang || t.Type == hclsyntax.TokenMinus {
			signs++
		} else {
			signs = 0
		}
		if depth > maxDepth || signs > maxDepth || questions > maxDepth {
			return &flaw{rng: t.Range, summary: fmt.Sprintf("nested more than %d deep", maxDepth)}
		}
	}
	return nil
}
