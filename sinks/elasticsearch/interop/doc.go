// Package interop tries the Elasticsearch sink, and the whole program with it,
// against a real OpenSearch. What package elastictest plays was read in
// documentation; what runs here is the thing, and [elastictest] is held to what
// it says.
//
// # Running
//
// The tests are behind the build tag interop, as they need a JDK and libraries
// that .ci/opensearch/run fetches from Maven Central, at the version in
// .ci/opensearch/pom.xml:
//
//	.ci/opensearch/run
//
// Under the tag a server that can not be started is a failure, never a skip.
//
// # How
//
// One node runs for all tests, on loopback and a port of the system's choice,
// within the program .ci/opensearch/Node.java, which ends when its standard
// input does. Each test has an index of its own. Between sink and node stands a
// proxy that records what passes and breaks it where a test wants it broken;
// what the node says of a document, it says itself.
//
// The node has no security plugin, as Maven Central has none: what a server says
// to credentials that lack a privilege is still elastictest's word alone. So is
// what Elasticsearch words otherwise than OpenSearch.
//
// # What was learned
//
// Of OpenSearch 3.8.0:
//   - A document that the mapping refuses is a mapper_parsing_exception (in
//     Elasticsearch a document_parsing_exception since 8.8) that names the
//     document; a term over 32,766 bytes is an illegal_argument_exception.
//   - 413 has no body. http.max_content_length counts after decompression.
//   - A request that alone is over indexing_pressure.memory.limit, a tenth of the
//     heap, is a 429 for ever: it asks for patience and needs to be smaller.
//   - An IPv4 range mapped into IPv6 is refused; an address with a zone is not.
//   - An action at the end of a bulk request without its document is dropped
//     without a word, so that the reply is shorter than the request.
//   - The block that a full disk brings is an item status of 429; deletes meet it
//     too. _update_by_query tries for a minute before it says so.
//   - _update_by_query sees documents as of the last refresh of the index, by
//     default up to a second old, and meets version conflicts if they were
//     written since.
//   - Some errors are a text where most are an object.
package interop
