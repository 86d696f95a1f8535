package replica

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// retireSlice bounds the objects that one transaction retires.
const retireSlice = 2000

// Expire gives indicators whose valid_until is at or before now the state
// [Expired] and a new change number, in the order of their expiry, at most
// limit of them (0 = all). It returns how many there were.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (total int, err error) {
	for limit <= 0 || total < limit {
		slice := retireSlice
		if limit > 0 {
			slice = min(slice, limit-total)
		}
		var n int
		if err := s.write(ctx, "expire indicators", func(t *tx) error {
			byFeed := make(map[int64][]int64)
			n = 0
			if err := t.each(func(r scanner) error {
				var oid, feed int64
				if err := r.Scan(&oid, &feed); err != nil {
					return err
				}
				byFeed[feed] = append(byFeed[feed], oid)
				n++
				return nil
			}, `SELECT oid, feed FROM object WHERE state = 0 AND expires > 0 AND expires <= ? ORDER BY expires LIMIT ?`,
				now.UnixMicro(), slice); err != nil {
				return err
			}
			for id, oids := range byFeed {
				feed, err := t.feedByID(id)
				if err != nil {
					return err
				}
				if err := t.retire(&feed, oids, Expired); err != nil {
					return err
				}
				feed.count(true, Current, -int64(len(oids)))
				feed.count(true, Expired, +int64(len(oids)))
				if err := t.saveFeed(&feed); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return total, err
		}
		total += n
		if n < slice {
			break
		}
	}
	return total, nil
}

// retire makes current objects of feed tombstones, with new change numbers in
// the order of oids. The counters by state are the caller's.
func (t *tx) retire(feed *feedRow, oids []int64, state State) error {
	if err := t.exec(`UPDATE object SET state = ?, seq = ? + 1 + j.key FROM json_each(?) AS j WHERE object.oid = j.value`,
		int64(state), t.seq, jsonInts(oids)); err != nil {
		return err
	}
	t.seq += int64(len(oids))
	feed.head = t.seq
	return nil
}

// NextExpiry returns the earliest valid_until of a current indicator; false if
// none has any.
func (s *Store) NextExpiry(ctx context.Context) (at time.Time, ok bool, err error) {
	err = s.read(ctx, "read next expiry", func(t *readTx) error {
		var us int64
		err := t.row(`SELECT expires FROM object WHERE state = 0 AND expires > 0 ORDER BY expires LIMIT 1`).Scan(&us)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		at, ok = time.UnixMicro(us).UTC(), err == nil
		return err
	})
	return at, ok, err
}
