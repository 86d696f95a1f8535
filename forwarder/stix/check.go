package stix

import (
	"fmt"
	"strings"
)

// Check reports what the OASIS validator finds wrong with a pattern that the
// grammar allows: a hash of the wrong form for its algorithm, and a qualifier
// type given twice to one observation, which STIX 2.1 forbids and 2.0 does not.
// The error is a *[SyntaxError].
//
// [Derive] does not ask: one malformed hash only costs the observable that it
// would have been.
func (p *Pattern) Check() error {
	if p.duplicate >= 0 && p.usesExists {
		return &SyntaxError{p.duplicate, "a second qualifier of the same type on one observation"}
	}
	if err := checkObservation(p.Root); err != nil {
		return err
	}
	return nil
}

func checkObservation(o *Observation) *SyntaxError {
	if o.Junction == Leaf {
		return checkCondition(o.Condition)
	}
	for _, operand := range o.Operands {
		if err := checkObservation(operand); err != nil {
			return err
		}
	}
	return nil
}

func checkCondition(c *Condition) *SyntaxError {
	if c.Junction == Leaf {
		return checkHash(&c.Comparison)
	}
	for _, operand := range c.Operands {
		if err := checkCondition(operand); err != nil {
			return err
		}
	}
	return nil
}

func checkHash(c *Comparison) *SyntaxError {
	last := c.Path.Steps[len(c.Path.Steps)-1]
	if last.IsIndex || c.Operator == Exists || !hasKey(&c.Path, "hashes") {
		return nil
	}
	algorithm := hashKey(last.Text)
	for _, lit := range c.Literals {
		if value := lit.Text(); !validHash(algorithm, value) {
			return &SyntaxError{c.Offset, fmt.Sprintf("%.80q is not a valid %s hash", value, last.Text)}
		}
	}
	return nil
}

func hasKey(p *Path, key string) bool {
	for i := range p.Steps {
		if !p.Steps[i].IsIndex && p.Steps[i].Text == key {
			return true
		}
	}
	return false
}

// validHash checks a value by the form that STIX gives the algorithm (2.1
// §10.9, key normalised by hashKey); an algorithm not known to STIX takes any.
func validHash(algorithm, value string) bool {
	switch algorithm {
	case "MD5":
		return isHex(value, 32)
	case "MD6":
		return isHex(value, 32) || isHex(value, 40) || isHex(value, 56) || isHex(value, 64) || isHex(value, 96) || isHex(value, 128)
	case "SHA1", "RIPEMD160":
		return isHex(value, 40)
	case "SHA224", "SHA3224":
		return isHex(value, 56)
	case "SHA256", "SHA3256":
		return isHex(value, 64)
	case "SHA384", "SHA3384":
		return isHex(value, 96)
	case "SHA512", "SHA3512", "WHIRLPOOL":
		return isHex(value, 128)
	case "SSDEEP":
		return isSSDEEP(value)
	}
	return true
}

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) && (s[i]|0x20 < 'a' || s[i]|0x20 > 'f') {
			return false
		}
	}
	return true
}

func isSSDEEP(s string) bool {
	const punctuation = "/+:."
	for i := 0; i < len(s); i++ {
		if c := s[i]; !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 128
}

// hashKey normalises the name of a hash algorithm: 'SHA-256', sha256 and
// SHA_256 are one.
func hashKey(s string) string {
	switch s { // the usual spellings
	case "MD5", "SHA1", "SHA256", "SHA512":
		return s
	case "SHA-256":
		return "SHA256"
	case "SHA-1":
		return "SHA1"
	}
	return hashKeyReplacer.Replace(strings.ToUpper(s))
}

var hashKeyReplacer = strings.NewReplacer("-", "", "_", "", "'", "", " ", "")
