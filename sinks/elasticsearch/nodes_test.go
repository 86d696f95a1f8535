package elasticsearch

import (
	"context"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// TestFailover: of several addresses one that does not answer is passed over,
// within the same delivery.
func TestFailover(t *testing.T) {
	a, b := server(t, elastictest.Options{}), server(t, elastictest.Options{})
	no := false // two fakes are no cluster that shares a template
	sink := open(t, b, func(c *Config) { c.Addresses, c.ManageTemplate = []string{a.URL(), b.URL()}, &no })
	a.Stop()
	for i := range 4 {
		mustDeliver(t, sink, upsert(now, sinktest.Indicator(i))...)
	}
	if n := b.Len(defaultIndex); n != 4 {
		t.Errorf("%d documents at the node that answers", n)
	}
	b.Stop()
	_, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(9)))
	if err == nil || intel.AsFailure(err).Kind != intel.FailUnreachable {
		t.Errorf("with both gone: %v", err)
	}
	if err := a.Restart(true); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(9))...)
}

// TestPathPrefix: an address may have a path, as behind a proxy.
func TestPathPrefix(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s, func(c *Config) { c.Addresses = []string{s.URL() + "/elastic/"} })
	_, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1)))
	if err == nil || !strings.Contains(strings.Join(s.Requests(), " "), "GET /elastic/_index_template/logs-ti_taxii") {
		t.Errorf("%v, %v", err, s.Requests())
	}
}

// TestEnvironment: the variables that the official client reads do not reach
// this sink.
func TestEnvironment(t *testing.T) {
	t.Setenv("ELASTICSEARCH_URL", "http://192.0.2.1:1")
	t.Setenv("ELASTIC_CLIENT_APIVERSIONING", "true")
	s := server(t, elastictest.Options{})
	mustDeliver(t, open(t, s), upsert(now, sinktest.Indicator(1))...)
}
