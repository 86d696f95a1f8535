package replica

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const benchBatch = 1000

// benchObjects makes n indicators of about 700 bytes with random ids.
func benchObjects(seed uint64, n int, version int64) []Object {
	rnd := rand.New(rand.NewPCG(seed, 1))
	pad := strings.Repeat("an indicator of something ", 14)
	objs := make([]Object, n)
	for i := range objs {
		id := "indicator--" + randomID(rnd)
		expires := us(t0.Add(time.Duration(1+i%1000) * time.Hour))
		objs[i] = Object{
			ID: id, Type: TypeIndicator, Version: version, Expires: expires,
			Refs: []string{"identity--00000000-0000-4000-8000-000000000001"},
			Raw: fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":"identity--00000000-0000-4000-8000-000000000001",`+
				`"modified":"%d","pattern":"[domain-name:value = 'host-%d.example.com']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","description":%q}`,
				id, version, i, pad),
		}
	}
	return objs
}

func benchIdentity() Object {
	return Object{ID: "identity--00000000-0000-4000-8000-000000000001", Type: "identity", Version: 1, Raw: []byte(`{"type":"identity","name":"Example"}`)}
}

// A meter takes the processor time of the timed parts of a benchmark.
type meter struct {
	b          *testing.B
	from, used time.Duration
}

func newMeter(b *testing.B) *meter { return &meter{b: b, from: cpuTime()} }

func (m *meter) pause() {
	m.b.StopTimer()
	m.used += cpuTime() - m.from
}

func (m *meter) resume() {
	m.from = cpuTime()
	m.b.StartTimer()
}

// report reports objects per second and processor time per object, n objects an
// iteration.
func (m *meter) report(n int) {
	m.used += cpuTime() - m.from
	total := float64(n) * float64(m.b.N)
	m.b.ReportMetric(total/m.b.Elapsed().Seconds(), "objects/s")
	m.b.ReportMetric(float64(m.used.Nanoseconds())/1000/total, "cpu-µs/object")
	m.b.ReportMetric(0, "ns/op")
}

