package replica

import "context"

// markSlice bounds the marks that one transaction drops.
const markSlice = 50_000

// BeginWalk begins a resync of the feed and returns its number for
// [Batch].Walk. An earlier one that is not swept yet is over.
//
// From now on every object that Apply is given for this feed is marked, by
// whichever batch it is served.
func (s *Store) BeginWalk(ctx context.Context, feed string) (walk int64, err error) {
	op := "begin resync of " + feed
	if err := s.endWalk(ctx, op, feed, 0); err != nil {
		return 0, err
	}
	err = s.write(ctx, op, func(t *tx) error {
		f, err := t.feed(feed)
		if err != nil {
			return err
		}
		if err := t.exec(`UPDATE feed SET walks = walks + 1, walk = walks + 1 WHERE id = ?`, f.id); err != nil {
			return err
		}
		return t.row(`SELECT walk FROM feed WHERE id = ?`, f.id).Scan(&walk)
	})
	return walk, err
}

// endWalk closes the feed's walk (any, if walk is 0) and drops the marks.
func (s *Store) endWalk(ctx context.Context, op, feed string, walk int64) error {
	for more := true; more; {
		if err := s.write(ctx, op, func(t *tx) error {
			f, err := t.feed(feed)
			if err != nil {
				return err
			}
			if walk != 0 && f.walk != walk && f.walk != 0 {
				return ErrWalkOver
			}
			if f.walk != 0 {
				if err := t.exec(`UPDATE feed SET walk = 0 WHERE id = ?`, f.id); err != nil {
					return err
				}
			}
			var last int64
			if err := t.row(`SELECT coalesce(max(oid), 0) FROM (SELECT oid FROM mark WHERE feed = ? ORDER BY oid LIMIT ?)`,
				f.id, markSlice).Scan(&last); err != nil {
				return err
			}
			n, err := t.execN(`DELETE FROM mark WHERE feed = ? AND oid <= ?`, f.id, last)
			more = n == markSlice
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Sweep ends a resync: what is current and was not served since
// [Store.BeginWalk] is [Gone], with a new change number. Call it only when the
// walk has seen every collection of the feed to its end. It works in short
// transactions; when it is interrupted, what it did stays and a new resync does
// the rest.
func (s *Store) Sweep(ctx context.Context, feed string, walk int64) (gone int, err error) {
	op := "sweep " + feed
	after := int64(0)
	for {
		oids, id, next, err := s.unmarked(ctx, op, feed, after)
		if err != nil {
			return gone, err
		}
		var n int
		if err := s.write(ctx, op, func(t *tx) (err error) {
			n, err = t.sweep(id, walk, oids)
			return err
		}); err != nil {
			return gone, err
		}
		gone += n
		if len(oids) < retireSlice {
			break
		}
		after = next
	}
	for more := true; more; { // a target that is gone may have had many links
		if err := s.write(ctx, op, func(t *tx) error {
			f, err := t.feed(feed)
			if err != nil {
				return err
			}
			var head int64
			_, more, err = t.drainFeed(f.id, &head)
			return err
		}); err != nil {
			return gone, err
		}
	}
	if err := s.endWalk(ctx, op, feed, walk); err != nil {
		return gone, err
	}
	return gone, s.noteResync(ctx, feed)
}

// unmarked finds the next current objects after oid after that have no mark. It
// goes through objects and marks side by side, in the order in which both are
// stored. Nobody has to wait while it looks.
func (s *Store) unmarked(ctx context.Context, op, feed string, after int64) (oids []int64, id int64, last int64, err error) {
	err = s.read(ctx, op, func(t *readTx) error {
		if id, _, err = t.feedID(feed); err != nil {
			return err
		}
		return t.each(func(r scanner) error {
			if err := r.Scan(&last); err != nil {
				return err
			}
			oids = append(oids, last)
			return nil
		}, `SELECT o.oid FROM object o NOT INDEXED WHERE o.oid > ? AND o.feed = ? AND o.state = 0
			AND NOT EXISTS (SELECT 1 FROM mark m WHERE m.feed = o.feed AND m.oid = o.oid)
			ORDER BY o.oid LIMIT ?`, after, id, retireSlice)
	})
	return oids, id, last, err
}

// sweep makes those of candidates gone that are still current and unmarked.
func (t *tx) sweep(id, walk int64, candidates []int64) (int, error) {
	if id == 0 {
		return 0, ErrWalkOver
	}
	feed, err := t.feedByID(id)
	if err != nil {
		return 0, err
	}
	if walk == 0 || feed.walk != walk {
		return 0, ErrWalkOver
	}
	var oids []int64
	var abouts, targets []string
	before := t.seq
	if err := t.each(func(r scanner) error {
		var oid int64
		var stixID, about string
		var indicator bool
		if err := r.Scan(&oid, &stixID, &indicator, &about); err != nil {
			return err
		}
		oids = append(oids, oid)
		if indicator {
			feed.states[Current]--
			feed.states[Gone]++
		} else if about != "" {
			abouts = append(abouts, about)
		} else {
			targets = append(targets, stixID)
		}
		return nil
	}, `SELECT o.oid, o.stix_id, o.type = 'indicator', coalesce(o.about, '')
		FROM json_each(?) j CROSS JOIN object o
		WHERE o.oid = j.value AND o.feed = ? AND o.state = 0
		AND NOT EXISTS (SELECT 1 FROM mark m WHERE m.feed = o.feed AND m.oid = o.oid)`, jsonInts(candidates), id); err != nil {
		return 0, err
	}
	if len(oids) == 0 {
		return 0, nil
	}
	if err := t.retire(&feed, oids, Gone); err != nil {
		return 0, err
	}
	if err := t.touchLinked(id, before, abouts, targets); err != nil {
		return 0, err
	}
	if _, _, err := t.drain(&feed); err != nil {
		return 0, err
	}
	return len(oids), t.saveFeed(&feed)
}
