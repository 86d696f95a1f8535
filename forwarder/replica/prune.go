package replica

import (
	"context"
	"slices"
)

// pruneSlice bounds the rows that one transaction removes.
const pruneSlice = 5000

// Prune forgets feeds that are not in keepFeeds, and routes, as [feed, sink],
// that are not in keepRoutes or whose feed is not kept. It works in short
// transactions and can be repeated after an interruption; what it has begun to
// forget is never taken for complete meanwhile. The file does not shrink; its
// free pages are used again.
func (s *Store) Prune(ctx context.Context, keepFeeds []string, keepRoutes [][2]string) (rep PruneReport, err error) {
	type item struct {
		id   int64
		name string
	}
	var feeds, routes []item
	// First, and at once: what goes begins anew should it come back.
	if err := s.write(ctx, "prune", func(t *tx) error {
		feeds, routes = nil, nil
		if err := t.each(func(r scanner) error {
			var f item
			err := r.Scan(&f.id, &f.name)
			if !slices.Contains(keepFeeds, f.name) {
				feeds = append(feeds, f)
			}
			return err
		}, `SELECT id, name FROM feed`); err != nil {
			return err
		}
		if err := t.each(func(r scanner) error {
			var x item
			var key [2]string
			err := r.Scan(&x.id, &key[0], &key[1])
			if !slices.Contains(keepRoutes, key) || !slices.Contains(keepFeeds, key[0]) {
				x.name = key[0] + " -> " + key[1]
				routes = append(routes, x)
			}
			return err
		}, `SELECT id, feed, sink FROM route`); err != nil {
			return err
		}
		for _, f := range feeds {
			if err := t.exec(`UPDATE collection SET position = NULL WHERE feed = ?`, f.id); err != nil {
				return err
			}
			if err := t.exec(`UPDATE feed SET walk = 0 WHERE id = ?`, f.id); err != nil {
				return err
			}
		}
		for _, x := range routes {
			if err := t.exec(`UPDATE route SET cursor = 0, epoch = epoch + 1 WHERE id = ?`, x.id); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return rep, err
	}
	for _, x := range routes {
		if err := s.pruneRoute(ctx, x.id, &rep); err != nil {
			return rep, err
		}
		rep.Routes = append(rep.Routes, x.name)
	}
	for _, f := range feeds {
		if err := s.pruneFeed(ctx, f.id, &rep); err != nil {
			return rep, err
		}
		rep.Feeds = append(rep.Feeds, f.name)
	}
	return rep, nil
}

// pruneRoute removes a route and what hangs on it, the route last.
func (s *Store) pruneRoute(ctx context.Context, id int64, rep *PruneReport) error {
	n, err := s.slices(ctx, `DELETE FROM ledger WHERE route = ?1 AND oid IN (SELECT oid FROM ledger WHERE route = ?1 LIMIT ?2)`, id)
	rep.Ledger += n
	if err != nil {
		return err
	}
	n, err = s.slices(ctx, `DELETE FROM dead WHERE id IN (SELECT id FROM dead WHERE route = ?1 LIMIT ?2)`, id)
	rep.DeadRows += n
	if err != nil {
		return err
	}
	return s.write(ctx, "prune", func(t *tx) error {
		for _, q := range []string{`DELETE FROM outcome WHERE route = ?`, `DELETE FROM intent WHERE route = ?`} {
			if err := t.exec(q, id); err != nil {
				return err
			}
		}
		return t.exec(`DELETE FROM route WHERE id = ?`, id)
	})
}

// pruneFeed removes a feed and what hangs on it, the feed last.
func (s *Store) pruneFeed(ctx context.Context, id int64, rep *PruneReport) error {
	for _, q := range []string{
		`DELETE FROM waiting WHERE (missing, oid) IN (SELECT w.missing, w.oid FROM missing m CROSS JOIN waiting w ON w.missing = m.id WHERE m.feed = ?1 LIMIT ?2)`,
		`DELETE FROM missing WHERE id IN (SELECT id FROM missing WHERE feed = ?1 LIMIT ?2)`,
		`DELETE FROM due WHERE feed = ?1 AND oid IN (SELECT oid FROM due WHERE feed = ?1 LIMIT ?2)`,
		`DELETE FROM mark WHERE feed = ?1 AND oid IN (SELECT oid FROM mark WHERE feed = ?1 LIMIT ?2)`,
	} {
		if _, err := s.slices(ctx, q, id); err != nil {
			return err
		}
	}
	after := int64(0)
	for more := true; more; {
		if err := s.write(ctx, "prune", func(t *tx) error {
			feed, err := t.feedByID(id)
			if err != nil {
				return err
			}
			var oids []int64
			if err := t.each(func(r scanner) error {
				var oid int64
				var indicator bool
				var state State
				if err := r.Scan(&oid, &indicator, &state); err != nil {
					return err
				}
				oids = append(oids, oid)
				feed.count(indicator, state, -1)
				return nil
			}, `SELECT oid, type = 'indicator', state FROM object NOT INDEXED WHERE oid > ? AND feed = ? ORDER BY oid LIMIT ?`,
				after, id, pruneSlice); err != nil {
				return err
			}
			if err := t.exec(`DELETE FROM object WHERE oid IN (SELECT value FROM json_each(?))`, jsonInts(oids)); err != nil {
				return err
			}
			rep.Objects += int64(len(oids))
			if more = len(oids) == pruneSlice; more {
				after = oids[len(oids)-1]
			}
			return t.saveFeed(&feed)
		}); err != nil {
			return err
		}
	}
	return s.write(ctx, "prune", func(t *tx) error {
		if err := t.exec(`DELETE FROM collection WHERE feed = ?`, id); err != nil {
			return err
		}
		return t.exec(`DELETE FROM feed WHERE id = ?`, id)
	})
}

// slices runs q, with parameters id and a limit, until it finds no more rows.
func (s *Store) slices(ctx context.Context, q string, id int64) (total int64, err error) {
	for {
		var n int64
		if err := s.write(ctx, "prune", func(t *tx) (err error) {
			n, err = t.execN(q, id, pruneSlice)
			return err
		}); err != nil {
			return total, err
		}
		total += n
		if n < pruneSlice {
			return total, nil
		}
	}
}
