// Package forwarder is the engine: it polls feeds into the replica and
// delivers the replica's changes to sinks.
//
// # Loops
//
// A [Forwarder] runs one generation of loops at a time, built from one
// [Config]. A generation has, for each feed, a supervisor that lists the
// server's collections and one poll loop per collection; for each route, one
// delivery loop; for each sink that asks for it, a refresh loop; and one expiry
// loop. They share nothing but the replica and a wake-up signal: a poll loop
// commits a page, the delivery loops read it from there. [Forwarder.Reload]
// builds the next generation completely before it stops the current one.
//
// # Guarantees
//
// A position moves in the transaction that stores its page, a cursor in the
// transaction that records what became of its changes. Whatever is interrupted
// between is done again: at least once, with the same deterministic keys.
package forwarder
