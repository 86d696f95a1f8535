// Package splunk delivers indicators to Splunk through the HTTP Event
// Collector (HEC).
//
// # What is sent
//
// One event per observable of an indicator, and for a file one per
// cryptographic hash: a flat JSON object whose names are those of Splunk
// Enterprise Security's threat-intelligence collections (ip, domain, url,
// file_hash, …), with threat_collection saying which of them the event fits.
// An indicator without any observable, such as a YARA rule or a STIX pattern
// that only excludes, travels as one event that holds its pattern, so that
// nothing that the feed said is missing from the index; it has no
// threat_collection.
//
// HEC can only append. Each event therefore carries item_key, a hash of what it
// is about, and action, upsert or withdraw; the newest event of an item_key is
// the truth. See [Encoder]. What is in force is found by a search such as
//
//	index=threat_intel sourcetype=stix:indicator
//	| stats latest(*) as * by item_key | where action="upsert"
//
// # What is delivered
//
// A change is Delivered when every one of its events was accepted and, where
// the token has indexer acknowledgment on, acknowledged. HEC accepts the events
// before a bad one and says which was bad; [Sink.Deliver] keeps to that: what
// was accepted is never sent again, the bad event makes its change Rejected,
// and the rest is sent on. What concerns the whole destination (token, index,
// channel, queues, anything that is no answer of HEC) is a failure, never a
// reason to drop an event.
package splunk
