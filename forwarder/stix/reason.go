package stix

// The reasons why a pattern's observables are not exact, or why there are none:
// the values of intel.Indicator.FidelityReason. Each is a fit metric label.
const (
	ReasonPatternType     = "pattern_type"     // not a STIX pattern: yara, sigma, snort, …
	ReasonNoPattern       = "no_pattern"       // the indicator has none
	ReasonInvalidPattern  = "invalid_pattern"  // it does not parse
	ReasonNegation        = "negation"         // != or NOT
	ReasonLikeOrMatches   = "like_or_matches"  // LIKE with a wildcard, MATCHES
	ReasonOrdering        = "ordering"         // <, <=, >, >=
	ReasonExists          = "exists"           // EXISTS
	ReasonSuperset        = "issuperset"       // ISSUPERSET, or ISSUBSET of what is no address
	ReasonCrossType       = "cross_type"       // AND across object types, which no object satisfies
	ReasonContradiction   = "contradiction"    // AND of different values for one property
	ReasonExtraConditions = "extra_conditions" // AND with conditions beside the observable
	ReasonWildcard        = "wildcard"         // a domain given as *.example.com
	ReasonObservationAnd  = "observation_and"  // […] AND […]
	ReasonFollowedBy      = "followed_by"      // […] FOLLOWEDBY […]
	ReasonRepeats         = "repeats"          // REPEATS more than once
	ReasonWithin          = "within"           // WITHIN
	ReasonStartStop       = "start_stop"       // START … STOP on a part of the pattern
	ReasonTooComplex      = "too_complex"      // expands to more than MaxExpansion conjunctions
	ReasonInvalidValue    = "invalid_value"    // not what its path says, nor any other kind
	ReasonUnknownType     = "unknown_type"     // an object type that has no observables
	ReasonNoObservable    = "no_observable"    // only conditions too weak to stand alone
)

// Reasons returns every value that FidelityReason can have, besides "".
func Reasons() []string {
	return []string{
		ReasonPatternType, ReasonNoPattern, ReasonInvalidPattern, ReasonNegation, ReasonLikeOrMatches,
		ReasonOrdering, ReasonExists, ReasonSuperset, ReasonCrossType, ReasonContradiction,
		ReasonExtraConditions, ReasonWildcard, ReasonObservationAnd, ReasonFollowedBy, ReasonRepeats,
		ReasonWithin, ReasonStartStop, ReasonTooComplex, ReasonInvalidValue, ReasonUnknownType,
		ReasonNoObservable,
	}
}
