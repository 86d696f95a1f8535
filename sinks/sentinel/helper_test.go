package sentinel

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
	"taxii-forwarder/sinks/sentinel/sentineltest"
)

// at is when the changes of these tests are forwarded.
var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// id returns the n-th indicator id.
func id(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012x", n) }

// indicator returns the n-th plain indicator.
func indicator(n int) *intel.Indicator {
	value := fmt.Sprintf("198.51.100.%d", n%256)
	return &intel.Indicator{
		Feed: "soc", ID: id(n), SpecVersion: "2.1", Name: fmt.Sprintf("indicator %d", n),
		Created: at.Add(-48 * time.Hour), Modified: at.Add(-24 * time.Hour), ValidFrom: at.Add(-48 * time.Hour),
		Pattern: "[ipv4-addr:value='" + value + "']", PatternType: "stix",
		Observables: []intel.Observable{{Type: intel.TypeIPv4, Value: value, Fidelity: intel.FidelityExact}},
		Fidelity:    intel.FidelityExact,
	}
}

func upsert(ind *intel.Indicator) intel.Change {
	return intel.Change{Seq: 1, Action: intel.Upsert, Indicator: ind, At: at}
}

func withdraw(ind *intel.Indicator, reason intel.Reason) intel.Change {
	c := intel.Change{Seq: 2, Action: intel.Withdraw, Reason: reason, Indicator: ind, At: at.Add(time.Hour), FirstDelivered: at}
	for i := range ind.Observables {
		c.Remove = append(c.Remove, ind.Observables[i].Ref())
	}
	return c
}

// upserts returns changes for indicators from to to, exclusive.
func upserts(from, to int) []intel.Change {
	var batch []intel.Change
	for n := from; n < to; n++ {
		c := upsert(indicator(n))
		c.Seq = int64(n)
		batch = append(batch, c)
	}
	return batch
}

func newServer(t testing.TB, o sentineltest.Options) *sentineltest.Server {
	t.Helper()
	s, err := sentineltest.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// configFor returns a configuration that reaches server.
func configFor(t testing.TB, server *sentineltest.Server) Config {
	t.Helper()
	ca, err := server.CAFile()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		WorkspaceID: sentineltest.WorkspaceID,
		Credential: &Credential{
			Kind: "client_secret", TenantID: sentineltest.TenantID,
			ClientID: sentineltest.ClientID, ClientSecret: setting.Secret(sentineltest.ClientSecret),
		},
		Endpoint: server.URL(), AuthorityHost: server.URL(), DisableInstanceDiscovery: true,
		TLS: &transport.TLS{CAFile: ca}, ProxyURL: transport.ProxyDirect, Timeout: "5s",
	}
}

func newSink(t testing.TB, c Config) *Sink {
	t.Helper()
	s, err := New(c, intel.SinkOptions{Name: "test", Logger: hclog.NewNullLogger(), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// statuses counts outcomes as "delivered:3 rejected/validation:1".
func statuses(outcomes []intel.Outcome) string {
	var keys []string
	count := map[string]int{}
	for _, o := range outcomes {
		k := o.Status.String()
		if o.Reason != "" {
			k += "/" + o.Reason
		}
		if count[k] == 0 {
			keys = append(keys, k)
		}
		count[k]++
	}
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s:%d", k, count[k])
	}
	return strings.Join(keys, " ")
}

// deliver delivers a batch that must succeed.
func deliver(t *testing.T, s *Sink, batch []intel.Change) []intel.Outcome {
	t.Helper()
	out, err := s.Deliver(context.Background(), batch)
	if err != nil {
		t.Fatalf("Deliver: %v", err)
	}
	return out
}
