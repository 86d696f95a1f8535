// Package intel is the vocabulary that the engine and the sinks share: an
// [Indicator] with its [Observable] values, a [Change] to it, the [Outcome] of
// delivering that change, and the [Sink] that delivers.
//
// It imports nothing else of this module, so that a sink knows no TAXII, no
// configuration file and no database, and the engine knows no kind of sink.
package intel
