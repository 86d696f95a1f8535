package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// # Context and links
//
// An indicator is enriched with other objects of its feed: its context.
//
//   - Description. The indicator's Refs name its creator and its markings. They
//     are looked up when the indicator is read. If one was not here when the
//     indicator arrived, the tables missing and waiting say so; its arrival removes
//     those rows and gives the indicator a new change number. So nothing is paid
//     for creators that came first, and a creator that is renamed later does not
//     send everything it ever made again.
//   - Links. A relationship or sighting is about an indicator (column about) and
//     may have a target (column target). Both are columns of the linking object
//     itself, with an index of their hashes each; there is no second copy that could disagree.
//     When a linking object arrives, changes, is revoked or is gone, the indicator
//     that it is about, and the one it was about before, are given a new change
//     number; when a target does, all indicators linked to it are.
//
// Which end comes first does not matter: an indicator that arrives after its
// links finds them when it is read, and has just been given a number anyway.
//
// Only current objects are context, and only current indicators are renumbered:
// a tombstone has nothing to enrich.
//
// The indicators to renumber are first collected in the table due, a set, so
// that a thousand sightings of one indicator in a page renumber it once. A
// transaction renumbers at most drainSize of them; the rest stay in due, which
// is as durable as the change that caused them, and go in transactions of their
// own. That keeps every transaction and the write-ahead log small even when the
// creator of a million indicators arrives last.

// drainSize is how many indicators one transaction renumbers.
const drainSize = 10_000

// Limits of one record's context: an indicator with more links than this is
// enriched with the latest ones.
const maxLinks = 1000

// linkWork collects from a batch what may touch the context of other objects.
type linkWork struct {
	abouts []string    // indicators that a linking object is or was about
	others []string    // new or changed objects that may be targets
	newIDs []string    // those of others that are new: somebody may wait for them
	needy  []*incoming // indicators with Refs
}

// changed notes an object that is new, or changed and was about oldAbout.
func (l *linkWork) changed(o *incoming, oldAbout string, isNew bool) {
	if o.Type == TypeIndicator {
		if len(o.Refs) > 0 {
			l.needy = append(l.needy, o)
		}
		return
	}
	if o.About != "" {
		l.abouts = append(l.abouts, o.About)
	}
	if oldAbout != "" && oldAbout != o.About {
		l.abouts = append(l.abouts, oldAbout)
	}
	if o.About == "" {
		l.others = append(l.others, o.ID)
		if isNew {
			l.newIDs = append(l.newIDs, o.ID)
		}
	}
}

// link settles what the batch's objects mean for the context of others. Objects
// of the batch itself have their new numbers already.
func (a *applier) link() error {
	if err := a.t.touchLinked(a.feed.id, a.before, a.links.abouts, a.links.others); err != nil {
		return err
	}
	if err := a.arrive(a.links.newIDs); err != nil {
		return err
	}
	return a.await(a.links.needy)
}

// touchLinked makes due the current indicators numbered up to before that
// abouts names, and those linked to a target in targets.
func (t *tx) touchLinked(feed, before int64, abouts, targets []string) error {
	if len(abouts) > 0 {
		if err := t.exec(`INSERT INTO due (feed, oid)
			SELECT i.feed, i.oid FROM json_each(?) j CROSS JOIN object i
			WHERE i.feed = ? AND i.id_hash = j.value AND i.stix_id = j.key AND i.type = 'indicator' AND i.state = 0 AND i.seq <= ?
			ON CONFLICT DO NOTHING`, jsonIDs(abouts), feed, before); err != nil {
			return err
		}
	}
	if len(targets) > 0 {
		return t.exec(`INSERT INTO due (feed, oid)
			SELECT i.feed, i.oid FROM json_each(?) j
			CROSS JOIN object l ON l.feed = ? AND l.target_hash = j.value AND l.target = j.key AND l.state = 0
			CROSS JOIN object i ON i.feed = l.feed AND i.id_hash = l.about_hash AND i.stix_id = l.about
			WHERE i.type = 'indicator' AND i.state = 0 AND i.seq <= ?
			ON CONFLICT DO NOTHING`, jsonIDs(targets), feed, before)
	}
	return nil
}

