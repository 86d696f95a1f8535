package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Apply makes a batch durable in one transaction: its objects, the context
// changes that follow from them, the marks of a resync and the position.
//
// A newer Version replaces an older one. At equal versions, different content
// does, provided that it comes from the collection that served the object
// first: two collections that disagree for good would otherwise take turns; of
// objects that share an id ([Object.Shared]) one does, always the same. A
// tombstone, revoked or expired, yields to a newer version only; an object that
// was gone is current again as soon as it is served in the same or a newer
// version. What is revoked or past its valid_until on arrival is a tombstone at
// once, with a change number.
//
// Offering a batch again is harmless. When a change of context touches very many
// indicators, the batch is durable before all of them have their new numbers;
// the rest follow in transactions of their own before Apply returns, or, should
// it be interrupted, with the next Apply or Open.
func (s *Store) Apply(ctx context.Context, b Batch) (Applied, error) {
	op := "apply " + b.Collection.Feed + "/" + b.Collection.ID
	objs, out := arrange(b.Objects)
	var feed feedRow
	more := false
	err := s.write(ctx, op, func(t *tx) (err error) {
		base := out
		if feed, err = t.feed(b.Collection.Feed); err != nil {
			return err
		}
		if b.Walk != 0 && b.Walk != feed.walk {
			return ErrWalkOver
		}
		coll, err := t.collection(feed.id, b.Collection)
		if err != nil {
			return err
		}
		a := applier{t: t, feed: &feed, coll: coll, out: base, before: t.seq, now: s.now().UnixMicro()}
		if err := a.objects(objs); err != nil {
			return err
		}
		if b.Position != nil {
			if err := t.exec(`UPDATE collection SET position = ?, updated = ? WHERE id = ?`,
				string(b.Position), a.now, coll); err != nil {
				return err
			}
		}
		n, left, err := t.drain(&feed)
		if err != nil {
			return err
		}
		a.out.Renumbered += n
		more = left
		out = a.out
		return t.saveFeed(&feed)
	})
	if err != nil {
		return Applied{}, err
	}
	out.Seq = feed.head
	for more {
		if err := s.write(ctx, op, func(t *tx) error {
			n, left, err := t.drainFeed(feed.id, &out.Seq)
			out.Renumbered += n
			more = left
			return err
		}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// An incoming object with what Apply computes before it takes the turn.
type incoming struct {
	Object
	hash   int64 // of Raw
	idHash int64
	oid    int64 // once known
}

// arrange reduces objects to one version per id: the newest, the last one among
// equals. They stay in the order served, each id where it was first.
func arrange(objects []Object) ([]incoming, Applied) {
	var out Applied
	in := make([]incoming, 0, len(objects))
	place := make(map[string]int, len(objects)) // in in
	for _, o := range objects {
		o.ID = cleanID(o.ID)
		if o.ID == "" || o.Type == "" {
			out.Broken++
			continue
		}
		if o.Type == TypeIndicator {
			o.About, o.Target = "", ""
		} else {
			o.Expires, o.Refs = 0, nil
			o.About, o.Target = cleanID(o.About), cleanID(o.Target)
			if o.About == "" {
				o.Target = ""
			}
		}
		if at, again := place[o.ID]; again {
			out.Unchanged++
			if in[at].Version < o.Version || in[at].Version == o.Version && !(o.Shared && in[at].Revoked) {
				in[at].Object = o
			}
			continue
		}
		place[o.ID] = len(in)
		in = append(in, incoming{Object: o})
	}
	for i := range in {
		in[i].hash, in[i].idHash = contentHash(in[i].Raw), idHash(in[i].ID)
	}
	return in, out
}

// cleanID returns an id without what no STIX id has and what would confuse the
// database or a terminal: blanks, control characters, invalid UTF-8.
func cleanID(id string) string {
	for i := 0; i < len(id); i++ {
		if c := id[i]; c <= 0x20 || c >= 0x7f {
			return strings.Map(func(r rune) rune {
				if r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) {
					return -1
				}
				return r
			}, id)
		}
	}
	return id
}

// An applier carries one Apply through its transaction.
type applier struct {
	t      *tx
	feed   *feedRow
	coll   int64
	out    Applied
	before int64 // last change number before this batch
	now    int64
	links  linkWork
	fresh  []*incoming
}

// stored is what decides about an object that is here already.
type stored struct {
	oid, version, hash, coll int64
	state                    State
	indicator                bool
	about                    string
}

func (a *applier) objects(objs []incoming) error {
	if len(objs) == 0 {
		return nil
	}
	known, err := a.lookup(objs)
	if err != nil {
		return err
	}
	a.fresh = make([]*incoming, 0, len(objs))
	for i := range objs {
		o := &objs[i]
		if known[i].oid == 0 {
			a.fresh = append(a.fresh, o)
			continue
		}
		o.oid = known[i].oid
		change, err := a.supersedes(o, &known[i])
		if err != nil {
			return err
		}
		if change {
			if err := a.update(o, &known[i]); err != nil {
				return err
			}
		}
	}
	if err := a.insert(); err != nil {
		return err
	}
	if a.feed.walk != 0 {
		if err := a.mark(objs); err != nil {
			return err
		}
	}
	return a.link()
}

// lookup finds the objects that are here already; element i belongs to objs[i].
func (a *applier) lookup(objs []incoming) ([]stored, error) {
	hashes := make([]int64, len(objs))
	for i := range objs {
		hashes[i] = objs[i].idHash
	}
	known := make([]stored, len(objs))
	// CROSS JOIN keeps the order: one look-up per hash, never a scan of the table.
	err := a.t.each(func(r scanner) error {
		var i int
		var id string
		var k stored
		if err := r.Scan(&i, &id, &k.oid, &k.version, &k.hash, &k.coll, &k.state, &k.indicator, &k.about); err != nil {
			return err
		}
		if id == objs[i].ID { // else another id of the same hash
			known[i] = k
		}
		return nil
	}, `SELECT j.key, o.stix_id, o.oid, o.version, o.hash, o.collection, o.state, o.type = 'indicator', coalesce(o.about, '')
		FROM json_each(?) j CROSS JOIN object o WHERE o.feed = ? AND o.id_hash = j.value`, jsonInts(hashes), a.feed.id)
	return known, err
}

// supersedes decides whether o replaces what is stored, and counts it if not.
func (a *applier) supersedes(o *incoming, k *stored) (bool, error) {
	switch {
	case o.Version > k.version:
		return true, nil
	case o.Version < k.version:
		a.out.Older++
		return false, nil
	case k.state == Gone:
		return true, nil
	case o.hash == k.hash:
		a.out.Unchanged++
		return false, nil
	case k.state != Current:
		a.out.Older++
		return false, nil
	case o.Shared:
		// Else those that are served side by side would take turns at every walk.
		if !o.Revoked && o.hash < k.hash {
			a.out.Unchanged++
			return false, nil
		}
		return true, nil
	case k.coll != a.coll:
		a.out.Unchanged++
		return false, nil
	}
	var raw []byte
	if err := a.t.row(`SELECT raw FROM object WHERE oid = ?`, k.oid).Scan(&raw); err != nil {
		return false, err
	}
	if sameContent(raw, o.Raw) {
		a.out.Unchanged++
		return false, nil
	}
	return true, nil
}

// state is the state of an object that arrives now.
func (a *applier) state(o *Object) State {
	switch {
	case o.Revoked:
		return Revoked
	case o.Expires != 0 && o.Expires <= a.now:
		return Expired
	}
	return Current
}

func (a *applier) update(o *incoming, k *stored) error {
	state := a.state(&o.Object)
	a.t.seq++
	if err := a.t.exec(`UPDATE object SET seq = ?, type = ?, state = ?, version = ?, expires = ?, hash = ?,
		about = ?, about_hash = ?, target = ?, target_hash = ?, refs = ?, raw = ? WHERE oid = ?`,
		a.t.seq, o.Type, int64(state), o.Version, o.Expires, o.hash,
		orNull(o.About), hashOrNull(o.About), orNull(o.Target), hashOrNull(o.Target), joinRefs(o.Refs), string(o.Raw), o.oid); err != nil {
		return err
	}
	a.out.Updated++
	a.feed.count(k.indicator, k.state, -1)
	a.feed.count(o.Type == TypeIndicator, state, +1)
	a.feed.head = a.t.seq
	a.links.changed(o, k.about, false)
	return nil
}

// How new objects are inserted: those of most columns are for objects that say
// something about an indicator.
var (
	insertIndicators = newInsert(`INSERT OR ROLLBACK INTO object (oid, seq, feed, collection, stix_id, id_hash, type, state, version, expires, hash, refs, raw)`,
		`(?, ?, ?, ?, ?, ?, 'indicator', ?, ?, ?, ?, ?, ?)`)
	insertOthers = newInsert(`INSERT OR ROLLBACK INTO object (oid, seq, feed, collection, stix_id, id_hash, type, state, version, expires, hash,
		about, about_hash, target, target_hash, refs, raw)`,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, '', ?)`)
)

// insert adds the new objects.
func (a *applier) insert() error {
	indicators, others := insertIndicators.begin(a.t), insertOthers.begin(a.t)
	for _, o := range a.fresh {
		a.t.seq++
		o.oid = a.t.seq
		state := a.state(&o.Object)
		var err error
		if o.Type == TypeIndicator {
			err = indicators.add(o.oid, o.oid, a.feed.id, a.coll, o.ID, o.idHash, int64(state), o.Version, o.Expires, o.hash,
				joinRefs(o.Refs), string(o.Raw))
		} else {
			err = others.add(o.oid, o.oid, a.feed.id, a.coll, o.ID, o.idHash, o.Type, int64(state), o.Version, o.hash,
				orNull(o.About), hashOrNull(o.About), orNull(o.Target), hashOrNull(o.Target), string(o.Raw))
		}
		if err != nil {
			return err
		}
		a.feed.count(o.Type == TypeIndicator, state, +1)
		a.feed.head = a.t.seq
		a.links.changed(o, "", true)
	}
	if err := indicators.end(); err != nil {
		return err
	}
	a.out.New = len(a.fresh)
	return others.end()
}

// mark notes that the resync under way has seen objs.
func (a *applier) mark(objs []incoming) error {
	oids := make([]int64, len(objs))
	for i := range objs {
		oids[i] = objs[i].oid
	}
	slices.Sort(oids)
	return a.t.exec(`INSERT INTO mark (feed, oid) SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
		a.feed.id, jsonInts(oids))
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// joinRefs is the form of the column refs; an id has no blanks.
func joinRefs(refs []string) string {
	switch len(refs) {
	case 0:
		return ""
	case 1:
		return cleanID(refs[0])
	}
	clean := make([]string, 0, len(refs))
	for _, r := range refs {
		if r = cleanID(r); r != "" && !slices.Contains(clean, r) {
			clean = append(clean, r)
		}
	}
	return strings.Join(clean, " ")
}

// Position returns where the collection's next poll resumes, and the
// fingerprint last given to [Store.SetPosition]. A collection never seen has
// neither.
func (s *Store) Position(ctx context.Context, k CollectionKey) (pos json.RawMessage, fingerprint string, err error) {
	err = s.read(ctx, "read position of "+k.Feed+"/"+k.ID, func(t *readTx) error {
		return t.each(func(r scanner) error { return r.Scan((*[]byte)(&pos), &fingerprint) },
			`SELECT c.position, c.fingerprint FROM collection c JOIN feed f ON f.id = c.feed
			WHERE f.name = ? AND c.root = ? AND c.name = ?`, k.Feed, k.Root, k.ID)
	})
	return pos, fingerprint, err
}

// SetPosition moves a collection's position on its own, and notes the
// fingerprint of the configuration that it belongs to. A nil pos is the very
// start.
func (s *Store) SetPosition(ctx context.Context, k CollectionKey, pos json.RawMessage, fingerprint string) error {
	return s.write(ctx, fmt.Sprintf("set position of %s/%s", k.Feed, k.ID), func(t *tx) error {
		feed, err := t.feed(k.Feed)
		if err != nil {
			return err
		}
		coll, err := t.collection(feed.id, k)
		if err != nil {
			return err
		}
		return t.exec(`UPDATE collection SET position = ?, fingerprint = ?, updated = ? WHERE id = ?`,
			orNull(string(pos)), fingerprint, s.now().UnixMicro(), coll)
	})
}
