// Package elasticsearch delivers indicators to Elasticsearch (self-managed,
// Elastic Cloud, serverless) and OpenSearch as ECS documents that Kibana's
// indicator-match rules and Intelligence page read without further set-up.
//
// # Documents
//
// Every observable is one document: threat.indicator.* is single-valued in ECS,
// and the rules match one field at a time. A file with several hashes is one
// observable and so one document. @timestamp is the time of forwarding, as the
// rules look back 30 days only; [Sink.Refresh] moves it on while the indicator
// is current. An indicator whose pattern is in another language than STIX
// (YARA, Sigma, Snort, …) becomes one document without an atomic value, to be
// found by its name and stix.pattern_type; the rules do not see it. A STIX
// pattern without observables has nothing to search for and is skipped with the
// reason that the pattern parser gives.
//
// # Keys and versions
//
// A document's _id is a function of feed, STIX id and observable, and its
// version is the indicator's modified time, see [version]. Written with
// version_type external_gte, a repeat is harmless and an older version arriving
// late changes nothing. What is withdrawn is deleted with the version of the
// withdrawal.
package elasticsearch
