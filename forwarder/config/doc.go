// Package config reads the forwarder's configuration: HCL 2 in, typed and
// complete values out, or a [Report] of everything that is wrong with it, each
// with file, line, source and advice.
//
// [Load] knows the feed, route and general blocks itself; the kinds of sink
// are handed to it, so that a new kind needs no change here. Beyond syntax it
// checks what can be checked without a network: URLs, durations, TLS files,
// references between blocks, overlapping routes, filter expressions. What is
// legal but unwise is a warning.
//
// # Secrets
//
// The functions env, file and credential bring secrets in. A report never
// shows a secret: values of attributes that are secret, or unknown and so
// perhaps secret, are left out of the quoted source, and whatever the
// functions returned is replaced wherever it turns up.
//
// # Filters
//
// A route's where is compiled when the configuration is loaded: every type
// error is found then, at its position, and [Where.Match] only runs closures.
// See [Where] for the language.
package config
