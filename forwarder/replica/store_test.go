package replica

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func TestVersions(t *testing.T) {
	past, future := t0.Add(-time.Hour), t0.Add(time.Hour)
	tests := []struct {
		name          string
		first, second Object
		want          Applied // of the second; Seq not compared
		state         State
		raw           string // "" = as first sent
	}{
		{"same", ind("1", 5), ind("1", 5), Applied{Unchanged: 1}, Current, ""},
		{"newer", ind("1", 5), ind("1", 6, raw(`{"n":1}`)), Applied{Updated: 1}, Current, `{"n":1}`},
		{"older", ind("1", 5), ind("1", 4), Applied{Older: 1}, Current, ""},
		{"other order and white space", ind("1", 5, raw(`{"a":1,"b":[2, 3.0],"c":"é"}`)), ind("1", 5, raw(`{ "b":[2,3],"c":"\u00e9", "a":1}`)), Applied{Unchanged: 1}, Current, ""},
		{"other order within an array", ind("1", 5, raw(`{"a":[1,2]}`)), ind("1", 5, raw(`{"a":[2,1]}`)), Applied{Updated: 1}, Current, `{"a":[2,1]}`},
		{"large integers differ", ind("1", 5, raw(`{"a":9007199254740993}`)), ind("1", 5, raw(`{"a":9007199254740992}`)), Applied{Updated: 1}, Current, `{"a":9007199254740992}`},
		{"same version, other content", ind("1", 5, raw(`{"a":1}`)), ind("1", 5, raw(`{"a":2}`)), Applied{Updated: 1}, Current, `{"a":2}`},
		{"revoked", ind("1", 5), ind("1", 6, revoked), Applied{Updated: 1}, Revoked, string(ind("1", 6, revoked).Raw)},
		{"revoked at the same version", ind("1", 5), ind("1", 5, revoked), Applied{Updated: 1}, Revoked, string(ind("1", 5, revoked).Raw)},
		{"no resurrection by the same version", ind("1", 5, revoked), ind("1", 5), Applied{Older: 1}, Revoked, ""},
		{"no resurrection by an older version", ind("1", 5, revoked), ind("1", 4), Applied{Older: 1}, Revoked, ""},
		{"reinstated by a newer version", ind("1", 5, revoked), ind("1", 6, raw(`{}`)), Applied{Updated: 1}, Current, `{}`},
		{"expired on arrival", ind("1", 5, until(past)), ind("1", 5, until(past)), Applied{Unchanged: 1}, Expired, ""},
		{"expires exactly now", ind("1", 5, until(t0)), ind("1", 5, until(t0)), Applied{Unchanged: 1}, Expired, ""},
		{"expiry not moved by the same version", ind("1", 5, until(past)), ind("1", 5, until(future)), Applied{Older: 1}, Expired, ""},
		{"expiry moved by a newer version", ind("1", 5, until(past)), ind("1", 6, until(future), raw(`{}`)), Applied{Updated: 1}, Current, `{}`},
		{"no version at all", ind("1", 0), ind("1", 0, raw(`{"x":1}`)), Applied{Updated: 1}, Current, `{"x":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openNew(t)
			r := route(t, s)
			if got := apply(t, s, tt.first); got.New != 1 {
				t.Fatalf("first: %+v", got)
			}
			before := one(t, s, r, "1")
			got := apply(t, s, tt.second)
			got.Seq = 0
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			after := one(t, s, r, "1")
			want := tt.raw
			if want == "" {
				want = string(tt.first.Raw)
			}
			if after.State != tt.state || string(after.Raw) != want {
				t.Errorf("got %s %s, want %s %s", after.State, after.Raw, tt.state, want)
			}
			if (after.Seq > before.Seq) != (tt.want.Updated == 1) || after.OID != before.OID {
				t.Errorf("number went from %d to %d, oid from %d to %d", before.Seq, after.Seq, before.OID, after.OID)
			}
			sound(t, s)
		})
	}
}

func TestApplyBatch(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	got := apply(t, s,
		ind("1", 1), ind("1", 3, raw(`{"v":3}`)), ind("1", 2),
		ind("2", 1, raw(`{"first":1}`)), ind("2", 1, raw(`{"last":1}`)),
		Object{Type: "indicator", Raw: []byte("{}")}, Object{ID: "x--1", Raw: []byte("{}")},
		Object{ID: "indicator--\x003\xff ", Type: "indicator", Raw: []byte("{\"a\":\"\xff\x00\"}")})
	if got.New != 3 || got.Unchanged != 3 || got.Broken != 2 || got.Seq != 3 {
		t.Errorf("got %+v", got)
	}
	for id, want := range map[string]string{"1": `{"v":3}`, "2": `{"last":1}`, "3": "{\"a\":\"\xff\x00\"}"} {
		if rec := one(t, s, r, id); string(rec.Raw) != want {
			t.Errorf("%s: got %q, want %q", id, rec.Raw, want)
		}
	}
	if got := apply(t, s); got.Seq != 3 {
		t.Errorf("empty batch: %+v", got)
	}
}

// Two collections that disagree about one version must not take turns.
func TestCollectionsDisagree(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	other := CollectionKey{Feed: "f", Root: home.Root, ID: "c2"}
	a, b := ind("1", 1, raw(`{"a":1}`)), ind("1", 1, raw(`{"b":1}`))
	apply(t, s, a)
	for range 2 {
		if got := must(s.Apply(ctx, Batch{Collection: other, Objects: []Object{b}}))(t); got.Unchanged != 1 {
			t.Fatalf("got %+v", got)
		}
	}
	if rec := one(t, s, r, "1"); string(rec.Raw) != `{"a":1}` || rec.Collection != "c1" || rec.Seq != 1 {
		t.Errorf("got %+v", rec)
	}
	// Another feed is another world.
	if got := must(s.Apply(ctx, Batch{Collection: CollectionKey{"g", "r", "c1"}, Objects: []Object{b}}))(t); got.New != 1 {
		t.Errorf("got %+v", got)
	}
	if recs := changes(t, s, r, 0); len(recs) != 1 {
		t.Errorf("%d records of feed f", len(recs))
	}
}

// Objects that share an id settle on one of them, whatever the order and however
// often they are served; a revoked one wins at its version, a newer version always.
func TestSharedID(t *testing.T) {
	shared := func(o *Object) { o.Shared = true }
	a, b := ind("1", 1, shared, raw(`{"a":1}`)), ind("1", 1, shared, raw(`{"b":1}`))
	gone, next := ind("1", 1, shared, revoked, raw(`{"gone":1}`)), ind("1", 2, shared, raw(`{"next":1}`))
	var settled string
	for _, order := range [][]Object{{a, b}, {b, a}} {
		s := openNew(t)
		r := route(t, s)
		for range 2 {
			for _, o := range order {
				apply(t, s, o)
			}
		}
		rec := one(t, s, r, "1")
		if settled == "" {
			settled = string(rec.Raw)
		}
		if string(rec.Raw) != settled {
			t.Errorf("settled on %s, in another order on %s", rec.Raw, settled)
		}
		if got := apply(t, s, order...); got.Updated > 1 {
			t.Errorf("got %+v", got)
		}
		for _, o := range order {
			apply(t, s, o)
		}
		seq := one(t, s, r, "1").Seq
		for _, o := range order {
			apply(t, s, o)
		}
		if now := one(t, s, r, "1").Seq; now != seq {
			t.Errorf("still changing: %d after %d", now, seq)
		}
		apply(t, s, gone, order[0], order[1])
		if rec := one(t, s, r, "1"); rec.State != Revoked {
			t.Errorf("revoked, but %s", rec.State)
		}
		apply(t, s, order...)
		if rec := one(t, s, r, "1"); rec.State != Revoked {
			t.Errorf("back from the dead: %s", rec.State)
		}
		apply(t, s, next)
		if rec := one(t, s, r, "1"); rec.State != Current || string(rec.Raw) != `{"next":1}` {
			t.Errorf("a newer version is not current: %s %s", rec.State, rec.Raw)
		}
		sound(t, s)
	}
}

func TestPosition(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	pos, fp, err := s.Position(ctx, home)
	if pos != nil || fp != "" || err != nil {
		t.Fatalf("got %s %q %v", pos, fp, err)
	}
	ok(t, s.SetPosition(ctx, home, json.RawMessage(`{"w":1}`), "fp1"))
	must(s.Apply(ctx, Batch{Collection: home, Objects: []Object{ind("1", 1)}}))(t) // moves nothing
	must(s.Apply(ctx, Batch{Collection: home, Position: json.RawMessage(`{"w":2}`)}))(t)
	ok(t, s.Close())
	s = openAt(t, dir)
	if pos, fp, _ := s.Position(ctx, home); string(pos) != `{"w":2}` || fp != "fp1" {
		t.Errorf("got %s %q", pos, fp)
	}
	ok(t, s.SetPosition(ctx, home, nil, "fp2"))
	if pos, fp, _ := s.Position(ctx, home); pos != nil || fp != "fp2" {
		t.Errorf("got %s %q", pos, fp)
	}
}

func TestChangesLimits(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	big := `{"x":"` + strings.Repeat("y", 1000) + `"}`
	apply(t, s, ind("1", 1, raw(big)), ind("2", 1, raw(big)), ind("3", 1, raw(big)), obj("malware", "1", 1))
	for _, tt := range []struct{ after, records, bytes, want, through int }{
		{0, 10, 1 << 20, 3, 4}, // past the malware
		{0, 2, 1 << 20, 2, 2},
		{0, 3, 1 << 20, 3, 3},
		{0, 10, 2100, 2, 2},
		{0, 10, 1, 1, 1}, // at least one
		{3, 10, 1, 0, 4},
		{4, 10, 1, 0, 4},
		{9, 10, 1, 0, 9},
	} {
		recs, through, err := s.Changes(ctx, r, int64(tt.after), tt.records, tt.bytes)
		if err != nil || len(recs) != tt.want || through != int64(tt.through) {
			t.Errorf("after %d: %d records through %d, %v; want %+v", tt.after, len(recs), through, err, tt)
		}
	}
}

func TestContextLimits(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	var objs []Object
	for _, id := range []string{"1", "2"} {
		objs = append(objs, ind(id, 1))
		for i := range maxLinks + 50 {
			objs = append(objs, obj("sighting", id+"-"+strings.Repeat("a", i+1), 1, about("indicator--"+id, ""), raw(`{"s":"`+strings.Repeat("z", 90)+`"}`)))
		}
	}
	apply(t, s, objs...)
	recs, _, err := s.Changes(ctx, r, 0, 10, 64<<20)
	if err != nil || len(recs) != 2 || len(recs[0].Context) != maxLinks {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	recs, through, err := s.Changes(ctx, r, 0, 10, 50_000)
	if err != nil || len(recs) != 1 || through != recs[0].Seq || len(recs[0].Context) == 0 || len(recs[0].Context) > 520 {
		t.Fatalf("%d records through %d, %v", len(recs), through, err)
	}
}

// The creator of many indicators arrives last: every indicator gets a new
// number, in bounded transactions, also when the process ends in between.
func TestLateCreator(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	const n = 2*drainSize + 500
	var objs []Object
	for i := range n {
		objs = append(objs, ind(strings.Repeat("x", i%7)+"-"+time.Duration(i).String(), 1, refs("identity--1"), raw("{}")))
	}
	apply(t, s, objs...)
	r := route(t, s)
	head := must(s.Head(ctx, "f"))(t)
	got := apply(t, s, obj("identity", "1", 1))
	if got.Renumbered != n || got.Seq != head+1+n {
		t.Fatalf("got %+v, want %d renumbered", got, n)
	}
	recs := changes(t, s, r, head)
	if len(recs) != n || len(recs[0].Context) != 1 {
		t.Fatalf("%d records", len(recs))
	}
	if got := apply(t, s, obj("identity", "1", 2)); got.Renumbered != 0 {
		t.Errorf("a renamed creator renumbered %d", got.Renumbered)
	}
	sound(t, s)

	// As if the process had ended after the first transaction.
	ok(t, s.write(ctx, "test", func(t *tx) error {
		return t.exec(`INSERT INTO due SELECT feed, oid FROM object WHERE type = 'indicator' AND oid <= 100`)
	}))
	head = must(s.Head(ctx, "f"))(t)
	ok(t, s.Close())
	s = openAt(t, dir)
	if recs := changes(t, s, r, head); len(recs) != 100 {
		t.Errorf("%d records after reopening", len(recs))
	}
}

func TestExpire(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	apply(t, s, ind("1", 1, until(t0.Add(3*time.Hour))), ind("2", 1, until(t0.Add(time.Hour))), ind("3", 1), ind("4", 1, until(t0.Add(2*time.Hour))),
		obj("malware", "1", 1, until(t0.Add(time.Hour))))
	if at, found, err := s.NextExpiry(ctx); !at.Equal(t0.Add(time.Hour)) || !found || err != nil {
		t.Fatalf("got %v %v %v", at, found, err)
	}
	if n := must(s.Expire(ctx, t0.Add(time.Hour-time.Microsecond), 0))(t); n != 0 {
		t.Fatalf("%d expired too early", n)
	}
	if n := must(s.Expire(ctx, t0.Add(5*time.Hour), 2))(t); n != 2 {
		t.Fatalf("%d expired, limit 2", n)
	}
	for id, want := range map[string]State{"1": Current, "2": Expired, "3": Current, "4": Expired} {
		if rec := one(t, s, r, id); rec.State != want {
			t.Errorf("%s is %s, want %s", id, rec.State, want)
		}
	}
	if n := must(s.Expire(ctx, t0.Add(5*time.Hour), 0))(t); n != 1 {
		t.Errorf("%d expired, want 1", n)
	}
	if _, found, err := s.NextExpiry(ctx); found || err != nil {
		t.Errorf("got %v %v", found, err)
	}
	sound(t, s)
}

func TestWalk(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	apply(t, s, ind("1", 1), ind("2", 1), ind("3", 1), ind("4", 2, revoked))
	walk := must(s.BeginWalk(ctx, "f"))(t)
	must(s.Apply(ctx, Batch{Collection: home, Objects: []Object{ind("1", 1)}, Walk: walk}))(t)
	// An ordinary poll during the resync says that these are there too.
	apply(t, s, ind("5", 1), ind("2", 1))
	if n := must(s.Sweep(ctx, "f", walk))(t); n != 1 {
		t.Errorf("%d gone, want 1", n)
	}
	for id, want := range map[string]State{"1": Current, "2": Current, "3": Gone, "4": Revoked, "5": Current} {
		if rec := one(t, s, r, id); rec.State != want {
			t.Errorf("%s is %s, want %s", id, rec.State, want)
		}
	}
	if got := apply(t, s, ind("3", 1)); got.Updated != 1 || one(t, s, r, "3").State != Current {
		t.Errorf("served again: %+v", got)
	}

	for what, err := range map[string]error{
		"sweep twice":   second(s.Sweep(ctx, "f", walk)),
		"apply to old":  second(s.Apply(ctx, Batch{Collection: home, Walk: walk})),
		"unknown feed":  second(s.Sweep(ctx, "nobody", 1)),
		"sweep without": second(s.Sweep(ctx, "f", 0)),
	} {
		if !errors.Is(err, ErrWalkOver) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	old := must(s.BeginWalk(ctx, "f"))(t)
	fresh := must(s.BeginWalk(ctx, "f"))(t)
	if _, err := s.Sweep(ctx, "f", old); !errors.Is(err, ErrWalkOver) {
		t.Errorf("sweep of a replaced resync: %v", err)
	}
	if n := must(s.Sweep(ctx, "f", fresh))(t); n != 4 {
		t.Errorf("%d gone, want 4", n)
	}
	sound(t, s)
}

func second[T any](_ T, err error) error { return err }

func TestRoute(t *testing.T) {
	s := openNew(t)
	apply(t, s, ind("1", 1), ind("2", 1))
	r := route(t, s)
	ok(t, s.Settle(ctx, r, 2, []Settlement{{Seq: 1, OID: 1, Entry: delivered(1, "url:a")}}))
	ok(t, s.Settle(ctx, r, 1, nil)) // not backwards
	if got := route(t, s); got.Cursor != 2 {
		t.Errorf("cursor %d, want 2", got.Cursor)
	}
	moved := must(s.OpenRoute(ctx, "f", "splunk.soc", "other"))(t)
	if moved.Cursor != 0 || moved.ID != r.ID {
		t.Errorf("got %+v", moved)
	}
	// Who still delivers on the old one records what it did and is told.
	if err := s.Settle(ctx, r, 2, []Settlement{{Seq: 2, OID: 2, Entry: delivered(1)}}); !errors.Is(err, ErrRouteMoved) {
		t.Errorf("got %v", err)
	}
	recs := changes(t, s, moved, moved.Cursor)
	if len(recs) != 2 || recs[0].Ledger == nil || recs[1].Ledger == nil || recs[0].Ledger.Refs[0] != "url:a" {
		t.Errorf("got %+v", recs)
	}
	if err := s.Settle(ctx, Route{ID: 99, Feed: "f", Sink: "x"}, 1, nil); !errors.Is(err, ErrNoSuchRoute) {
		t.Errorf("got %v", err)
	}
}

func TestReplay(t *testing.T) {
	for _, tt := range []struct {
		since  time.Time
		cursor int64
		want   []bool
	}{
		{time.Time{}, 0, []bool{true, true, true}},
		{t0.Add(time.Hour), 1, []bool{false, true, true}},
		{t0.Add(time.Hour + time.Microsecond), 2, []bool{false, false, true}},
		{t0.Add(9 * time.Hour), 3, []bool{false, false, false}},
	} {
		s := openNew(t)
		apply(t, s, ind("1", 1), ind("2", 1), ind("3", 1))
		r := route(t, s)
		var settled []Settlement
		for i := range 3 {
			e := delivered(1, "url:x")
			e.Last = t0.Add(time.Duration(i) * time.Hour)
			settled = append(settled, Settlement{Seq: int64(i + 1), OID: int64(i + 1), Entry: e})
		}
		ok(t, s.Settle(ctx, r, 3, settled))
		ok(t, s.Replay(ctx, r, tt.since))
		after := route(t, s)
		if after.Cursor != tt.cursor {
			t.Errorf("since %v: cursor %d, want %d", tt.since, after.Cursor, tt.cursor)
		}
		for i, rec := range changes(t, s, r, 0) {
			if rec.Ledger.Replay != tt.want[i] || len(rec.Ledger.Refs) != 1 {
				t.Errorf("since %v: record %d: %+v", tt.since, i, rec.Ledger)
			}
		}
		if err := s.Settle(ctx, r, 3, nil); (tt.cursor < 3) != errors.Is(err, ErrRouteMoved) {
			t.Errorf("since %v: settle on the old route: %v", tt.since, err)
		}
		ok(t, s.Settle(ctx, after, 3, settled)) // sent anew
		for i, rec := range changes(t, s, after, 0) {
			if rec.Ledger.Replay {
				t.Errorf("since %v: record %d is still to be replayed", tt.since, i)
			}
		}
	}
}

func TestDeadLetters(t *testing.T) {
	s := openNew(t)
	s.maxDead = 4
	r := route(t, s)
	apply(t, s, ind("1", 1), ind("2", 1), ind("3", 1), ind("4", 1), ind("5", 1), ind("6", 1))
	reject := func(oid int64, reason string) Settlement {
		return Settlement{Seq: oid, OID: oid, Entry: &Entry{Version: 1, Status: intel.Rejected, Reason: reason},
			Dead: &DeadLetter{Version: 1, Reason: reason, Detail: "says no", Sent: []byte("what was sent")}}
	}
	ok(t, s.Settle(ctx, r, 4, []Settlement{reject(1, "a"), reject(2, "b"), reject(3, "b"), {Seq: 4, OID: 4, Entry: delivered(1)}}))
	list := must(s.DeadLetters(ctx, DeadFilter{Feed: "f", Sink: "splunk.soc", Reason: "b", Limit: 1}))(t)
	if len(list) != 1 || list[0].STIXID != "indicator--2" || string(list[0].Sent) != "what was sent" || list[0].Detail != "says no" ||
		string(list[0].Raw) != string(ind("2", 1).Raw) || list[0].Attempts != 1 || !list[0].Time.Equal(t0) {
		t.Fatalf("got %+v", list)
	}
	if got := must(s.DeadLetter(ctx, list[0].ID))(t); got.OID != 2 {
		t.Errorf("got %+v", got)
	}
	if _, err := s.DeadLetter(ctx, 99); !errors.Is(err, ErrNoSuchDeadLetter) {
		t.Errorf("got %v", err)
	}
	for _, f := range []DeadFilter{{Feed: "g"}, {Sink: "x"}, {Reason: "c"}, {After: 3}, {IDs: []int64{}}} {
		if got := must(s.DeadLetters(ctx, f))(t); len(got) != 0 {
			t.Errorf("%+v selects %d", f, len(got))
		}
	}

	// Retry: one is refused again, one goes through.
	if n := must(s.RetryDead(ctx, DeadFilter{Reason: "b"}))(t); n != 2 {
		t.Fatalf("%d queued", n)
	}
	recs := must(s.Retries(ctx, r, 10))(t)
	if len(recs) != 2 || recs[0].OID != 2 || recs[0].Ledger.Status != intel.Rejected || recs[0].Collection != "c1" {
		t.Fatalf("got %+v", recs)
	}
	if st := must(s.Stats(ctx))(t).Routes[0]; st.Dead["b"] != 2 || st.Dead["a"] != 1 || st.Retrying != 2 || st.Rejected["b"] != 2 {
		t.Errorf("got %+v", st)
	}
	ok(t, s.Settle(ctx, r, 0, []Settlement{reject(2, "b"), {Seq: 3, OID: 3, Entry: delivered(1)}}))
	if got := route(t, s); got.Cursor != 4 {
		t.Errorf("cursor %d", got.Cursor)
	}
	list = must(s.DeadLetters(ctx, DeadFilter{}))(t)
	if len(list) != 2 || list[1].OID != 2 || list[1].Attempts != 2 || list[1].Retry {
		t.Errorf("got %+v", list)
	}
	if recs := must(s.Retries(ctx, r, 10))(t); len(recs) != 0 {
		t.Errorf("%d still queued", len(recs))
	}

	// Bounded, oldest first, and counted.
	ok(t, s.Settle(ctx, r, 6, []Settlement{reject(3, "c"), reject(4, "c"), reject(5, "c"), reject(6, "c")}))
	st := must(s.Stats(ctx))(t)
	if st.DeadLetters != 4 || st.DeadDropped != 2 || st.Routes[0].Dead["c"] != 4 {
		t.Errorf("got %+v", st)
	}
	if n := must(s.DropDead(ctx, DeadFilter{Limit: 3}))(t); n != 3 {
		t.Errorf("%d dropped", n)
	}
	// A withdrawal that went well ends the last one.
	ok(t, s.Settle(ctx, r, 6, []Settlement{{Seq: 6, OID: 6}}))
	if list := must(s.DeadLetters(ctx, DeadFilter{}))(t); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
	sound(t, s)
}

func TestPrune(t *testing.T) {
	s := openNew(t)
	two := CollectionKey{"g", "root", "c"}
	apply(t, s, ind("1", 1, refs("identity--9")), ind("2", 1))
	must(s.Apply(ctx, Batch{Collection: two, Objects: []Object{ind("1", 1, refs("identity--9"))}, Position: json.RawMessage("1")}))(t)
	a, b := route(t, s), must(s.OpenRoute(ctx, "f", "other", ""))(t)
	c := must(s.OpenRoute(ctx, "g", "splunk.soc", ""))(t)
	for _, r := range []Route{a, b} {
		ok(t, s.Settle(ctx, r, 2, []Settlement{{Seq: 1, OID: 1, Entry: delivered(1), Dead: &DeadLetter{Reason: "x"}}, {Seq: 2, OID: 2, Entry: delivered(1)}}))
	}
	ok(t, s.Settle(ctx, c, 3, []Settlement{{Seq: 3, OID: 3, Entry: delivered(1)}}))
	rep := must(s.Prune(ctx, []string{"f"}, [][2]string{{"f", "splunk.soc"}, {"g", "splunk.soc"}}))(t)
	slices.Sort(rep.Routes)
	if !slices.Equal(rep.Feeds, []string{"g"}) || !slices.Equal(rep.Routes, []string{"f -> other", "g -> splunk.soc"}) ||
		rep.Objects != 1 || rep.Ledger != 3 || rep.DeadRows != 1 {
		t.Errorf("got %+v", rep)
	}
	sound(t, s)
	st := must(s.Stats(ctx))(t)
	if len(st.Feeds) != 1 || len(st.Routes) != 1 || len(st.Collections) != 1 || st.Routes[0].Delivered != 2 {
		t.Errorf("got %+v", st)
	}
	// Numbers are not given twice.
	if got := must(s.Apply(ctx, Batch{Collection: two, Objects: []Object{ind("1", 1)}}))(t); got.Seq != 4 {
		t.Errorf("got %+v", got)
	}
	if pos, _, _ := s.Position(ctx, two); pos != nil {
		t.Errorf("position %s survived", pos)
	}
}

func TestBackup(t *testing.T) {
	s := openNew(t)
	apply(t, s, ind("1", 1))
	dir := t.TempDir()
	file := filepath.Join(dir, dbName)
	ok(t, s.Backup(ctx, file))
	if err := s.Backup(ctx, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("second backup: %v", err)
	}
	apply(t, s, ind("2", 1))
	restored := openAt(t, dir)
	sound(t, restored)
	if recs := changes(t, restored, route(t, restored), 0); len(recs) != 1 {
		t.Errorf("%d records in the backup, want 1", len(recs))
	}
	if err := s.Backup(ctx, filepath.Join(dir, "no", "such", "dir")); !IsLocal(err) {
		t.Errorf("got %v", err)
	}
}

func TestCheckFinds(t *testing.T) {
	for what, q := range map[string]string{
		"feed counters":          `UPDATE feed SET current = current + 1`,
		"belongs to no object":   `INSERT INTO ledger SELECT route, 99, version, digest, status, reason, refs, first, last, replay FROM ledger`,
		"route counters":         `UPDATE outcome SET n = 7`,
		"above its feed":         `UPDATE feed SET head = 0`,
		"never given":            `UPDATE counter SET value = 0 WHERE name = 'seq'`,
		"cursor is above":        `UPDATE route SET cursor = 1000`,
		"belongs to no route":    `DELETE FROM route`,
		"belongs to no coll":     `DELETE FROM collection`,
		"letter belongs to no o": `UPDATE dead SET oid = 77`,
		"there twice":            `UPDATE object SET (stix_id, id_hash) = (SELECT stix_id, id_hash FROM object WHERE oid = 1)`,
		"leads to another id":    `UPDATE object SET id_hash = id_hash + 1`,
	} {
		s := openNew(t)
		apply(t, s, ind("1", 1), ind("2", 1))
		r := route(t, s)
		ok(t, s.Settle(ctx, r, 2, []Settlement{{Seq: 1, OID: 1, Entry: delivered(1), Dead: &DeadLetter{}}}))
		sound(t, s)
		_, err := s.w.ExecContext(ctx, q)
		ok(t, err)
		if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", q, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(ctx, Options{Dir: dir, ReadOnly: true})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "no state in") {
		t.Errorf("without state: %v", err)
	}
	s := openAt(t, dir)
	r := route(t, s)
	apply(t, s, ind("1", 1))
	ro := must(Open(ctx, Options{Dir: dir, ReadOnly: true}))(t)
	defer ro.Close()
	apply(t, s, ind("2", 1)) // seen as well, in the log
	if recs := changes(t, ro, r, 0); len(recs) != 2 {
		t.Errorf("beside the service: %d records, want 2", len(recs))
	}
	for what, err := range map[string]error{
		"apply":  second(ro.Apply(ctx, Batch{Collection: home})),
		"route":  second(ro.OpenRoute(ctx, "f", "x", "")),
		"settle": ro.Settle(ctx, r, 1, nil),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	backup := func(what string) {
		t.Helper()
		copied := t.TempDir()
		ok(t, ro.Backup(ctx, filepath.Join(copied, dbName)))
		restored := openAt(t, copied)
		if recs := changes(t, restored, r, 0); len(recs) != 2 {
			t.Errorf("%s: %d records in the backup, want 2", what, len(recs))
		}
		sound(t, restored)
	}
	backup("beside the service")
	// As after kill -9: the log is there, but nobody who writes.
	killed := t.TempDir()
	for _, ext := range []string{"", "-wal"} {
		ok(t, os.WriteFile(filepath.Join(killed, dbName+ext), must(os.ReadFile(s.Path()+ext))(t), 0o600))
	}
	ok(t, ro.Close())
	ro = must(Open(ctx, Options{Dir: killed, ReadOnly: true}))(t)
	defer ro.Close()
	backup("after the service was killed")
	ok(t, s.Close())
	ro = must(Open(ctx, Options{Dir: dir, ReadOnly: true}))(t)
	defer ro.Close()
	backup("without a service")
	if recs := changes(t, ro, r, 0); len(recs) != 2 {
		t.Errorf("without a service: %d records, want 2", len(recs))
	}
}

func TestClosed(t *testing.T) {
	s := openNew(t)
	ok(t, s.Close())
	ok(t, s.Close())
	if _, err := s.Apply(ctx, Batch{Collection: home}); !errors.Is(err, errClosed) {
		t.Errorf("apply: %v", err)
	}
	if _, err := s.Stats(ctx); err == nil {
		t.Error("stats of a closed state")
	}
}

func TestCanceled(t *testing.T) {
	s := openNew(t)
	stop, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Apply(stop, Batch{Collection: home}); !errors.Is(err, context.Canceled) || IsLocal(err) {
		t.Errorf("apply: %v", err)
	}
	if _, err := s.Stats(stop); !errors.Is(err, context.Canceled) || IsLocal(err) {
		t.Errorf("stats: %v", err)
	}
}

// A long queue is estimated, and never below the truth.
func TestPendingEstimate(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	var objs []Object
	for i := range pendingExact + 1 {
		objs = append(objs, ind(time.Duration(i).String(), 1, raw("{}")))
	}
	apply(t, s, objs[:pendingExact]...)
	if st := must(s.Stats(ctx))(t).Routes[0]; st.Pending != pendingExact || !st.PendingExact {
		t.Errorf("got %+v", st)
	}
	apply(t, s, objs...)
	if st := must(s.Stats(ctx))(t).Routes[0]; st.Pending != pendingExact+1 || st.PendingExact {
		t.Errorf("got %+v", st)
	}
	ok(t, s.Settle(ctx, r, pendingExact, nil))
	if st := must(s.Stats(ctx))(t).Routes[0]; st.Pending != 1 || !st.PendingExact {
		t.Errorf("got %+v", st)
	}
}

// The statements of the hot path must use their index, whatever the planner
// learns.
func TestPlans(t *testing.T) {
	s := openNew(t)
	for q, want := range map[string]string{
		`SELECT ` + recordColumns + ` FROM object o LEFT JOIN ledger l ON l.route = 1 AND l.oid = o.oid WHERE o.feed = 1 AND o.type = 'indicator' AND o.seq > 1 ORDER BY o.seq LIMIT 10`: "object_change",
		`SELECT oid, feed FROM object WHERE state = 0 AND expires > 0 AND expires <= 5 ORDER BY expires LIMIT 5`:                                                                         "object_expiry",
		`SELECT expires FROM object WHERE state = 0 AND expires > 0 ORDER BY expires LIMIT 1`:                                                                                            "object_expiry",
		`SELECT x.oid FROM object x WHERE x.feed = 1 AND x.about_hash = 1 AND x.about = 'a' AND x.state = 0 ORDER BY x.oid DESC LIMIT 5`:                                                 "object_about",
		`SELECT 1 FROM json_each('[]') j CROSS JOIN object l ON l.feed = 1 AND l.target_hash = j.value AND l.target = j.key AND l.state = 0`:                                             "object_target",
		`SELECT 1 FROM object WHERE feed = 1 AND type = 'indicator' AND seq > 5 LIMIT 5`:                                                                                                 "COVERING INDEX object_change",
	} {
		rows, err := s.r.QueryContext(ctx, "EXPLAIN QUERY PLAN "+q)
		ok(t, err)
		var plan []string
		ok(t, eachRow(rows, func(r scanner) error {
			var a, b, c int
			var line string
			err := r.Scan(&a, &b, &c, &line)
			plan = append(plan, line)
			return err
		}))
		all := strings.Join(plan, "; ")
		if !strings.Contains(all, want) || strings.Contains(all, "TEMP B-TREE") {
			t.Errorf("%s\nplan: %s\nwant %s", q, all, want)
		}
	}
}

// Writers, readers and a delivery at once; at the end everything is delivered in
// its newest version.
func TestConcurrent(t *testing.T) {
	s := openNew(t)
	r := route(t, s)
	const writers, rounds, each = 3, 15, 20
	var producing, others sync.WaitGroup
	for w := range writers {
		producing.Go(func() {
			for v := range int64(rounds) {
				var objs []Object
				for i := range each {
					id := strconv.Itoa(i + w*each/2) // half of them shared with the next writer
					objs = append(objs, ind(id, v+1, raw(`{"v":`+strconv.FormatInt(v+1, 10)+`}`)), obj("sighting", id, v+1, about("indicator--"+id, "")))
				}
				if _, err := s.Apply(ctx, Batch{Collection: home, Objects: objs}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			_, err := s.Stats(ctx)
			if err == nil {
				_, err = s.Expire(ctx, t0, 10)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	cursor := int64(0)
	deliver := func() (progress bool) {
		recs, through, err := s.Changes(ctx, r, cursor, 7, 1<<20)
		ok(t, err)
		var settled []Settlement
		for _, rec := range recs {
			settled = append(settled, Settlement{Seq: rec.Seq, OID: rec.OID, Entry: delivered(rec.Version)})
		}
		ok(t, s.Settle(ctx, r, through, settled))
		progress = through > cursor
		cursor = through
		return progress
	}
	finished := make(chan struct{})
	go func() { producing.Wait(); close(finished) }()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		default:
			deliver()
		}
	}
	for deliver() {
	}
	close(done)
	others.Wait()
	recs := changes(t, s, r, 0)
	if want := each + (writers-1)*each/2; len(recs) != want {
		t.Errorf("%d indicators, want %d", len(recs), want)
	}
	for _, rec := range recs {
		if rec.Version != rounds || rec.Ledger == nil || rec.Ledger.Version != rounds || len(rec.Context) != 1 {
			t.Errorf("%s: version %d, ledger %+v, context of %d", rec.ID, rec.Version, rec.Ledger, len(rec.Context))
		}
	}
	sound(t, s)
}
