package taxii

import (
	"context"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// BenchmarkWalk reads 100,000 objects over loopback; the server's share is in it.
func BenchmarkWalk(b *testing.B) {
	const n = 100000
	s := serverFor(b, taxiitest.Options{Prerender: true})
	c := s.AddCollection(taxiitest.Info{ID: "all"})
	var bytes int64
	for i := 0; i < n; i += 100 {
		at := epoch.Add(time.Duration(i) * time.Microsecond)
		var group [][]byte
		for j := range 100 {
			group = append(group, indicator(i+j, at))
			bytes += int64(len(group[j]))
		}
		c.Add(at, group...)
	}
	client := clientFor(b, s, Options{})
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		_, err := client.Walk(context.Background(), Walk{Root: s.RootURL(), Collection: "all", Visit: func(_ context.Context, c Chunk) error {
			seen += len(c.Objects)
			return nil
		}})
		if err != nil || seen < n {
			b.Fatal(seen, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
