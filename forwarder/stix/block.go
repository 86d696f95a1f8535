package stix

// maxBlock bounds the blocks that nodes are cut from.
const maxBlock = 512

func (p *parser) newObservation() *Observation {
	if len(p.observations) == cap(p.observations) {
		p.observations = make([]Observation, 0, min(2*cap(p.observations)+2, maxBlock))
	}
	p.observations = p.observations[:len(p.observations)+1]
	return &p.observations[len(p.observations)-1]
}

func (p *parser) newCondition() *Condition {
	if len(p.conditions) == cap(p.conditions) {
		p.conditions = make([]Condition, 0, min(2*cap(p.conditions)+2, maxBlock))
	}
	p.conditions = p.conditions[:len(p.conditions)+1]
	return &p.conditions[len(p.conditions)-1]
}

func (p *parser) keep(lit Literal) []Literal {
	n := len(p.literals)
	if n == cap(p.literals) {
		p.literals, n = make([]Literal, 0, min(2*n+2, maxBlock)), 0
	}
	p.literals = append(p.literals, lit)
	return p.literals[n : n+1 : n+1]
}

// step appends to the path that begins at *start; when the block is full, the
// path moves to the next one.
func (p *parser) step(start *int, s Step) {
	if len(p.steps) == cap(p.steps) {
		path := p.steps[*start:]
		block := make([]Step, 0, max(min(2*cap(p.steps), maxBlock), 2*len(path)+2))
		p.steps, *start = append(block, path...), 0
	}
	p.steps = append(p.steps, s)
}
