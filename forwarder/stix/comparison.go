package stix

// condition parses a chain of comparisons, Or or And.
func (p *parser) condition(j Junction) *Condition {
	if j == Leaf {
		return p.test()
	}
	first := p.condition(tighter[j])
	if p.tok.kind != observationTokens[j] {
		return first
	}
	node := p.newCondition()
	node.Junction = j
	if first.Junction == j {
		node.Operands = first.Operands
	} else {
		node.Operands = append(make([]*Condition, 0, 4), first)
	}
	for p.tok.kind == observationTokens[j] {
		p.advance()
		node.Operands = append(node.Operands, p.condition(tighter[j]))
	}
	return node
}

// test parses one comparison or a parenthesised condition.
func (p *parser) test() *Condition {
	if p.tok.kind == tokenLeftParen {
		if !p.open() {
			return p.newCondition()
		}
		c := p.condition(Or)
		p.close()
		return c
	}
	node := p.newCondition()
	c := &node.Comparison
	p.count()
	if p.tok.kind == tokenNot || p.tok.kind == tokenExists {
		if c.Negated = p.tok.kind == tokenNot; c.Negated {
			p.advance()
		}
		p.take(tokenExists, "EXISTS (in other comparisons NOT stands after the path)")
		c.Operator = Exists
		p.pattern.usesExists = true
		p.path(c)
		return node
	}
	p.path(c)
	if p.tok.kind == tokenNot {
		c.Negated = true
		p.advance()
	}
	switch p.tok.kind {
	case tokenEqual:
		p.compare(c, Equal, true)
	case tokenNotEqual:
		p.compare(c, NotEqual, true)
	case tokenLess:
		p.compare(c, Less, false)
	case tokenLessEqual:
		p.compare(c, LessEqual, false)
	case tokenGreater:
		p.compare(c, Greater, false)
	case tokenGreaterEqual:
		p.compare(c, GreaterEqual, false)
	case tokenIn:
		p.set(c)
	case tokenLike:
		p.match(c, Like)
	case tokenMatches:
		p.match(c, Matches)
	case tokenIsSubset:
		p.match(c, IsSubset)
	case tokenIsSuperset:
		p.match(c, IsSuperset)
	default:
		p.want("a comparison operator")
	}
	return node
}

func (p *parser) count() {
	if p.comparisons++; p.comparisons > MaxComparisons {
		p.fail(p.tok.offset, "more than %d comparisons", MaxComparisons)
	}
}

func (p *parser) path(c *Comparison) {
	c.Offset = p.tok.offset
	if p.tok.kind != tokenName && p.tok.kind != tokenHyphenName {
		p.want("an object path")
		return
	}
	c.Path.Type = p.tok.text
	p.advance()
	p.take(tokenColon, ": after the object type")
	start := len(p.steps)
	p.key(&start)
	for p.err == nil {
		switch p.tok.kind {
		case tokenDot:
			p.advance()
			p.key(&start)
		case tokenLeftBracket:
			p.advance()
			if p.tok.kind != tokenInt && p.tok.kind != tokenStar {
				p.want("an index or *")
				return
			}
			p.step(&start, Step{Text: p.tok.text, IsIndex: true})
			p.advance()
			p.take(tokenRightBracket, "]")
		default:
			c.Path.Steps = p.steps[start:len(p.steps):len(p.steps)]
			return
		}
	}
}

func (p *parser) key(start *int) {
	switch p.tok.kind {
	case tokenName:
		p.step(start, Step{Text: p.tok.text})
	case tokenString:
		p.step(start, Step{Text: unquoteText(p.tok.text)})
	case tokenHyphenName:
		p.want("a property name (one with a hyphen takes single quotes)")
	default:
		p.want("a property name")
	}
	p.advance()
}

// compare parses the right-hand side of a comparison with one literal.
func (p *parser) compare(c *Comparison, op Operator, boolean bool) {
	c.Operator = op
	p.advance()
	lit, ok := p.literal(boolean)
	if !ok {
		p.want("a literal")
		return
	}
	c.Literals = p.keep(lit)
	p.advance()
}

func (p *parser) match(c *Comparison, op Operator) {
	c.Operator = op
	p.advance()
	if p.tok.kind != tokenString {
		p.want("a string")
		return
	}
	c.Literals = p.keep(Literal{StringLiteral, p.tok.text})
	p.advance()
}

func (p *parser) set(c *Comparison) {
	c.Operator = In
	p.advance()
	p.take(tokenLeftParen, "(")
	if p.tok.kind == tokenRightParen {
		p.advance()
		return
	}
	for p.err == nil {
		lit, ok := p.literal(true)
		if !ok {
			p.want("a literal")
			return
		}
		if len(c.Literals) > 0 {
			p.count()
		}
		c.Literals = append(c.Literals, lit)
		p.advance()
		if p.tok.kind != tokenComma {
			p.take(tokenRightParen, ", or )")
			return
		}
		p.advance()
	}
}

func (p *parser) literal(boolean bool) (Literal, bool) {
	lit := Literal{Raw: p.tok.text}
	switch p.tok.kind {
	case tokenString:
		lit.Kind = StringLiteral
	case tokenInt:
		lit.Kind = IntLiteral
	case tokenFloat:
		lit.Kind = FloatLiteral
	case tokenHex:
		lit.Kind = HexLiteral
	case tokenBinary:
		lit.Kind = BinaryLiteral
	case tokenTimestamp:
		lit.Kind = TimestampLiteral
	case tokenBool:
		lit.Kind = BoolLiteral
		return lit, boolean
	default:
		return lit, false
	}
	return lit, true
}
