// Package e2e holds the tests of the whole program: a strict TAXII server and
// strict stand-ins for Splunk, Microsoft Sentinel and Elasticsearch on
// loopback, and between them the running forwarder with a configuration file
// as an admin would write it. What they prove is what the program promises to
// those who run it; how its parts do it is tested beside the parts.
//
// With CORPUS_DIR set, real campaigns published by Amnesty International and
// the Mobile Verification Toolkit go the same way.
package e2e