func applyAll(b testing.TB, s *Store, objs []Object) {
	for i := 0; i < len(objs); i += benchBatch {
		batch := objs[i:min(i+benchBatch, len(objs))]
		if _, err := s.Apply(ctx, Batch{Collection: home, Objects: batch, Position: json.RawMessage(`{"w":"` + strconv.Itoa(i) + `"}`)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyNew(b *testing.B) {
	const n = 50_000
	objs := benchObjects(1, n, 1)
	m := newMeter(b)
	for b.Loop() {
		m.pause()
		s := openNew(b)
		apply(b, s, benchIdentity())
		m.resume()
		applyAll(b, s, objs)
		m.pause()
		s.Close()
		m.resume()
	}
	m.report(n)
}

func BenchmarkApplyUnchanged(b *testing.B) {
	const n = 50_000
	objs := benchObjects(1, n, 1)
	s := openNew(b)
	applyAll(b, s, objs)
	m := newMeter(b)
	for b.Loop() {
		applyAll(b, s, objs)
	}
	m.report(n)
}

func BenchmarkApplyUpdated(b *testing.B) {
	const n = 50_000
	s := openNew(b)
	apply(b, s, benchIdentity())
	applyAll(b, s, benchObjects(1, n, 1))
	version := int64(1)
	m := newMeter(b)
	for b.Loop() {
		m.pause()
		version++
		objs := benchObjects(1, n, version)
		m.resume()
		applyAll(b, s, objs)
	}
	m.report(n)
}

func BenchmarkChanges(b *testing.B) {
	const n = 50_000
	s := openNew(b)
	apply(b, s, benchIdentity())
	applyAll(b, s, benchObjects(1, n, 1))
	r := route(b, s)
	m := newMeter(b)
	for b.Loop() {
		readAll(b, s, r, n)
	}
	m.report(n)
}

func readAll(b testing.TB, s *Store, r Route, want int) {
	n := 0
	for after, head := int64(0), must(s.Head(ctx, "f"))(b); after < head; {
		recs, through, err := s.Changes(ctx, r, after, benchBatch, 64<<20)
		ok(b, err)
		n += len(recs)
		after = through
	}
	if n != want {
		b.Fatalf("%d records, want %d", n, want)
	}
}

func benchSettle(b testing.TB, s *Store, r Route, n int) {
	settled := make([]Settlement, benchBatch)
	for from := 1; from+benchBatch <= n+1; from += benchBatch {
		for i := range settled {
			oid := int64(from + i)
			settled[i] = Settlement{Seq: oid, OID: oid, Entry: delivered(1, "domain-name:host-"+strconv.Itoa(i)+".example.com")}
		}
		if err := s.Settle(ctx, r, int64(from+benchBatch-1), settled); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSettleNew(b *testing.B) {
	const n = 50_000
	m := newMeter(b)
	for b.Loop() {
		m.pause()
		s := openNew(b)
		r := route(b, s)
		m.resume()
		benchSettle(b, s, r, n)
		m.pause()
		s.Close()
		m.resume()
	}
	m.report(n)
}

func BenchmarkSettleAgain(b *testing.B) {
	const n = 50_000
	s := openNew(b)
	r := route(b, s)
	benchSettle(b, s, r, n)
	m := newMeter(b)
	for b.Loop() {
		benchSettle(b, s, r, n)
	}
	m.report(n)
}

// BenchmarkMillion measures what depends on the size of the state, with a
// million indicators; none of it may be quadratic.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	const part = 50_000
	dir := b.TempDir()
	s := openAt(b, dir)
	apply(b, s, benchIdentity())
	var first, last time.Duration
	start := time.Now()
	for i := 0; i < n; i += part {
		objs := benchObjects(uint64(100+i), part, 1)
		began := time.Now()
		applyAll(b, s, objs)
		last = time.Since(began)
		if i == 0 {
			first = last
		}
	}
	b.Logf("apply: first %d in %v, last in %v, all (with generating them) in %v", part, first, last, time.Since(start))
	step := func(name string, f func()) {
		began := time.Now()
		f()
		fmt.Printf("%-34s %8.3f s\n", name, time.Since(began).Seconds())
	}
	for b.Loop() {
		r := route(b, s)
		step("read all changes", func() { readAll(b, s, r, n) })
		step("settle all", func() { benchSettle(b, s, r, n) })
		step("close", func() { ok(b, s.Close()) })
		step("open", func() { s = openAt(b, dir) })
		step("open read-only", func() {
			ro := must(Open(ctx, Options{Dir: dir, ReadOnly: true}))(b)
			must(ro.Stats(ctx))(b)
			ok(b, ro.Close())
		})
		step("stats", func() { must(s.Stats(ctx))(b) })
		step("unchanged poll of 50,000", func() { applyAll(b, s, benchObjects(100, part, 1)) })
		step("update of 50,000", func() { applyAll(b, s, benchObjects(100, part, 2)) })
		step("replay", func() { ok(b, s.Replay(ctx, r, time.Time{})) })
		var walk int64
		step("resync that marks 900,000", func() {
			walk = must(s.BeginWalk(ctx, "f"))(b)
			for i := 0; i < n-2*part; i += part {
				applyAll(b, s, benchObjects(uint64(100+i), part, 1))
			}
		})
		step("sweep that finds 100,000 gone", func() { b.Log(must(s.Sweep(ctx, "f", walk))(b)) })
		step("expire 100,000", func() { b.Log(must(s.Expire(ctx, t0.Add(100*time.Hour), 100_000))(b)) })
		b.Logf("size %d MB, resident %s", must(s.Size())(b)>>20, resident())
	}
}

// resident is the process's peak memory, where the system tells.
func resident() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte("VmHWM:")); found {
			return string(bytes.TrimSpace(rest))
		}
	}
	return "unknown"
}

// BenchmarkApplyGrowing measures new objects while the state grows to several
// hundred thousand: what the first and the last 50,000 cost. The ids are
// random, so that what depends on the size of the index of ids shows.
func BenchmarkApplyGrowing(b *testing.B) {
	const n = 400_000
	const part = 50_000
	for b.Loop() {
		s := openNew(b)
		apply(b, s, benchIdentity())
		for i := 0; i < n; i += part {
			objs := benchObjects(uint64(100+i), part, 1)
			cpu, began := cpuTime(), time.Now()
			applyAll(b, s, objs)
			perObject := float64((cpuTime() - cpu).Nanoseconds()) / 1000 / part
			if i == 0 {
				b.ReportMetric(perObject, "first-cpu-µs/object")
			}
			b.ReportMetric(perObject, "last-cpu-µs/object")
			b.ReportMetric(part/time.Since(began).Seconds(), "last-objects/s")
		}
		b.ReportMetric(float64(must(s.Size())(b))/(1<<20), "MB")
		ok(b, s.Close())
	}
	b.ReportMetric(0, "ns/op")
}
