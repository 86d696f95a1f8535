package replica

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

var ctx = context.Background()

// t0 is the tests' present.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func us(t time.Time) int64 { return t.UnixMicro() }

func openAt(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := Open(ctx, Options{Dir: dir, Now: func() time.Time { return t0 }})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func openNew(tb testing.TB) *Store { return openAt(tb, tb.TempDir()) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var home = CollectionKey{Feed: "f", Root: "https://taxii.example.com/root/", ID: "c1"}

func apply(tb testing.TB, s *Store, objs ...Object) Applied {
	tb.Helper()
	return must(s.Apply(ctx, Batch{Collection: home, Objects: objs}))(tb)
}

// ind is an indicator with a raw text that depends on all that is given.
func ind(id string, version int64, opts ...func(*Object)) Object {
	return obj("indicator", id, version, opts...)
}

func obj(typ, id string, version int64, opts ...func(*Object)) Object {
	o := Object{ID: typ + "--" + id, Type: typ, Version: version}
	for _, f := range opts {
		f(&o)
	}
	if o.Raw == nil {
		o.Raw = fmt.Appendf(nil, `{"id":%q,"v":%d,"revoked":%t,"until":%d}`, o.ID, version, o.Revoked, o.Expires)
	}
	return o
}

func refs(ids ...string) func(*Object)  { return func(o *Object) { o.Refs = ids } }
func revoked(o *Object)                 { o.Revoked = true }
func until(t time.Time) func(*Object)   { return func(o *Object) { o.Expires = us(t) } }
func raw(s string) func(*Object)        { return func(o *Object) { o.Raw = []byte(s) } }
func about(id, to string) func(*Object) { return func(o *Object) { o.About, o.Target = id, to } }
func delivered(v int64, r ...string) *Entry {
	return &Entry{Version: v, Digest: 1<<63 + 7, Status: intel.Delivered, Refs: r, First: t0, Last: t0}
}

func route(tb testing.TB, s *Store) Route {
	tb.Helper()
	return must(s.OpenRoute(ctx, "f", "splunk.soc", "fp"))(tb)
}

// changes reads everything after a number.
func changes(tb testing.TB, s *Store, r Route, after int64) []Record {
	tb.Helper()
	var all []Record
	for {
		recs, through, err := s.Changes(ctx, r, after, 100, 1<<20)
		ok(tb, err)
		all = append(all, recs...)
		if through == after {
			return all
		}
		if through < after {
			tb.Fatalf("through went back from %d to %d", after, through)
		}
		after = through
	}
}

func one(tb testing.TB, s *Store, r Route, id string) Record {
	tb.Helper()
	for _, rec := range changes(tb, s, r, 0) {
		if rec.ID == "indicator--"+id {
			return rec
		}
	}
	tb.Fatalf("indicator--%s is not in the replica", id)
	return Record{}
}

func sound(tb testing.TB, s *Store) {
	tb.Helper()
	if err := s.Check(ctx); err != nil {
		tb.Fatal(err)
	}
}

// randomID is a random UUID from a seeded source.
func randomID(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.Uint32N(1<<16), r.Uint32N(1<<12), r.Uint32N(1<<12), r.Uint64N(1<<48))
}
