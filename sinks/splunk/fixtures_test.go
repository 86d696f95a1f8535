package splunk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/splunk/splunktest"
)

var testNow = time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.UTC)

const (
	md5A    = "0cc175b9c0f1b6a831c399e269772661"
	sha1A   = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
	sha256A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
	sha256B = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
	ssdeepA = "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C"
)

func obs(t intel.ObservableType, value string, fields ...string) intel.Observable {
	o := intel.Observable{Type: t, Value: value, Fidelity: intel.FidelityExact}
	for i := 0; i < len(fields); i += 2 {
		o.Fields = append(o.Fields, intel.Field{Name: fields[i], Value: fields[i+1]})
	}
	return o
}

func superset(o intel.Observable) intel.Observable {
	o.Fidelity = intel.FidelitySuperset
	return o
}

// testIndicator is a small indicator, number n.
func testIndicator(n int, observables ...intel.Observable) *intel.Indicator {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Minute)
	if observables == nil {
		observables = []intel.Observable{obs(intel.TypeDomain, fmt.Sprintf("host-%d.example.com", n))}
	}
	return &intel.Indicator{
		Feed: "osint", Collection: "91a7b528-80eb-42ed-a74d-c6fbd5a26116",
		ID: fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n), SpecVersion: "2.1",
		Name: fmt.Sprintf("Indicator %d", n), IndicatorTypes: []string{"malicious-activity"},
		Created: created, Modified: created, ValidFrom: created,
		Pattern: fmt.Sprintf("[domain-name:value = 'host-%d.example.com']", n), PatternType: "stix", PatternVersion: "2.1",
		Observables: observables, Fidelity: intel.FidelityExact,
	}
}

// fullIndicator has everything an indicator can have.
func fullIndicator(observables ...intel.Observable) *intel.Indicator {
	confidence := 85
	ind := testIndicator(1, observables...)
	ind.Name = `Beacon of "Example"`
	ind.Description = "Line one\nline two\t<b>bold</b> \\ ünïcode ✓ \u2028 \x00 \xff end"
	ind.IndicatorTypes = []string{"malicious-activity", "compromised"}
	ind.Labels = []string{"c2", "", "tier-1"}
	ind.Confidence = &confidence
	ind.Modified = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)
	ind.ValidUntil = time.Date(2036, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	ind.CreatedByRef, ind.CreatedBy = "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff", "Example Research"
	ind.KillChainPhases = []intel.KillChainPhase{{KillChain: "mitre-attack", Phase: "command-and-control"}}
	ind.ExternalReferences = []intel.ExternalReference{
		{SourceName: "example", URL: "https://reports.example.org/1?a=b&c=d", ExternalID: "EX-1"}, {SourceName: "other"},
	}
	ind.TLP = intel.TLPAmber
	ind.Related = []intel.Related{
		{Type: "malware", ID: "malware--1", Name: "ExampleRAT"},
		{Type: "attack-pattern", ID: "attack-pattern--1", Name: "PowerShell", ExternalID: "T1059.001"},
		{Type: "malware", ID: "malware--2", Name: "Example Loader"},
		{Type: "threat-actor", ID: "threat-actor--1", Name: "Example Group"},
		{Type: "intrusion-set", ID: "intrusion-set--1", Name: "EX-7"},
		{Type: "campaign", ID: "campaign--1", Name: "Spring"},
		{Type: "tool", ID: "tool--1", Name: "psexec"},
		{Type: "infrastructure", ID: "infrastructure--1", Name: "proxy net"},
	}
	ind.Sightings = &intel.Sightings{Count: 12, First: ind.Created, Last: ind.Modified}
	return ind
}

func upsert(ind *intel.Indicator) intel.Change {
	return intel.Change{Seq: 42, Action: intel.Upsert, Indicator: ind, At: testNow}
}

func withdraw(ind *intel.Indicator, reason intel.Reason) intel.Change {
	c := intel.Change{Seq: 43, Action: intel.Withdraw, Reason: reason, Indicator: ind, At: testNow, FirstDelivered: testNow.Add(-time.Hour)}
	for i := range ind.Observables {
		c.Remove = append(c.Remove, ind.Observables[i].Ref())
	}
	return c
}

// batchOf returns upserts of indicators from, from+1, … n of them.
func batchOf(from, n int) []intel.Change {
	batch := make([]intel.Change, n)
	for i := range batch {
		batch[i] = upsert(testIndicator(from + i))
		batch[i].Seq = int64(from + i)
	}
	return batch
}

// server starts a collector that must find nothing odd in what it is sent.
func server(t testing.TB, o splunktest.Options) *splunktest.Server {
	s := splunktest.NewServer(o)
	t.Cleanup(func() {
		s.Close()
		if p := s.Problems(); len(p) > 0 {
			t.Errorf("the server found %d things odd:\n%s", len(p), strings.Join(p, "\n"))
		}
	})
	return s
}

var fastTimes = times{ackFirst: time.Millisecond, ackMost: 2 * time.Millisecond, ackTimeout: time.Minute, slow: time.Millisecond}

// open opens a sink on s with waits of milliseconds.
func open(t testing.TB, s *splunktest.Server, edit func(*Config)) *Sink {
	t.Helper()
	c := Config{URL: s.URL(), Token: setting.Secret(s.Token()), Index: "threat_intel"}
	if edit != nil {
		edit(&c)
	}
	if p := c.Validate(); len(p) > 0 {
		t.Fatalf("config: %v", p)
	}
	sink, err := New(c, intel.SinkOptions{Name: "soc", Logger: hclog.NewNullLogger(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sink.times = fastTimes
	t.Cleanup(func() { sink.Close() })
	return sink
}
