package stix

import (
	"encoding/json"
	"errors"

	"taxii-forwarder/forwarder/intel"
)

// An Explanation is what this package makes of a pattern.
type Explanation struct {
	Pattern string
	// Valid reports whether the pattern parses and passes [Pattern.Check].
	Valid  bool
	Error  string // "" when Valid
	Offset int    // of the error, in bytes
	// AST is the syntax tree as nested arrays, nil when the pattern does not
	// parse:
	//
	//	["followedby"|"or"|"and", x, y, …]   operands of either level
	//	["obs", x]                           […]
	//	["within", x, "secs"]  ["repeats", x, "n"]  ["startstop", x, "t'…'", "t'…'"]
	//	["cmp", operator, negated, [type, key | {"index": "*"|"n"}, …], literal | [literals] | null]
	//
	// Keys are unquoted, literals raw; == is written =, and <> is written !=.
	AST            any
	Observables    []intel.Observable
	Fidelity       intel.Fidelity
	FidelityReason string
}

// Explain parses pattern and shows the outcome of every step.
func Explain(pattern string) Explanation {
	e := Explanation{Pattern: pattern}
	ind := intel.Indicator{Pattern: pattern, PatternType: "stix"}
	Derive(&ind)
	e.Observables, e.Fidelity, e.FidelityReason = ind.Observables, ind.Fidelity, ind.FidelityReason
	p, err := ParsePattern(pattern)
	if err == nil {
		e.AST = observationAST(p.Root)
		err = p.Check()
	}
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		e.Error, e.Offset = syntax.Message, syntax.Offset
	}
	e.Valid = err == nil
	return e
}

// MarshalJSON writes error and offset as null for a valid pattern, ast as null
// for one that does not parse, and observables always as an array.
func (e Explanation) MarshalJSON() ([]byte, error) {
	out := struct {
		Pattern        string             `json:"pattern"`
		Valid          bool               `json:"valid"`
		Error          *string            `json:"error"`
		Offset         *int               `json:"offset"`
		AST            any                `json:"ast"`
		Observables    []intel.Observable `json:"observables"`
		Fidelity       intel.Fidelity     `json:"fidelity"`
		FidelityReason string             `json:"fidelity_reason,omitempty"`
	}{Pattern: e.Pattern, Valid: e.Valid, AST: e.AST, Observables: e.Observables, Fidelity: e.Fidelity, FidelityReason: e.FidelityReason}
	if !e.Valid {
		out.Error, out.Offset = &e.Error, &e.Offset
	}
	if out.Observables == nil {
		out.Observables = []intel.Observable{}
	}
	return json.Marshal(out)
}

var junctionNames = [...]string{And: "and", Or: "or", FollowedBy: "followedby"}

func observationAST(o *Observation) any {
	var ast []any
	if o.Junction == Leaf {
		ast = []any{"obs", conditionAST(o.Condition)}
	} else {
		ast = append(ast, junctionNames[o.Junction])
		for _, operand := range o.Operands {
			ast = append(ast, observationAST(operand))
		}
	}
	for _, q := range o.Qualifiers {
		switch q.Kind {
		case Within:
			ast = []any{"within", ast, q.A}
		case Repeats:
			ast = []any{"repeats", ast, q.A}
		case StartStop:
			ast = []any{"startstop", ast, q.A, q.B}
		}
	}
	return ast
}

func conditionAST(c *Condition) any {
	if c.Junction == Leaf {
		return comparisonAST(&c.Comparison)
	}
	ast := []any{junctionNames[c.Junction]}
	for _, operand := range c.Operands {
		ast = append(ast, conditionAST(operand))
	}
	return ast
}

func comparisonAST(c *Comparison) any {
	path := []any{c.Path.Type}
	for _, s := range c.Path.Steps {
		if s.IsIndex {
			path = append(path, map[string]string{"index": s.Text})
		} else {
			path = append(path, s.Text)
		}
	}
	var literals any
	switch c.Operator {
	case Exists:
	case In:
		set := []string{}
		for _, l := range c.Literals {
			set = append(set, l.Raw)
		}
		literals = set
	default:
		literals = c.Literals[0].Raw
	}
	operator := c.Operator.String()
	if c.Operator == Exists {
		operator = "exists" // the one operator that the form has in lower case
	}
	return []any{"cmp", operator, c.Negated, path, literals}
}
