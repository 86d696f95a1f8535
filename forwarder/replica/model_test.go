package replica

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// A model is the replica as plain maps, with the rules written down once more
// in the most naive way.
type model struct {
	now     time.Time
	objects map[string]*modelObject
	waiting map[string]map[string]bool // missing id -> indicators
	walk    map[string]bool            // served since the resync began; nil = none
	ledger  map[string]*Entry
}

type modelObject struct {
	Object
	state State
	coll  string
}

func (m *model) stateOf(o Object) State {
	switch {
	case o.Revoked:
		return Revoked
	case o.Type == TypeIndicator && o.Expires != 0 && o.Expires <= us(m.now):
		return Expired
	}
	return Current
}

// apply returns the indicators that must get a new number.
func (m *model) apply(coll string, batch []Object) map[string]bool {
	newest := map[string]Object{}
	for _, o := range batch {
		if have, ok := newest[o.ID]; !ok || o.Version >= have.Version {
			newest[o.ID] = o
		}
	}
	changed, fresh, oldAbout := map[string]bool{}, map[string]bool{}, map[string]string{}
	for id, o := range newest {
		if m.walk != nil {
			m.walk[id] = true
		}
		have := m.objects[id]
		switch {
		case have == nil:
			fresh[id] = true
			m.objects[id] = &modelObject{o, m.stateOf(o), coll}
		case o.Version < have.Version,
			o.Version == have.Version && (have.state == Revoked || have.state == Expired),
			o.Version == have.Version && have.state == Current && (bytes.Equal(o.Raw, have.Raw) || coll != have.coll):
			continue
		default:
			oldAbout[id] = have.About
			m.objects[id] = &modelObject{o, m.stateOf(o), have.coll}
		}
		changed[id] = true
	}
	again := m.touch(changed, fresh, oldAbout)
	for id := range changed { // what it refers to and is not here
		for _, ref := range m.objects[id].Refs {
			if m.objects[ref] == nil {
				if m.waiting[ref] == nil {
					m.waiting[ref] = map[string]bool{}
				}
				m.waiting[ref][id] = true
			}
		}
		if strings.HasPrefix(id, "indicator--") {
			again[id] = true
		}
	}
	return again
}

// touch returns the indicators whose context changes with the given objects.
func (m *model) touch(changed, fresh map[string]bool, oldAbout map[string]string) map[string]bool {
	again := map[string]bool{}
	add := func(id string) {
		if o := m.objects[id]; o != nil && o.Type == TypeIndicator && o.state == Current && !changed[id] {
			again[id] = true
		}
	}
	for id := range changed {
		o := m.objects[id]
		if o.Type == TypeIndicator {
			continue
		}
		if o.About != "" || oldAbout[id] != "" {
			add(o.About)
			add(oldAbout[id])
		}
		if o.About != "" {
			continue
		}
		for _, l := range m.objects {
			if l.Target == id && l.state == Current {
				add(l.About)
			}
		}
		if fresh[id] {
			for w := range m.waiting[id] {
				add(w)
			}
			delete(m.waiting, id)
		}
	}
	return again
}

func (m *model) retire(ids map[string]bool, to State) map[string]bool {
	for id := range ids {
		m.objects[id].state = to
	}
	again := m.touch(ids, nil, nil)
	for id := range ids {
		if strings.HasPrefix(id, "indicator--") {
			again[id] = true
		}
	}
	return again
}

