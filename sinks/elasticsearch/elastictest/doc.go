// Package elastictest is a strict stand-in for Elasticsearch and OpenSearch on
// loopback: bulk requests, external versions with tombstones, mappings that
// refuse what does not fit, templates, privileges, a part of the query language
// and _update_by_query, in one process and in memory.
//
// It refuses what the real servers refuse, in the shape of their errors, and
// can be told to fail in the ways that they, or what stands before them, do; see
// [Fault]. As OpenSearch it answers as a real one does, question by question, see
// package interop beside this one; as Elasticsearch, as its documentation says.
//
// It needs no testing.T, as the demo command uses it as well.
package elastictest
