package replica

import (
	"context"

	"taxii-forwarder/forwarder/intel"
)

// pendingExact is up to how many pending indicators Stats counts one by one.
const pendingExact = 10_000

// Stats describes the whole state. It reads counters, so that it may be called
// every few seconds whatever the number of objects.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	err = s.read(ctx, "read statistics", func(t *readTx) error {
		st = Stats{}
		if err := t.row(`SELECT value FROM counter WHERE name = 'dead_dropped'`).Scan(&st.DeadDropped); err != nil {
			return err
		}
		ids, err := t.feedStats(&st)
		if err != nil {
			return err
		}
		if err := t.collectionStats(&st); err != nil {
			return err
		}
		return t.routeStats(&st, ids)
	})
	if err != nil {
		return Stats{}, err
	}
	st.Bytes, err = s.Size()
	return st, err
}

// feedStats also returns the feeds' ids by name.
func (t *readTx) feedStats(st *Stats) (map[string]int64, error) {
	ids := make(map[string]int64)
	err := t.each(func(r scanner) error {
		var f FeedStats
		var id int64
		if err := r.Scan(&id, &f.Feed, &f.Head, &f.Objects, &f.Current, &f.Revoked, &f.Expired, &f.Gone); err != nil {
			return err
		}
		f.Indicators = f.Current + f.Revoked + f.Expired + f.Gone
		ids[f.Feed] = id
		st.Feeds = append(st.Feeds, f)
		return nil
	}, `SELECT id, name, head, objects, current, revoked, expired, gone FROM feed ORDER BY name`)
	return ids, err
}

func (t *readTx) collectionStats(st *Stats) error {
	return t.each(func(r scanner) error {
		var c CollectionStats
		var at int64
		if err := r.Scan(&c.Feed, &c.Root, &c.ID, (*[]byte)(&c.Position), &c.Fingerprint, &at); err != nil {
			return err
		}
		c.Updated = fromMicro(at)
		st.Collections = append(st.Collections, c)
		return nil
	}, `SELECT f.name, c.root, c.name, c.position, c.fingerprint, c.updated
		FROM collection c JOIN feed f ON f.id = c.feed ORDER BY f.name, c.root, c.name`)
}

func (t *readTx) routeStats(st *Stats, feeds map[string]int64) error {
	if err := t.each(func(r scanner) error {
		x := RouteStats{Skipped: map[string]int64{}, Rejected: map[string]int64{}, Dead: map[string]int64{}}
		err := r.Scan(&x.ID, &x.Feed, &x.Sink, &x.Cursor)
		st.Routes = append(st.Routes, x)
		return err
	}, `SELECT id, feed, sink, cursor FROM route ORDER BY feed, sink`); err != nil {
		return err
	}
	byID := make(map[int64]*RouteStats, len(st.Routes))
	for i := range st.Routes {
		byID[st.Routes[i].ID] = &st.Routes[i]
	}
	if err := t.each(func(r scanner) error {
		var id, n int64
		var k kind
		if err := r.Scan(&id, &k.status, &k.reason, &n); err != nil {
			return err
		}
		x := byID[id]
		if x == nil {
			return nil
		}
		switch k.status {
		case intel.Delivered:
			x.Delivered += n
		case intel.Skipped:
			x.Skipped[k.reason] += n
		case intel.Rejected:
			x.Rejected[k.reason] += n
		}
		return nil
	}, `SELECT route, status, reason, n FROM outcome WHERE n > 0`); err != nil {
		return err
	}
	if err := t.each(func(r scanner) error {
		var id, n int64
		var reason string
		var retry bool
		if err := r.Scan(&id, &reason, &retry, &n); err != nil {
			return err
		}
		st.DeadLetters += n
		if x := byID[id]; x != nil {
			x.Dead[reason] += n
			if retry {
				x.Retrying += n
			}
		}
		return nil
	}, `SELECT route, reason, retry, count(*) FROM dead GROUP BY route, reason, retry`); err != nil {
		return err
	}
	for i := range st.Routes {
		if err := t.pending(st, &st.Routes[i], feeds); err != nil {
			return err
		}
	}
	return nil
}

// pending counts a short queue and estimates a long one: a feed has no more
// pending indicators than it has indicators, nor than it gave numbers above the
// cursor.
func (t *readTx) pending(st *Stats, x *RouteStats, feeds map[string]int64) error {
	x.PendingExact = true
	for i := range st.Feeds {
		f := &st.Feeds[i]
		if f.Feed != x.Feed || f.Head <= x.Cursor {
			continue
		}
		if err := t.row(`SELECT count(*) FROM (SELECT 1 FROM object WHERE feed = ? AND type = 'indicator' AND seq > ? LIMIT ?)`,
			feeds[f.Feed], x.Cursor, pendingExact+1).Scan(&x.Pending); err != nil {
			return err
		}
		if x.Pending > pendingExact {
			x.Pending, x.PendingExact = min(f.Indicators, f.Head-x.Cursor), false
		}
	}
	return nil
}
