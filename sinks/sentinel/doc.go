// Package sentinel delivers indicators to Microsoft Sentinel's threat
// intelligence through its STIX objects upload API.
//
// # What is sent
//
// [Encoder] turns a change into STIX indicator objects that hold only the
// properties that the API documents, with normalised timestamps, a valid_until
// in every case (Sentinel's own rules drop rows without one), the Traffic Light
// Protocol as one of the four markings that Sentinel shows, and patterns of a
// single value in the one spelling that Sentinel takes apart. Sentinel's key of
// an object is source system and STIX id, so that sending one again replaces
// it; a withdrawal sends it once more with revoked set.
//
// # How it is sent
//
// [Sink] logs in through azidentity, sends at most 100 objects a request and a
// configured number of requests a minute (all sinks with the same identity
// share that allowance, as Sentinel counts per caller), and reads the answer to
// the end: a 200 may name objects that were refused, a 400 refuses the whole
// request for the sake of one object, which halving finds.
//
// A 200 means that Sentinel has validated and queued the objects; the rows
// appear in ThreatIntelIndicators minutes later, and nothing reports on that.
//
// # Reasons
//
// Outcomes have one of these reasons. Skipped: pattern_type, invalid_pattern,
// compound (or what makes the pattern unsupported: negation, cross_type, …),
// no_observable, expired, validity, missing_required, bad_id. Rejected:
// validation (named in a 200 or 400), bad_request (a 400 of its own), too_large
// (a 413 of its own).
package sentinel
