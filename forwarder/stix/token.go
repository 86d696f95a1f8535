package stix

// tokenKind is a terminal of the pattern grammar.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenInvalid
	tokenLeftBracket
	tokenRightBracket
	tokenLeftParen
	tokenRightParen
	tokenColon
	tokenDot
	tokenComma
	tokenStar
	tokenEqual
	tokenNotEqual
	tokenLess
	tokenLessEqual
	tokenGreater
	tokenGreaterEqual
	tokenName       // no hyphen
	tokenHyphenName // fit only for an object type
	tokenInt
	tokenFloat
	tokenString
	tokenHex
	tokenBinary
	tokenTimestamp
	tokenBool
	tokenAnd
	tokenOr
	tokenNot
	tokenFollowedBy
	tokenLike
	tokenMatches
	tokenIsSubset
	tokenIsSuperset
	tokenExists
	tokenIn
	tokenStart
	tokenStop
	tokenSeconds
	tokenWithin
	tokenRepeats
	tokenTimes
)

// A token is a piece of the pattern's text.
type token struct {
	kind   tokenKind
	offset int
	text   string
}

// keyword returns the kind of a name without a hyphen. Keywords are reserved
// and upper case, true and false lower case (STIX 2.1 §9.1).
func keyword(s string) tokenKind {
	if len(s) < 2 || len(s) > 10 {
		return tokenName
	}
	switch s {
	case "AND":
		return tokenAnd
	case "OR":
		return tokenOr
	case "NOT":
		return tokenNot
	case "IN":
		return tokenIn
	case "LIKE":
		return tokenLike
	case "MATCHES":
		return tokenMatches
	case "ISSUBSET":
		return tokenIsSubset
	case "ISSUPERSET":
		return tokenIsSuperset
	case "EXISTS":
		return tokenExists
	case "FOLLOWEDBY":
		return tokenFollowedBy
	case "START":
		return tokenStart
	case "STOP":
		return tokenStop
	case "WITHIN":
		return tokenWithin
	case "SECONDS":
		return tokenSeconds
	case "REPEATS":
		return tokenRepeats
	case "TIMES":
		return tokenTimes
	case "true", "false":
		return tokenBool
	}
	return tokenName
}
