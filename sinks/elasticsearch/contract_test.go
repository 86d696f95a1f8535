package elasticsearch

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

func TestContract(t *testing.T) {
	for _, distribution := range []string{Elasticsearch, OpenSearch, Serverless} {
		t.Run(distribution, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Harness{
				New: func(t testing.TB) sinktest.Destination {
					return &destination{
						distribution: distribution,
						server:       elastictest.NewServer(elastictest.Options{Distribution: distribution, Username: "forwarder", Password: "s3cret-Passw0rd"}),
					}
				},
				Holds: func(ind *intel.Indicator) []intel.Ref {
					if ind.PatternType == "yara" {
						return []intel.Ref{{}}
					}
					return sinktest.Refs(ind)
				},
				Secrets: []string{"s3cret-Passw0rd", "Zm9yd2FyZGVyOnMzY3JldC1QYXNzdzByZA"},
				Package: "taxii-forwarder/sinks/elasticsearch",
			})
		})
	}
}

type destination struct {
	distribution string
	server       *elastictest.Server
	stopped      bool
	restarting   sync.WaitGroup
	cancel       context.CancelFunc
}

func (d *destination) Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error) {
	return New(Config{
		Addresses: []string{d.server.URL()}, Username: "forwarder", Password: "s3cret-Passw0rd",
		Distribution: d.distribution, Timeout: millis(timeout),
	}, o)
}

func (d *destination) Contents() (sinktest.Contents, error) {
	got := sinktest.Contents{}
	for _, doc := range d.server.Docs(defaultIndex) {
		source := doc.Decoded()
		stix := source["stix"].(map[string]any)
		held := sinktest.Held{Feed: at(source, "threat.feed.name").(string), ID: stix["id"].(string)}
		if o, ok := stix["observable"].(map[string]any); ok {
			held.Ref = intel.Ref{Type: intel.ObservableType(o["type"].(string)), Value: o["value"].(string)}
		}
		got[held] = doc.Version >> versionShift
	}
	return got, nil
}

// at returns the value at a dotted path; nil when there is none.
func at(doc map[string]any, path string) any {
	var v any = doc
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (d *destination) Inject(f sinktest.Fault) bool {
	known := map[sinktest.Fault]elastictest.Fault{
		sinktest.Hang: elastictest.Hang, sinktest.CutBeforeAccept: elastictest.CutBefore, sinktest.CutAfterAccept: elastictest.CutAfter,
		sinktest.HTML: elastictest.BadGateway, sinktest.HTML200: elastictest.HTML, sinktest.Slow: elastictest.Slow,
		sinktest.Throttle: elastictest.Throttle, sinktest.ServerError: elastictest.ServerError, sinktest.Unauthorized: elastictest.Unauthorized,
		sinktest.NotFound: elastictest.NotFound, sinktest.Echo: elastictest.Echo, sinktest.DiskFull: elastictest.DiskFull,
	}
	switch f {
	case sinktest.Refuse:
		d.server.Stop()
		d.stopped = true
	case sinktest.RestartKeep:
		d.restartDuring(elastictest.HangAfter)
	case sinktest.RestartLose:
		// What was acknowledged is durable; what was not may be lost.
		d.restartDuring(elastictest.Hang)
	default:
		fault, ok := known[f]
		if !ok {
			return false
		}
		d.server.Inject(fault, -1)
	}
	return true
}

// restartDuring restarts the server while it holds the next bulk request.
func (d *destination) restartDuring(f elastictest.Fault) {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.server.Inject(f, 1)
	d.restarting.Go(func() {
		if d.server.Wait(ctx, func(elastictest.Stats) bool { return d.server.Hanging() > 0 }) == nil {
			if err := d.server.Restart(true); err != nil {
				panic(err)
			}
		}
	})
}

func (d *destination) Heal() {
	if d.cancel != nil {
		d.cancel()
		d.restarting.Wait()
		d.cancel = nil
	}
	if d.stopped {
		d.stopped = false
		if err := d.server.Restart(true); err != nil {
			panic(err)
		}
	}
	d.server.Heal()
}

func (d *destination) Poison(ids ...string) bool {
	d.server.Poison(func(id string, _ []byte) *elastictest.Error {
		for _, bad := range ids {
			if strings.Contains(id, bad) {
				return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "[1:1] poisoned"}
			}
		}
		return nil
	})
	return true
}

func (d *destination) Close() {
	d.Heal()
	d.server.Close()
}
