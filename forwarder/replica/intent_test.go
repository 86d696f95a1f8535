package replica

import (
	"slices"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

func intents(tb testing.TB, s *Store) int {
	tb.Helper()
	var n int
	ok(tb, s.w.QueryRowContext(ctx, `SELECT count(*) FROM intent`).Scan(&n))
	return n
}

// An intent is gone with its settlement and leaves nothing to recover.
func TestIntendSettle(t *testing.T) {
	s := openNew(t)
	apply(t, s, ind("1", 1), ind("2", 1))
	r := route(t, s)
	first := must(s.Intend(ctx, r, []Intent{{OID: 1, Refs: []string{"a"}}}))(t)
	second := must(s.Intend(ctx, r, []Intent{{OID: 2, Refs: []string{"b"}}}))(t)
	if first == second || intents(t, s) != 2 {
		t.Fatalf("ids %d and %d, %d intents", first, second, intents(t, s))
	}
	ok(t, s.Settle(ctx, r, 1, []Settlement{{Seq: 1, OID: 1, Entry: delivered(1, "a")}}, first))
	if n := intents(t, s); n != 1 {
		t.Errorf("%d intents, want 1", n)
	}
	ok(t, s.Settle(ctx, r, 2, []Settlement{{Seq: 2, OID: 2, Entry: delivered(1, "b")}}, second))
	if n := must(s.Recover(ctx, r))(t); n != 0 || intents(t, s) != 0 {
		t.Errorf("%d recovered, %d intents left", n, intents(t, s))
	}
	if e := one(t, s, r, "1").Ledger; e == nil || e.Digest == 0 {
		t.Errorf("got %+v", e)
	}
	sound(t, s)
}

// What may have arrived before the process died is in the ledger afterwards,
// beside what was known to be there, and is sent again.
func TestRecover(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	apply(t, s, ind("1", 1), ind("2", 1), ind("3", 1), ind("4", 1))
	r := route(t, s)
	other := must(s.OpenRoute(ctx, "f", "other", "fp"))(t)
	ok(t, s.Settle(ctx, r, 2, []Settlement{
		{Seq: 1, OID: 1, Entry: delivered(1, "a", "b")},
		{Seq: 2, OID: 2, Entry: &Entry{Version: 1, Status: intel.Skipped, Reason: "filtered", First: t0, Last: t0}},
	}))
	must(s.Intend(ctx, r, []Intent{{OID: 1, Refs: []string{"b", "c"}}, {OID: 2, Refs: []string{"d"}}}))(t)
	must(s.Intend(ctx, r, []Intent{{OID: 1, Refs: []string{"e"}}, {OID: 3, Refs: []string{"f"}}, {OID: 99, Refs: []string{"g"}}}))(t)
	must(s.Intend(ctx, other, []Intent{{OID: 4, Refs: []string{"h"}}}))(t)
	ok(t, s.Close())

	s = openAt(t, dir)
	if n := must(s.Recover(ctx, r))(t); n != 3 {
		t.Errorf("%d objects recovered, want 3", n)
	}
	for id, want := range map[string]*Entry{
		"1": {Version: 1, Status: intel.Delivered, Refs: []string{"a", "b", "c", "e"}, First: t0},
		"2": {Version: 1, Status: intel.Skipped, Reason: "filtered", Refs: []string{"d"}, First: t0},
		"3": {Refs: []string{"f"}, First: t0}, // nothing known but that it may be there
		"4": nil,                              // another route's
	} {
		got := one(t, s, r, id).Ledger
		if want == nil || got == nil {
			if got != want {
				t.Errorf("indicator--%s: got %+v, want %+v", id, got, want)
			}
			continue
		}
		if got.Version != want.Version || got.Digest != 0 || got.Status != want.Status || got.Reason != want.Reason ||
			!slices.Equal(got.Refs, want.Refs) || !got.First.Equal(want.First) {
			t.Errorf("indicator--%s: got %+v, want %+v", id, got, want)
		}
	}
	st := must(s.Stats(ctx))(t).Routes
	i := slices.IndexFunc(st, func(x RouteStats) bool { return x.ID == r.ID })
	if st[i].Delivered != 1 || st[i].Skipped["filtered"] != 1 || st[i].Cursor != 2 {
		t.Errorf("got %+v", st[i])
	}
	sound(t, s)
	if n := must(s.Recover(ctx, r))(t); n != 0 || intents(t, s) != 1 {
		t.Errorf("a second time: %d recovered, %d intents, want the other route's", n, intents(t, s))
	}
	// They are settled like others.
	ok(t, s.Settle(ctx, r, 4, []Settlement{{Seq: 3, OID: 3, Entry: delivered(1, "f")}, {Seq: 1, OID: 1}}))
	sound(t, s)
	// And go with their route.
	must(s.Prune(ctx, []string{"f"}, [][2]string{{"f", "splunk.soc"}}))(t)
	if n := intents(t, s); n != 0 {
		t.Errorf("%d intents of a pruned route", n)
	}
	sound(t, s)
}

// The note is there for other connections at once, that is in the log: the death
// of the process does not take it along. What comes next is durable again.
func TestIntendThenDurable(t *testing.T) {
	s := openNew(t)
	apply(t, s, ind("1", 1))
	r := route(t, s)
	must(s.Intend(ctx, r, []Intent{{OID: 1}}))(t)
	var level, seen int
	ok(t, s.w.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&level))
	ok(t, s.r.QueryRowContext(ctx, `SELECT count(*) FROM intent`).Scan(&seen))
	if level != 2 || seen != 1 {
		t.Errorf("synchronous = %d, want 2 (FULL); %d intents, want 1", level, seen)
	}
}
