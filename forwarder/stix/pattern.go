package stix

import "strings"

// A Pattern is a parsed STIX pattern (STIX 2.1 §9, STIX 2.0 part 5).
type Pattern struct {
	Text string
	Root *Observation

	usesExists bool // 2.1 only
	// duplicate is where an observation got a qualifier type for the second time,
	// which 2.1 forbids; -1 if nowhere.
	duplicate int

	// Room for the parts of the simplest patterns, which are most of them.
	firstObservation [1]Observation
	firstCondition   [1]Condition
	firstSteps       [3]Step
	firstLiteral     [1]Literal
}

// Junction says how operands are joined.
type Junction uint8

// The junctions. A Leaf has no operands.
const (
	Leaf Junction = iota
	And
	Or
	FollowedBy // observations only
)

// An Observation is an observation expression: a leaf […], or operands joined.
// Parentheses leave no trace but the structure.
type Observation struct {
	Junction   Junction
	Operands   []*Observation // two or more, unless a Leaf
	Condition  *Condition     // of a Leaf
	Qualifiers []Qualifier    // innermost first
}

// QualifierKind is the type of a qualifier.
type QualifierKind uint8

// The qualifiers.
const (
	Within    QualifierKind = iota // A = seconds
	Repeats                        // A = times
	StartStop                      // A, B = time stamps as written, t'…' (2.0: '…')
)

// A Qualifier restricts an observation expression.
type Qualifier struct {
	Kind QualifierKind
	A, B string // literal text
}

// A Condition is a comparison expression inside […]: a comparison or operands
// joined by And or Or.
type Condition struct {
	Junction   Junction
	Operands   []*Condition // two or more, unless a Leaf
	Comparison Comparison   // of a Leaf
}

// Operator compares a path with literals.
type Operator uint8

// The operators.
const (
	Equal Operator = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	In
	Like
	Matches
	IsSubset
	IsSuperset
	Exists
)

var operatorNames = [...]string{"=", "!=", "<", "<=", ">", ">=", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"}

// String returns the operator as patterns write it.
func (o Operator) String() string { return operatorNames[o] }

// A Comparison is one test of one path.
type Comparison struct {
	Path     Path
	Operator Operator
	Negated  bool
	Literals []Literal // one; any number for In; none for Exists
	Offset   int       // of the path in the pattern's text, in bytes
}

// A Path names a property of an object of a type.
type Path struct {
	Type  string
	Steps []Step // at least one, a key
}

// A Step is one component of a path after the type: a key, or an index into a
// list ("*" or a number).
type Step struct {
	Text    string // unquoted
	IsIndex bool
}

// String returns the path as patterns write it.
func (p *Path) String() string {
	var b strings.Builder
	b.WriteString(p.Type)
	for i, s := range p.Steps {
		switch {
		case s.IsIndex:
			b.WriteByte('[')
			b.WriteString(s.Text)
			b.WriteByte(']')
			continue
		case i == 0:
			b.WriteByte(':')
		default:
			b.WriteByte('.')
		}
		if kind, n := tokenInvalid, 0; s.Text != "" && nameStart(s.Text[0]) {
			if kind, n = name(s.Text); kind == tokenName && n == len(s.Text) {
				b.WriteString(s.Text)
				continue
			}
		}
		b.WriteByte('\'')
		b.WriteString(escapeText(s.Text))
		b.WriteByte('\'')
	}
	return b.String()
}

// LiteralKind is the type of a literal.
type LiteralKind uint8

// The literals' types.
const (
	StringLiteral LiteralKind = iota
	IntLiteral
	FloatLiteral
	BoolLiteral
	HexLiteral
	BinaryLiteral
	TimestampLiteral
)

// A Literal is a constant as the pattern has it.
type Literal struct {
	Kind LiteralKind
	Raw  string // with quotes, prefix and escapes
}

// Text returns the literal's value as text: strings unescaped, others without
// prefix and quotes.
func (l Literal) Text() string {
	switch l.Kind {
	case StringLiteral:
		return unquoteText(l.Raw)
	case HexLiteral, BinaryLiteral, TimestampLiteral:
		return l.Raw[2 : len(l.Raw)-1]
	}
	return l.Raw
}

// unquoteText strips the quotes of a string literal and resolves \' and \\.
func unquoteText(raw string) string {
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

var textEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func escapeText(s string) string { return textEscaper.Replace(s) }