// arrive makes due who waited for one of ids.
func (a *applier) arrive(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var found []int64
	if err := a.t.each(func(r scanner) error {
		var id int64
		err := r.Scan(&id)
		found = append(found, id)
		return err
	}, `SELECT m.id FROM json_each(?) j CROSS JOIN missing m WHERE m.feed = ? AND m.id_hash = j.value AND m.stix_id = j.key`,
		jsonIDs(ids), a.feed.id); err != nil || len(found) == 0 {
		return err
	}
	set := jsonInts(found)
	if err := a.t.exec(`INSERT INTO due (feed, oid)
		SELECT i.feed, i.oid FROM json_each(?) j CROSS JOIN waiting w ON w.missing = j.value CROSS JOIN object i ON i.oid = w.oid
		WHERE i.state = 0 AND i.seq <= ?
		ON CONFLICT DO NOTHING`, set, a.before); err != nil {
		return err
	}
	if err := a.t.exec(`DELETE FROM waiting WHERE missing IN (SELECT value FROM json_each(?))`, set); err != nil {
		return err
	}
	return a.t.exec(`DELETE FROM missing WHERE id IN (SELECT value FROM json_each(?))`, set)
}

// await notes which of needy's references are not here.
func (a *applier) await(needy []*incoming) error {
	if len(needy) == 0 {
		return nil
	}
	waiters := make(map[string][]int64)
	var refs []string
	for _, o := range needy {
		for _, r := range o.Refs {
			if r = cleanID(r); r == "" {
				continue
			}
			if _, seen := waiters[r]; !seen {
				refs = append(refs, r)
			}
			waiters[r] = append(waiters[r], o.oid)
		}
	}
	if err := a.t.each(func(r scanner) error {
		var id string
		err := r.Scan(&id)
		delete(waiters, id)
		return err
	}, `SELECT j.key FROM json_each(?) j CROSS JOIN object o WHERE o.feed = ? AND o.id_hash = j.value AND o.stix_id = j.key`,
		jsonIDs(refs), a.feed.id); err != nil {
		return err
	}
	for _, ref := range refs {
		oids := waiters[ref]
		if oids == nil {
			continue
		}
		id, err := a.t.missing(a.feed.id, ref)
		if err != nil {
			return err
		}
		if err := a.t.exec(`INSERT INTO waiting (missing, oid) SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
			id, jsonInts(oids)); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the id of the row for an object that is not here, new if need
// be.
func (t *tx) missing(feed int64, ref string) (id int64, err error) {
	hash := idHash(ref)
	err = t.row(`SELECT id FROM missing WHERE feed = ? AND id_hash = ? AND stix_id = ?`, feed, hash, ref).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	err = t.row(`INSERT INTO missing (feed, stix_id, id_hash) VALUES (?, ?, ?) RETURNING id`, feed, ref, hash).Scan(&id)
	return id, err
}

// drain renumbers up to drainSize of feed's due indicators. The caller saves
// feed.
func (t *tx) drain(feed *feedRow) (n int, more bool, err error) {
	var last int64
	var count int64
	if err := t.row(`SELECT count(*), coalesce(max(oid), 0) FROM (SELECT oid FROM due WHERE feed = ? ORDER BY oid LIMIT ?)`,
		feed.id, drainSize).Scan(&count, &last); err != nil || count == 0 {
		return 0, false, err
	}
	changed, err := t.execN(`UPDATE object SET seq = ? + d.rank
		FROM (SELECT oid, row_number() OVER (ORDER BY oid) AS rank FROM due WHERE feed = ? AND oid <= ?) AS d
		WHERE object.oid = d.oid`, t.seq, feed.id, last)
	if err != nil {
		return 0, false, err
	}
	if err := t.exec(`DELETE FROM due WHERE feed = ? AND oid <= ?`, feed.id, last); err != nil {
		return 0, false, err
	}
	t.seq += count
	feed.head = t.seq
	return int(changed), count == drainSize, nil
}

// drainFeed is a transaction's worth of drain; head becomes the feed's newest
// number.
func (t *tx) drainFeed(id int64, head *int64) (n int, more bool, err error) {
	feed, err := t.feedByID(id)
	if err != nil {
		return 0, false, err
	}
	if n, more, err = t.drain(&feed); err != nil {
		return 0, false, err
	}
	*head = feed.head
	return n, more, t.saveFeed(&feed)
}

// drainAll finishes what an interrupted Apply left in due.
func (s *Store) drainAll(ctx context.Context) error {
	for {
		var id int64
		err := s.write(ctx, "renumber", func(t *tx) error {
			if err := t.row(`SELECT coalesce(min(feed), 0) FROM due`).Scan(&id); err != nil || id == 0 {
				return err
			}
			var head int64
			_, _, err := t.drainFeed(id, &head)
			return err
		})
		if err != nil || id == 0 {
			return err
		}
	}
}

// addContext fills in the context of recs, whose Refs columns are refs. It
// returns how many of recs it could complete within maxBytes, at least one;
// used is what their own objects take.
func (t *readTx) addContext(feed int64, recs []Record, refs []string, maxBytes int) (int, error) {
	if len(recs) == 0 {
		return 0, nil
	}
	var wanted []string               // objects to look up by id
	place := make(map[string]int)     // their index in wanted
	users := make([][]int, len(recs)) // what each record takes of them
	want := func(rec int, id string) {
		i, ok := place[id]
		if !ok {
			i = len(wanted)
			place[id] = i
			wanted = append(wanted, id)
		}
		for _, have := range users[rec] {
			if have == i {
				return
			}
		}
		users[rec] = append(users[rec], i)
	}
	done, err := t.addLinks(feed, recs, maxBytes, want)
	if err != nil {
		return 0, err
	}
	for i := range recs[:done] {
		for _, id := range strings.Fields(refs[i]) {
			want(i, id)
		}
	}
	if len(wanted) == 0 {
		return done, nil
	}
	raws := make([][]byte, len(wanted))
	if err := t.each(func(r scanner) error {
		var id string
		var raw []byte
		if err := r.Scan(&id, &raw); err != nil {
			return err
		}
		raws[place[id]] = raw
		return nil
	}, `SELECT j.key, o.raw FROM json_each(?) j CROSS JOIN object o
		WHERE o.feed = ? AND o.id_hash = j.value AND o.stix_id = j.key AND o.state = 0`, jsonIDs(wanted), feed); err != nil {
		return 0, err
	}
	for i := range recs[:done] {
		for _, u := range users[i] {
			if raws[u] != nil {
				recs[i].Context = append(recs[i].Context, raws[u])
			}
		}
	}
	return done, nil
}

// addLinks adds the linking objects to recs and calls want for their targets.
func (t *readTx) addLinks(feed int64, recs []Record, maxBytes int, want func(rec int, id string)) (int, error) {
	var any bool
	if err := t.row(`SELECT EXISTS (SELECT 1 FROM object WHERE feed = ? AND about_hash IS NOT NULL)`, feed).Scan(&any); err != nil {
		return 0, err
	}
	if !any {
		return len(recs), nil
	}
	ids := make([]string, len(recs))
	place := make(map[string]int, len(recs))
	used := make([]int, len(recs)+1) // bytes of recs[:i] without links
	for i := range recs {
		ids[i] = recs[i].ID
		place[recs[i].ID] = i
		used[i+1] = used[i] + len(recs[i].Raw)
	}
	done, linked := len(recs), 0
	own := 0 // link bytes of the record at hand
	at := -1
	err := t.each(func(r scanner) error {
		var id, target string
		var raw []byte
		if err := r.Scan(&id, &target, &raw); err != nil {
			return err
		}
		i := place[id]
		if i != at {
			at, own = i, 0
		}
		if i > 0 && used[i+1]+linked+len(raw) > maxBytes {
			done = i
			return errEnough
		}
		if own > 0 && own+len(raw) > maxBytes {
			return nil
		}
		own += len(raw)
		linked += len(raw)
		recs[i].Context = append(recs[i].Context, raw)
		if target != "" {
			want(i, target)
		}
		return nil
	}, `SELECT j.key, coalesce(l.target, ''), l.raw FROM json_each(?) j CROSS JOIN object l
		WHERE l.oid IN (SELECT x.oid FROM object x WHERE x.feed = ? AND x.about_hash = j.value AND x.about = j.key AND x.state = 0
			ORDER BY x.oid DESC LIMIT ?)`,
		jsonIDs(ids), feed, maxLinks)
	if err != nil && err != errEnough {
		return 0, fmt.Errorf("read links: %w", err)
	}
	return done, nil
}
