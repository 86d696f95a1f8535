// Package splunktest is a stand-in for Splunk's HTTP Event Collector that is
// stricter than Splunk: it speaks the protocol with its code table, partial
// acceptance and acknowledgments, and notes whatever a client does that Splunk
// forgives or, worse, answers with success while it drops the events
// ([Server.Problems]).
//
// It needs no testing.T, as the demo command uses it too. What it was told can
// be read back as events, as the latest event per item_key, and as a count of
// repeats; how it fails is up to [Server.Inject], [Server.Poison],
// [Server.Stop] and [Server.Restart].
package splunktest
