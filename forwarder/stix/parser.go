package stix

import (
	"fmt"
	"strings"
)

// The limits of a pattern. Real ones stay far below; the longest known has
// 57,120 bytes.
const (
	MaxPatternBytes = 1 << 20
	MaxPatternDepth = 100    // parentheses within parentheses
	MaxComparisons  = 50_000 // comparisons, each member of an IN list counted
)

// A SyntaxError says why a pattern is not valid, and where.
type SyntaxError struct {
	Offset  int // in bytes
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid pattern at byte %d: %s", e.Offset, e.Message)
}

// ParsePattern parses the union of the STIX 2.0 and 2.1 pattern grammars: 2.0's
// plain-string START and STOP, and 2.1's EXISTS. An error is a *[SyntaxError].
// Time and memory are linear in the length of s. See [Pattern.Check] for what is
// wrong beyond the grammar.
func ParsePattern(s string) (*Pattern, error) {
	p, err := parsePattern(s)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func parsePattern(s string) (*Pattern, *SyntaxError) {
	if len(s) > MaxPatternBytes {
		return nil, &SyntaxError{MaxPatternBytes, fmt.Sprintf("the pattern has %d bytes, at most %d are read", len(s), MaxPatternBytes)}
	}
	pat := &Pattern{Text: s, duplicate: -1}
	p := parser{
		lex: lexer{src: s}, pattern: pat,
		observations: pat.firstObservation[:0:1],
		conditions:   pat.firstCondition[:0:1],
		steps:        pat.firstSteps[:0:3],
		literals:     pat.firstLiteral[:0:1],
	}
	p.advance()
	pat.Root = p.observation(FollowedBy)
	if p.err == nil && p.tok.kind != tokenEnd {
		p.want("AND, OR, FOLLOWEDBY, a qualifier or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return pat, nil
}

// A parser is a recursive-descent parser with one token of look-ahead. It
// iterates over chains of AND, OR and FOLLOWEDBY, and recurses only into
// parentheses. After the first error every token reads as invalid, so that all
// loops end.
type parser struct {
	lex     lexer
	tok     token
	err     *SyntaxError
	pattern *Pattern

	depth, comparisons int

	// Blocks from which nodes are cut; they are replaced, never moved.
	observations []Observation
	conditions   []Condition
	steps        []Step
	literals     []Literal
}

func (p *parser) advance() {
	if p.err == nil {
		p.tok = p.lex.next()
	}
}

func (p *parser) fail(offset int, format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{offset, fmt.Sprintf(format, args...)}
	}
	p.tok = token{kind: tokenInvalid, offset: p.tok.offset}
}

// want fails because the current token is not what is wanted.
func (p *parser) want(what string) {
	if p.err != nil {
		return
	}
	rest := p.lex.src[p.tok.offset:]
	switch {
	case p.tok.kind == tokenEnd:
		p.fail(p.tok.offset, "the pattern ends where %s is expected", what)
	case strings.HasPrefix(rest, "'"):
		if p.tok.kind == tokenInvalid {
			p.fail(p.tok.offset, "a string that does not end, or a backslash in it before anything but ' and \\ (to write one backslash, write two)")
			return
		}
		p.fail(p.tok.offset, "%s expected, not the string %.40s", what, p.tok.text)
	case strings.HasPrefix(rest, "/*"):
		p.fail(p.tok.offset, "a comment that does not end")
	case strings.HasPrefix(rest, `"`):
		p.fail(p.tok.offset, "%s expected, not a double quote; strings take single quotes", what)
	case len(rest) > 1 && rest[1] == '\'' && strings.IndexByte("hbt", rest[0]) >= 0:
		p.fail(p.tok.offset, "%s expected, not a malformed literal %.40q", what, rest[:min(len(rest), 40)])
	default:
		p.fail(p.tok.offset, "%s expected, not %.40q", what, p.tok.text)
	}
}

// take consumes a token of the kind, or fails.
func (p *parser) take(kind tokenKind, what string) string {
	if p.tok.kind != kind {
		p.want(what)
		return ""
	}
	text := p.tok.text
	p.advance()
	return text
}

// open and close bracket a parenthesised group.
func (p *parser) open() bool {
	if p.depth++; p.depth > MaxPatternDepth {
		p.fail(p.tok.offset, "more than %d parentheses within one another", MaxPatternDepth)
		return false
	}
	p.advance()
	return true
}

func (p *parser) close() {
	p.take(tokenRightParen, "AND, OR or )")
	p.depth--
}

// binding orders the junctions from tight to loose; see STIX 2.1 §9.4.
var (
	observationTokens = [...]tokenKind{And: tokenAnd, Or: tokenOr, FollowedBy: tokenFollowedBy}
	tighter           = [...]Junction{And: Leaf, Or: And, FollowedBy: Or}
)

// observation parses a chain of one junction; its operands are chains of the
// next tighter one.
func (p *parser) observation(j Junction) *Observation {
	if j == Leaf {
		return p.qualified()
	}
	first := p.observation(tighter[j])
	if p.tok.kind != observationTokens[j] {
		return first
	}
	node := p.newObservation()
	node.Junction = j
	if first.Junction == j && len(first.Qualifiers) == 0 {
		// (a AND b) AND c is the chain a AND b AND c.
		node.Operands = first.Operands
	} else {
		node.Operands = append(make([]*Observation, 0, 4), first)
	}
	for p.tok.kind == observationTokens[j] {
		p.advance()
		node.Operands = append(node.Operands, p.observation(tighter[j]))
	}
	return node
}

// qualified parses […] or (…) and the qualifiers that follow it.
func (p *parser) qualified() *Observation {
	var o *Observation
	switch p.tok.kind {
	case tokenLeftBracket:
		p.advance()
		o = p.newObservation()
		o.Condition = p.condition(Or)
		p.take(tokenRightBracket, "AND, OR or ]")
	case tokenLeftParen:
		if !p.open() {
			return p.newObservation()
		}
		o = p.observation(FollowedBy)
		p.close()
	default:
		p.want("[ or (")
		return p.newObservation()
	}
	var seen [StartStop + 1]bool
	for {
		offset := p.tok.offset
		var q Qualifier
		switch p.tok.kind {
		case tokenWithin:
			p.advance()
			q = Qualifier{Kind: Within, A: p.positive(true, "a positive number of seconds")}
			p.take(tokenSeconds, "SECONDS")
		case tokenRepeats:
			p.advance()
			q = Qualifier{Kind: Repeats, A: p.positive(false, "a positive whole number")}
			p.take(tokenTimes, "TIMES")
		case tokenStart:
			p.advance()
			q = Qualifier{Kind: StartStop, A: p.instant()}
			p.take(tokenStop, "STOP")
			q.B = p.instant()
		default:
			return o
		}
		if seen[q.Kind] && p.pattern.duplicate < 0 {
			p.pattern.duplicate = offset
		}
		seen[q.Kind] = true
		o.Qualifiers = append(o.Qualifiers, q)
	}
}

func (p *parser) positive(fraction bool, what string) string {
	if p.tok.text == "" || p.tok.text[0] == '-' || p.tok.kind != tokenInt && (p.tok.kind != tokenFloat || !fraction) {
		p.want(what)
		return ""
	}
	return p.take(p.tok.kind, what)
}

// instant parses t'…', or STIX 2.0's plain string with the same content.
func (p *parser) instant() string {
	const what = "a time stamp t'YYYY-MM-DDTHH:MM:SSZ'"
	if p.tok.kind == tokenString && isTimestamp(p.tok.text[1:len(p.tok.text)-1]) {
		return p.take(tokenString, what)
	}
	return p.take(tokenTimestamp, what)
}
