// Package taxiitest is a TAXII 2.1 server in this process, for tests,
// benchmarks and demonstrations.
//
// A [Server] without a profile is strict: it serves what the specification
// says and refuses every request that the specification does not allow, noting
// it in [Server.Violations]. With a [Profile] it behaves as one of the real
// servers that a client meets, quirk by quirk; see [Profiles]. A [Fault] makes
// single requests go wrong.
//
// It listens on loopback only.
package taxiitest
