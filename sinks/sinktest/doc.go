// Package sinktest is the contract that every sink keeps, as a suite of tests,
// and the indicators to test sinks with.
//
// A sink's author describes its destination's fake as a [Destination] and calls
// [Run] with a [Harness]. The suite then delivers, repeats, replaces and
// withdraws, breaks the destination in each way that [Faults] lists, and after
// each case compares what the destination holds with what it should hold:
// nothing lost, nothing left over, nothing in an older version.
//
// Everything the helpers make is a function of a number, lies in the address
// ranges and domains reserved for documentation (RFC 5737, RFC 3849, RFC 2606),
// and carries the STIX object it could have come from in Raw.
package sinktest