func (m *model) context(id string) []string {
	set := map[string]bool{}
	use := func(id string) {
		if o := m.objects[id]; o != nil && o.state == Current {
			set[string(o.Raw)] = true
		}
	}
	for _, r := range m.objects[id].Refs {
		use(r)
	}
	for lid, l := range m.objects {
		if l.About == id && l.state == Current {
			use(lid)
			use(l.Target)
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// TestModel drives store and model through the same random history. After each
// step, exactly the indicators that the model names must have new numbers, and
// every record, its context and its ledger must agree.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed, 120) })
	}
}

func runModel(t *testing.T, seed uint64, steps int) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	m := &model{now: t0, objects: map[string]*modelObject{}, waiting: map[string]map[string]bool{}, ledger: map[string]*Entry{}}
	dir := t.TempDir()
	open := func() *Store {
		return must(Open(ctx, Options{Dir: dir, Now: func() time.Time { return m.now }}))(t)
	}
	s := open()
	defer func() { s.Close() }()
	r := route(t, s)
	numbers := map[string]int64{}
	for step := range steps {
		var want map[string]bool
		var what string
		switch n := rnd.IntN(20); {
		case n < 12:
			coll := fmt.Sprintf("c%d", rnd.IntN(2))
			batch := randomBatch(rnd, m.now)
			what = fmt.Sprintf("apply %d objects", len(batch))
			want = m.apply(coll, batch)
			b := Batch{Collection: CollectionKey{"f", "root", coll}, Objects: batch}
			got := must(s.Apply(ctx, b))(t)
			if sum := got.New + got.Updated + got.Unchanged + got.Older; sum != len(batch) {
				t.Fatalf("seed %d step %d: %+v adds up to %d, not %d", seed, step, got, sum, len(batch))
			}
			if again := must(s.Apply(ctx, b))(t); again.New != 0 {
				t.Fatalf("seed %d step %d: the same batch again: %+v", seed, step, again)
			}
			// What a batch does twice may differ: content at the same version.
			for id := range m.apply(coll, batch) {
				want[id] = true
			}
		case n < 14:
			m.now = m.now.Add(time.Duration(rnd.IntN(60)) * time.Minute)
			due := map[string]bool{}
			for id, o := range m.objects {
				if o.Type == TypeIndicator && o.state == Current && o.Expires != 0 && o.Expires <= us(m.now) {
					due[id] = true
				}
			}
			what = fmt.Sprintf("expire %d", len(due))
			want = m.retire(due, Expired)
			if n := must(s.Expire(ctx, m.now, 0))(t); n != len(due) {
				t.Fatalf("seed %d step %d: %d expired, want %d", seed, step, n, len(due))
			}
		case n < 16:
			what = "resync"
			walk := must(s.BeginWalk(ctx, "f"))(t)
			m.walk = map[string]bool{}
			want = map[string]bool{}
			for range 3 {
				batch := randomBatch(rnd, m.now)
				maps.Copy(want, m.apply("c0", batch))
				must(s.Apply(ctx, Batch{Collection: CollectionKey{"f", "root", "c0"}, Objects: batch, Walk: walk}))(t)
			}
			gone := map[string]bool{}
			for id, o := range m.objects {
				if o.state == Current && !m.walk[id] {
					gone[id] = true
				}
			}
			m.walk = nil
			maps.Copy(want, m.retire(gone, Gone))
			if n := must(s.Sweep(ctx, "f", walk))(t); n != len(gone) {
				t.Fatalf("seed %d step %d: %d gone, want %d", seed, step, n, len(gone))
			}
		case n < 19:
			what, want = "deliver", nil
			r = deliverSome(t, rnd, s, r, m)
		default:
			what, want = "die", nil
			sent := m.intend(t, rnd, s, r)
			ok(t, s.Close())
			s = open()
			r = route(t, s)
			if n := must(s.Recover(ctx, r))(t); n != sent {
				t.Fatalf("seed %d step %d: %d recovered, want %d", seed, step, n, sent)
			}
		}
		compare(t, fmt.Sprintf("seed %d step %d (%s)", seed, step, what), s, r, m, numbers, want)
	}
	sound(t, s)
	compareStats(t, s, m)
}

// intend hands some indicators to the destination and gets no answer. It returns
// how many, and expects them to be recovered now.
func (m *model) intend(t *testing.T, rnd *rand.Rand, s *Store, r Route) int {
	t.Helper()
	var batch []Intent
	for _, rec := range changes(t, s, r, 0) {
		if rnd.IntN(4) != 0 {
			continue
		}
		ref := fmt.Sprintf("domain-name:%d.example.com", rnd.IntN(3))
		batch = append(batch, Intent{OID: rec.OID, Refs: []string{ref}})
		e := &Entry{First: m.now}
		if have := m.ledger[rec.ID]; have != nil {
			*e = *have
		}
		e.Digest, e.Refs = 0, union(slices.Clone(e.Refs), []string{ref})
		m.ledger[rec.ID] = e
	}
	for part := range slices.Chunk(batch, 3) {
		must(s.Intend(ctx, r, part))(t)
	}
	return len(batch)
}

var modelTypes = []string{"indicator", "indicator", "indicator", "relationship", "sighting", "malware", "identity"}

func randomBatch(rnd *rand.Rand, now time.Time) []Object {
	batch := make([]Object, 1+rnd.IntN(12))
	for i := range batch {
		typ := modelTypes[rnd.IntN(len(modelTypes))]
		o := obj(typ, fmt.Sprint(rnd.IntN(12)), int64(1+rnd.IntN(4)), func(o *Object) {
			switch typ {
			case "indicator":
				for range rnd.IntN(3) {
					ref := fmt.Sprintf("identity--%d", rnd.IntN(12))
					if !slices.Contains(o.Refs, ref) {
						o.Refs = append(o.Refs, ref)
					}
				}
				if rnd.IntN(3) == 0 {
					o.Expires = us(now.Add(time.Duration(rnd.IntN(200)-20) * time.Minute))
				}
			case "relationship":
				o.About, o.Target = fmt.Sprintf("indicator--%d", rnd.IntN(12)), fmt.Sprintf("malware--%d", rnd.IntN(12))
			case "sighting":
				o.About = fmt.Sprintf("indicator--%d", rnd.IntN(12))
			}
			o.Revoked = rnd.IntN(8) == 0
		})
		// Content that is decided by all that matters, so that equal content means
		// equal objects.
		o.Raw = fmt.Appendf(nil, `{"id":%q,"v":%d,"x":"%v %v %v %v %v"}`, o.ID, o.Version, o.Refs, o.Expires, o.Revoked, o.About, o.Target)
		batch[i] = o
	}
	return batch
}

