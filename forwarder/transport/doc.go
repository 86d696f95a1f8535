// Package transport is the one HTTP client of the forwarder: feeds and sinks
// alike speak through it, so that TLS, proxies, timeouts, redirects and the
// reach of credentials are the same everywhere and decided in one place.
//
// # Where credentials go
//
// A [Client] adds its credentials (Options.Authorize) to a request only when
// the host belongs to the registrable domain of Options.Origin or is named in
// Options.TrustedHosts, and only over https; plain http is allowed to a
// loopback host and to the very host that the configuration names with http.
// Redirects are followed by the same rule, never from https to http, and a
// request that would carry credentials elsewhere is refused with an error that
// names the host.
//
// # Errors
//
// Every error of [Client.Do] is an [*intel.Failure] with a kind, a sentence
// that names the host, and a hint where the likely cause is known. Neither
// holds a query string, a user name or a header, as those may hold secrets.
package transport
