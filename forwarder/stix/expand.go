package stix

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// MaxExpansion bounds how many conjunctions a pattern's (A OR B) AND C may
// multiply out to. Plain alternatives do not count.
const MaxExpansion = 1000

// A term is one comparison within a conjunction, with one of its literals chosen
// if it is a key.
type term struct {
	cmp     *Comparison
	meaning meaning
	value   value // of a key
	// reason says why the term stands for nothing; "" for keys, attributes and
	// guards.
	reason string
}

// expand calls emit with every conjunction of c's disjunctive normal form. The
// slice is valid only during the call.
func (d *deriver) expand(c *Condition, emit func([]term)) {
	switch c.Junction {
	case Leaf:
		d.alternatives(&c.Comparison, emit)
	case Or:
		for _, operand := range c.Operands {
			d.expand(operand, emit)
		}
	default:
		d.product(c.Operands, emit)
	}
}

// product emits every combination of one conjunction from each operand.
func (d *deriver) product(operands []*Condition, emit func([]term)) {
	if d.plain(operands) {
		emit(d.flat)
		return
	}
	lists := make([][][]term, len(operands))
	total, width := 1, 0
	for i, operand := range operands {
		d.expand(operand, func(conjunction []term) {
			if len(lists[i]) <= MaxExpansion {
				lists[i] = append(lists[i], append([]term(nil), conjunction...))
			}
		})
		// An operand that is never true makes the whole conjunction so.
		if len(lists[i]) == 0 {
			return
		}
		width += len(lists[i][0])
		if total *= len(lists[i]); total > MaxExpansion {
			break
		}
	}
	if total > 1 {
		if d.expanded += total; d.expanded > MaxExpansion || total*width > MaxComparisons {
			d.drop(ReasonTooComplex)
			return
		}
	}
	choice := make([]int, len(lists))
	var conjunction []term
	for {
		conjunction = conjunction[:0]
		for i, n := range choice {
			conjunction = append(conjunction, lists[i][n]...)
		}
		emit(conjunction)
		i := len(choice) - 1
		for ; i >= 0; i-- {
			if choice[i]++; choice[i] < len(lists[i]) {
				break
			}
			choice[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

// plain sets d.flat to the operands' terms and reports true, if each operand is
// one comparison with one value: the AND that nearly all patterns have.
func (d *deriver) plain(operands []*Condition) bool {
	for _, operand := range operands {
		if operand.Junction != Leaf || len(operand.Comparison.Literals) > 1 {
			return false
		}
	}
	if d.flat = d.flat[:0]; cap(d.flat) < len(operands) {
		d.flat = make([]term, 0, len(operands))
	}
	for i, operand := range operands {
		d.alternatives(&operand.Comparison, d.keep)
		if len(d.flat) != i+1 {
			return false // a literal that holds a list
		}
	}
	return true
}

func (d *deriver) keepFlat(t []term) { d.flat = append(d.flat, t...) }

// alternatives emits a comparison as one term, or one term for each value of a
// key: of an IN list, or of a literal that holds a list.
func (d *deriver) alternatives(c *Comparison, emit func([]term)) {
	t := &d.leaf[0]
	*t = term{cmp: c, meaning: meaningOf(&c.Path)}
	if t.reason = notEquality(c, &t.meaning); t.reason != "" || !t.meaning.isKey() {
		if c.Operator == In && len(c.Literals) == 0 {
			t.reason = ReasonNoObservable
		}
		emit(d.leaf[:])
		return
	}
	if len(c.Literals) == 0 { // IN ()
		t.reason = ReasonNoObservable
		emit(d.leaf[:])
		return
	}
	// emit uses d.leaf and what is in it at once, and does not come back here.
	m := t.meaning
	for _, lit := range c.Literals {
		var ok bool
		if d.values, ok = clean(&m, lit, d.values[:0]); !ok {
			d.leaf[0] = term{cmp: c, meaning: m, reason: ReasonInvalidValue}
			emit(d.leaf[:])
			continue
		}
		for _, v := range d.values {
			d.leaf[0] = term{cmp: c, meaning: m, value: v}
			emit(d.leaf[:])
		}
	}
}

// notEquality returns why c does not say that its path equals a literal, or "".
func notEquality(c *Comparison, m *meaning) string {
	negated := c.Negated
	switch c.Operator {
	case NotEqual:
		negated = !negated
	case Like:
		if strings.ContainsAny(c.Literals[0].Text(), "%_") {
			return ReasonLikeOrMatches
		}
	case Matches:
		return ReasonLikeOrMatches
	case Less, LessEqual, Greater, GreaterEqual:
		return ReasonOrdering
	case Exists:
		return ReasonExists
	case IsSuperset:
		return ReasonSuperset
	case IsSubset:
		if m.role != roleHost {
			return ReasonSuperset
		}
	}
	if negated {
		return ReasonNegation
	}
	return ""
}

// fieldValue returns what an attribute's literal is filed as.
func fieldValue(field string, lit Literal) string {
	s := lit.Text()
	switch field {
	case intel.FieldProtocol, intel.FieldAccountType:
		return strings.ToLower(s)
	case intel.FieldResolvesTo:
		if v, ok := address(s); ok && v.text != "" {
			return v.text
		}
	}
	return s
}
