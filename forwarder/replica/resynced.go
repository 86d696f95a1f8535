package replica

import (
	"context"
	"time"
)

// Resynced returns when the feed's last resync was swept to the end. Before the
// first one it is the time of the first call, so that a schedule can count from
// there over any number of restarts.
func (s *Store) Resynced(ctx context.Context, feed string) (at time.Time, err error) {
	err = s.write(ctx, "read the last resync of "+feed, func(t *tx) error {
		f, err := t.feed(feed)
		if err != nil {
			return err
		}
		if err := t.exec(`UPDATE feed SET resynced = ? WHERE id = ? AND resynced = 0`, s.now().UnixMicro(), f.id); err != nil {
			return err
		}
		var micro int64
		err = t.row(`SELECT resynced FROM feed WHERE id = ?`, f.id).Scan(&micro)
		at = time.UnixMicro(micro)
		return err
	})
	return at, err
}

// noteResync records that a resync of the feed was swept to the end just now.
func (s *Store) noteResync(ctx context.Context, feed string) error {
	return s.write(ctx, "note the resync of "+feed, func(t *tx) error {
		return t.exec(`UPDATE feed SET resynced = ? WHERE name = ?`, s.now().UnixMicro(), feed)
	})
}
