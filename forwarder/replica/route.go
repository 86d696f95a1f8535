package replica

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// OpenRoute returns the route from feed to sink, new with cursor 0 if need be.
// A fingerprint other than last time's sets the cursor back to 0 and keeps the
// ledger: everything is looked at again, what is unchanged stays quiet.
func (s *Store) OpenRoute(ctx context.Context, feed, sink, fingerprint string) (r Route, err error) {
	err = s.write(ctx, "open route "+feed+" -> "+sink, func(t *tx) error {
		r = Route{Feed: feed, Sink: sink, Fingerprint: fingerprint}
		var was string
		find := func() error {
			return t.row(`SELECT id, fingerprint, cursor, epoch FROM route WHERE feed = ? AND sink = ?`, feed, sink).
				Scan(&r.ID, &was, &r.Cursor, &r.Epoch)
		}
		err := find()
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if err := t.exec(`INSERT INTO route (feed, sink, fingerprint) VALUES (?, ?, ?)`, feed, sink, fingerprint); err != nil {
				return err
			}
			return find()
		case err != nil || was == fingerprint:
			return err
		}
		if err := t.exec(`UPDATE route SET fingerprint = ?, cursor = 0, epoch = epoch + 1 WHERE id = ?`, fingerprint, r.ID); err != nil {
			return err
		}
		return find()
	})
	return r, err
}

// Replay has the route send anew what it delivered since then, or everything
// when since is zero. The ledger keeps what the destination holds. Whoever
// delivers on the route has to open it again; see [ErrRouteMoved].
func (s *Store) Replay(ctx context.Context, route Route, since time.Time) error {
	return s.write(ctx, "replay "+route.Feed+" -> "+route.Sink, func(t *tx) error {
		back := int64(0)
		if since.IsZero() {
			if err := t.exec(`UPDATE ledger SET replay = 1 WHERE route = ?`, route.ID); err != nil {
				return err
			}
		} else {
			if err := t.exec(`UPDATE ledger SET replay = 1 WHERE route = ? AND last >= ?`, route.ID, since.UnixMicro()); err != nil {
				return err
			}
			var lowest sql.NullInt64
			if err := t.row(`SELECT min(o.seq) FROM ledger l JOIN object o ON o.oid = l.oid WHERE l.route = ? AND l.last >= ?`,
				route.ID, since.UnixMicro()).Scan(&lowest); err != nil {
				return err
			}
			if !lowest.Valid {
				return nil
			}
			back = lowest.Int64 - 1
		}
		n, err := t.execN(`UPDATE route SET cursor = CASE WHEN cursor < ? THEN cursor ELSE ? END, epoch = epoch + 1 WHERE id = ?`,
			back, back, route.ID)
		if err == nil && n == 0 {
			return ErrNoSuchRoute
		}
		return err
	})
}
