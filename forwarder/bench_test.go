package forwarder_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/taxii"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/forwarder/transport"
	"taxii-forwarder/sinks/splunk"
	"taxii-forwarder/sinks/splunk/splunktest"
)

var nullLogger = hclog.NewNullLogger()

// BenchmarkWholePath measures a first poll: a TAXII server in this process,
// the replica on disk with every commit synchronised, one sink. Each iteration
// is one indicator. The stand-ins share the processors with what is measured.
//
//	go test -run '^$' -bench WholePath -benchtime 100000x ./forwarder
func BenchmarkWholePath(b *testing.B) {
	b.Run("encode-only", func(b *testing.B) {
		s := &encodeOnly{encoder: splunkEncoder(b)}
		benchPath(b, s, s.changes.Load)
	})
	b.Run("splunk-hec", func(b *testing.B) {
		server := splunktest.NewServer(splunktest.Options{CountOnly: true})
		b.Cleanup(server.Close)
		s, err := splunk.New(splunk.Config{URL: server.URL(), Token: setting.Secret(server.Token())}, intel.SinkOptions{Name: "bench", Logger: nullLogger, Version: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		benchPath(b, s, server.Stored)
	})
}

// encodeOnly does all of a sink's work but the network.
type encodeOnly struct {
	encoder *splunk.Encoder
	changes atomic.Int64
}

func (s *encodeOnly) Deliver(_ context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	out := make([]intel.Outcome, len(batch))
	buf := make([]byte, 0, 1<<20)
	for i := range batch {
		buf, out[i] = s.encoder.Append(buf[:0], &batch[i])
	}
	s.changes.Add(int64(len(batch)))
	return out, nil
}
func (s *encodeOnly) Check(context.Context) error { return nil }
func (s *encodeOnly) Close() error                { return nil }

func benchPath(b *testing.B, sink intel.Sink, arrived func() int64) {
	server := taxiitest.New(taxiitest.Options{Prerender: true})
	defer server.Close()
	col := server.AddCollection(taxiitest.Info{ID: "c0ffee00-0000-4000-8000-000000000001", Title: "bench"})
	const page = 1000
	added := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := 0; n < b.N; n += page {
		var objects [][]byte
		for i := n; i < min(n+page, b.N); i++ {
			objects = append(objects, benchIndicator(i))
		}
		for i, o := range objects {
			col.Add(added.Add(time.Duration(n+i)*time.Millisecond), o)
		}
	}
	http, err := transport.New(transport.Options{Origin: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	store, err := replica.Open(b.Context(), replica.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	engine := forwarder.New(forwarder.Options{Store: store})
	runtime.GC()
	debug.FreeOSMemory()
	peak := watchMemory()
	b.ResetTimer()
	err = engine.Start(b.Context(), forwarder.Config{
		Feeds: []forwarder.Feed{{
			Name: "bench", DiscoveryURL: server.URL(), Collections: []string{"*"}, PollInterval: time.Hour,
			Client: taxii.New(taxii.Options{HTTP: http, Logger: nullLogger, PageSize: page}),
		}},
		Sinks:  []forwarder.Sink{{Kind: "bench", Name: "sink", Sink: sink}},
		Routes: []forwarder.Route{{Feed: "bench", Sink: "bench.sink"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	for arrived() < int64(b.N) {
		time.Sleep(2 * time.Millisecond)
	}
	for {
		st := engine.Status(b.Context())
		if len(st.Routes) == 1 && st.Routes[0].Pending == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "indicators/s")
	b.ReportMetric(peak(), "peak-MB")
	if err := engine.Stop(context.Background()); err != nil {
		b.Error(err)
	}
	if n := arrived(); n != int64(b.N) {
		b.Errorf("%d arrived for %d indicators", n, b.N)
	}
}

// watchMemory returns a function that ends the watch and returns the most
// memory the heap took meanwhile beyond what it took at the start, in MB. The
// test server's own copy of the feed is in the start.
func watchMemory() func() float64 {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse+m.StackInuse)
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-done
		return float64(most-min(most, before.HeapInuse+before.StackInuse)) / (1 << 20)
	}
}

// benchIndicator is an indicator of the size that feeds have on average.
func benchIndicator(n int) []byte {
	pattern := [...]string{
		"[ipv4-addr:value = '198.51.%d.%d']", "[domain-name:value = 'host-%d-%d.example.com']",
		"[url:value = 'https://host-%d.example.com/path/%d']", "[file:hashes.'SHA-256' = '%032x%032x']",
	}[n%4]
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-%012x",`+
		`"created_by_ref":"identity--6f1c0de0-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`+
		`"name":"indicator %d of the benchmark","description":"An indicator with a description of ordinary length, as a feed would have it.",`+
		`"indicator_types":["malicious-activity"],"pattern":"%s","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","confidence":%d,`+
		`"labels":["malware","benchmark"],"object_marking_refs":["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"]}`,
		uint32(n)*2654435761, n, n, strings.ReplaceAll(fmt.Sprintf(pattern, n>>8, n&0xff), `"`, `\"`), n%101)
}

func splunkEncoder(b *testing.B) *splunk.Encoder {
	b.Helper()
	return splunk.NewEncoder(splunk.EncoderOptions{})
}