func deliverSome(t *testing.T, rnd *rand.Rand, s *Store, r Route, m *model) Route {
	t.Helper()
	recs, through, err := s.Changes(ctx, r, r.Cursor, 1+rnd.IntN(10), 1+rnd.IntN(2000))
	ok(t, err)
	var settled []Settlement
	for _, rec := range recs {
		st := Settlement{Seq: rec.Seq, OID: rec.OID}
		switch rnd.IntN(4) {
		case 0: // holds nothing any more
			delete(m.ledger, rec.ID)
		case 1:
			st.Entry = &Entry{Version: rec.Version, Status: intel.Rejected, Reason: fmt.Sprint("r", rnd.IntN(2)), First: t0, Last: t0}
			st.Dead = &DeadLetter{Reason: st.Entry.Reason, Version: rec.Version}
			m.ledger[rec.ID] = st.Entry
		default:
			st.Entry = delivered(rec.Version, "ipv4-addr:192.0.2.1", "url:http://example.com/\"é\x01")
			m.ledger[rec.ID] = st.Entry
		}
		settled = append(settled, st)
	}
	if rnd.IntN(2) == 0 {
		ok(t, s.Settle(ctx, r, through, settled))
	} else {
		var batch []Intent
		for _, st := range settled {
			batch = append(batch, Intent{OID: st.OID, Refs: []string{"never:seen"}})
		}
		ok(t, s.Settle(ctx, r, through, settled, must(s.Intend(ctx, r, batch))(t)))
	}
	r = route(t, s)
	if r.Cursor != through {
		t.Fatalf("cursor %d, want %d", r.Cursor, through)
	}
	return r
}

func compare(t *testing.T, at string, s *Store, r Route, m *model, numbers map[string]int64, want map[string]bool) {
	t.Helper()
	recs := changes(t, s, r, 0)
	last := int64(0)
	seen := 0
	for _, rec := range recs {
		if rec.Seq <= last {
			t.Fatalf("%s: change number %d after %d", at, rec.Seq, last)
		}
		last = rec.Seq
		o := m.objects[rec.ID]
		if o == nil || o.Version != rec.Version || o.state != rec.State || !bytes.Equal(o.Raw, rec.Raw) || o.coll != rec.Collection {
			t.Fatalf("%s: got %s v%d %s %s in %s\nwant %+v", at, rec.ID, rec.Version, rec.State, rec.Raw, rec.Collection, o)
		}
		seen++
		renumbered := rec.Seq > numbers[rec.ID]
		if rec.Seq < numbers[rec.ID] || renumbered != want[rec.ID] {
			t.Fatalf("%s: %s went from number %d to %d, renumber: %v", at, rec.ID, numbers[rec.ID], rec.Seq, want[rec.ID])
		}
		numbers[rec.ID] = rec.Seq
		var got []string
		for _, c := range rec.Context {
			got = append(got, string(c))
		}
		sort.Strings(got)
		if w := m.context(rec.ID); !slices.Equal(got, w) {
			t.Fatalf("%s: context of %s:\ngot  %q\nwant %q", at, rec.ID, got, w)
		}
		e, l := m.ledger[rec.ID], rec.Ledger
		if (e == nil) != (l == nil) || e != nil && (e.Version != l.Version || e.Digest != l.Digest || e.Status != l.Status ||
			e.Reason != l.Reason || !slices.Equal(e.Refs, l.Refs) && e.Refs != nil || !e.First.Equal(l.First)) {
			t.Fatalf("%s: ledger of %s: got %+v, want %+v", at, rec.ID, l, e)
		}
	}
	total := 0
	for id := range m.objects {
		if strings.HasPrefix(id, "indicator--") {
			total++
		}
	}
	if seen != total {
		t.Fatalf("%s: %d indicators, want %d", at, seen, total)
	}
}

func compareStats(t *testing.T, s *Store, m *model) {
	t.Helper()
	st := must(s.Stats(ctx))(t)
	var want FeedStats
	for _, o := range m.objects {
		want.Objects++
		if o.Type != TypeIndicator {
			continue
		}
		want.Indicators++
		switch o.state {
		case Current:
			want.Current++
		case Revoked:
			want.Revoked++
		case Expired:
			want.Expired++
		case Gone:
			want.Gone++
		}
	}
	got := st.Feeds[0]
	want.Feed, want.Head = got.Feed, got.Head
	if got != want {
		t.Errorf("feed: got %+v, want %+v", got, want)
	}
	var good, bad int64
	for _, e := range m.ledger {
		switch e.Status {
		case intel.Delivered:
			good++
		case intel.Rejected:
			bad++
		}
	}
	rs := st.Routes[0]
	if rs.Delivered != good || rs.Rejected["r0"]+rs.Rejected["r1"] != bad || st.DeadLetters != bad {
		t.Errorf("route: got %+v and %d dead letters, want %d delivered, %d rejected", rs, st.DeadLetters, good, bad)
	}
	if rs.Pending != int64(len(changes(t, s, route(t, s), rs.Cursor))) || !rs.PendingExact {
		t.Errorf("pending %d (exact %t)", rs.Pending, rs.PendingExact)
	}
}
