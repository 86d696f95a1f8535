package replica

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
)

// collide makes ids share hashes for the length of a test: all of those whose
// last character is the same parity. One of the two hashes is the lowest there
// is.
func collide(t *testing.T) {
	t.Helper()
	was := idHash
	t.Cleanup(func() { idHash = was })
	idHash = func(id string) int64 {
		if id[len(id)-1]%2 == 0 {
			return math.MinInt64
		}
		return math.MaxInt64
	}
}

// Ids that share a hash stay apart wherever one is looked up.
func TestCollidingIDs(t *testing.T) {
	collide(t)
	s := openNew(t)
	r := route(t, s)
	// indicator--2 waits for identity--2, indicator--4 for identity--4 and both for
	// identity--6: all of one hash.
	got := apply(t, s,
		ind("2", 1, refs("identity--2", "identity--6")), ind("4", 1, refs("identity--4", "identity--6")), ind("6", 1), ind("1", 1))
	if got.New != 4 || got.Seq != 4 {
		t.Fatalf("got %+v", got)
	}
	if got := apply(t, s, ind("4", 1, refs("identity--4", "identity--6")), ind("8", 1), ind("6", 2)); got.Unchanged != 1 || got.New != 1 || got.Updated != 1 {
		t.Fatalf("again: %+v", got)
	}
	// The arrival of one creator renumbers those who wait for it, and only those.
	if got := apply(t, s, obj("identity", "4", 1)); got.Renumbered != 1 {
		t.Errorf("identity--4: %+v", got)
	}
	if got := apply(t, s, obj("identity", "6", 1)); got.Renumbered != 2 {
		t.Errorf("identity--6: %+v", got)
	}
	if got := apply(t, s, obj("identity", "8", 1)); got.Renumbered != 0 {
		t.Errorf("identity--8: %+v", got)
	}
	// So do links and their targets.
	if got := apply(t, s, obj("relationship", "2", 1, about("indicator--4", "malware--2"))); got.Renumbered != 1 {
		t.Errorf("relationship: %+v", got)
	}
	if got := apply(t, s, obj("malware", "2", 1), obj("malware", "4", 1)); got.Renumbered != 1 {
		t.Errorf("malware: %+v", got)
	}
	want := map[string][]string{
		"indicator--1": nil, "indicator--6": nil, "indicator--8": nil,
		"indicator--2": {"identity--6"},
		"indicator--4": {"relationship--2", "malware--2", "identity--4", "identity--6"},
	}
	recs := changes(t, s, r, 0)
	if len(recs) != len(want) {
		t.Errorf("%d records, want %d", len(recs), len(want))
	}
	for _, rec := range recs {
		var have []string
		for _, c := range rec.Context {
			var o struct{ ID string }
			ok(t, json.Unmarshal(c, &o))
			have = append(have, o.ID)
		}
		if strings.Join(have, " ") != strings.Join(want[rec.ID], " ") {
			t.Errorf("%s: context %q, want %q", rec.ID, have, want[rec.ID])
		}
	}
	// A resync finds what is gone among them, page after page.
	walk := must(s.BeginWalk(ctx, "f"))(t)
	must(s.Apply(ctx, Batch{Collection: home, Walk: walk, Objects: []Object{ind("4", 1), ind("1", 1)}}))(t)
	if n := must(s.Sweep(ctx, "f", walk))(t); n != 9 {
		t.Errorf("%d gone, want 9", n)
	}
	for id, state := range map[string]State{"1": Current, "2": Gone, "4": Current, "6": Gone, "8": Gone} {
		if rec := one(t, s, r, id); rec.State != state {
			t.Errorf("indicator--%s is %s, want %s", id, rec.State, state)
		}
	}
	sound(t, s)
	must(s.Prune(ctx, nil, nil))(t)
	sound(t, s)
	var left int
	ok(t, s.w.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM missing) + (SELECT count(*) FROM waiting) + (SELECT count(*) FROM object)`).Scan(&left))
	if left != 0 {
		t.Errorf("%d rows after everything was pruned", left)
	}
}

// A resync is swept in slices; one that ends among equal hashes goes on there.
func TestCollidingSweep(t *testing.T) {
	was := idHash
	t.Cleanup(func() { idHash = was })
	idHash = func(id string) int64 { // 21 ids a hash, which does not divide a slice
		n, _ := strconv.ParseInt(strings.TrimPrefix(id, "note--"), 10, 64)
		return n % 1000 / 7
	}
	s := openNew(t)
	const n = retireSlice + 1000
	objs := make([]Object, n)
	for i := range objs {
		objs[i] = obj("note", strconv.Itoa(i), 1, raw("{}"))
	}
	apply(t, s, objs...)
	walk := must(s.BeginWalk(ctx, "f"))(t)
	if got := must(s.Sweep(ctx, "f", walk))(t); got != n {
		t.Errorf("%d gone, want %d", got, n)
	}
	sound(t, s)
}

// The randomized test once more, with hashes that say next to nothing.
func TestModelWithCollisions(t *testing.T) {
	collide(t)
	runModel(t, 11, 120)
}

// The hash is part of the schema.
func TestIDHash(t *testing.T) {
	if got := idHash("identity--1"); got != -5511319389454147457 {
		t.Errorf("got %d, want testdata/v1.sql's", got)
	}
	if got, want := jsonIDs([]string{"a", "b\""}), `{"a":-3848465438864589366,"b\"":`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s…", got, want)
	}
}
