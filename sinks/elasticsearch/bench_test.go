package elasticsearch

import (
	"context"
	"testing"

	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// BenchmarkEncoder measures a document with its action line.
func BenchmarkEncoder(b *testing.B) {
	changes := upsert(now, sinktest.Indicators(0, 1000)...)
	var e Encoder
	var out bulk
	b.ReportAllocs()
	bytes := 0
	for i := 0; b.Loop(); i++ {
		if len(out.ops) == 1000 {
			bytes = len(out.buf)
			out.reset()
		}
		_ = out.addChange(&e, 0, &changes[i%1000], func() error { return nil })
	}
	b.ReportMetric(float64(bytes)/1000, "B/doc")
}

// BenchmarkDeliver measures batches of 1,000 through HTTP, the fake's share
// included (but for its look at the mapping).
func BenchmarkDeliver(b *testing.B) {
	for name, zip := range map[string]bool{"gzip": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			s := elastictest.NewServer(elastictest.Options{APIKey: testKey, Lax: true})
			defer s.Close()
			sink := open(b, s, func(c *Config) { c.Gzip = &zip })
			changes := upsert(now, sinktest.Indicators(0, 1000)...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sink.Deliver(context.Background(), changes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "docs/s")
		})
	}
}

// BenchmarkReply measures reading a reply of 1,000 items.
func BenchmarkReply(b *testing.B) {
	s := elastictest.NewServer(elastictest.Options{APIKey: testKey})
	defer s.Close()
	sink := open(b, s)
	if err := sink.prepare(context.Background()); err != nil {
		b.Fatal(err)
	}
	var out bulk
	changes := upsert(now, sinktest.Indicators(0, 1000)...)
	for i := range changes {
		_ = out.addChange(&sink.encoder, i, &changes[i], func() error { return nil })
	}
	_, r, err := sink.postBulk(context.Background(), out.body())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := parseReply(r.body, func(*item) bool { n++; return true }); err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
}
