// Package stix reads STIX 2.0 and 2.1: objects as feeds really send them, and
// the pattern language.
//
// # Objects
//
// [DecodeObject] takes from any object what the replica keys on, and
// [DecodeIndicator] everything an indicator says. Both tolerate what feeds get
// wrong (a confidence of "high", labels that are one string, null members, time
// stamps with offsets, invalid UTF-8, members given twice) and name what they
// tolerated. Only what is no JSON object, or has no type or id, is an error.
//
// # Patterns
//
// [ParsePattern] accepts the union of the STIX 2.0 and 2.1 grammars in time
// linear in the pattern's length. [Pattern.Check] adds what the OASIS validator
// checks beyond the grammar.
//
// # Observables
//
// [Derive] turns a pattern into the atomic values that a SIEM can look for, each
// with its fidelity; see there for the rules. [Enrich] adds what other objects
// say about an indicator: markings, the producer's name, what it indicates,
// sightings. [Explain] shows what became of a pattern.
package stix
