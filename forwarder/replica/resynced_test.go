package replica

import (
	"testing"
	"time"
)

// TestResynced: the schedule counts from the first time it is asked for, then
// from each resync that was swept to the end, over restarts.
func TestResynced(t *testing.T) {
	dir := t.TempDir()
	now := t0
	open := func() *Store {
		s := must(Open(ctx, Options{Dir: dir, Now: func() time.Time { return now }}))(t)
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open()
	expect := func(what string, want time.Time) {
		t.Helper()
		if got := must(s.Resynced(ctx, "f"))(t); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("asked for the first time", t0)
	now = t0.Add(time.Hour)
	ok(t, s.Close())
	s = open()
	expect("after a restart", t0)
	walk := must(s.BeginWalk(ctx, "f"))(t)
	expect("during a resync", t0)
	must(s.Sweep(ctx, "f", walk))(t)
	expect("after a resync", now)
	if _, err := s.Sweep(ctx, "f", walk); err == nil {
		t.Error("swept twice")
	}
	ok(t, s.Close())
	done := now
	now = now.Add(time.Hour)
	s = open()
	expect("after a resync and a restart", done)
}
