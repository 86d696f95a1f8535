package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// settleDead files the dead letters among settled, removes those of objects
// that were settled without one, and drops the oldest when there are too many.
func (t *tx) settleDead(route int64, settled []Settlement) (dropped int64, err error) {
	var fine []int64
	filed := false
	for i := range settled {
		st := &settled[i]
		if st.Open {
			continue
		}
		if st.Dead == nil {
			fine = append(fine, st.OID)
			continue
		}
		filed = true
		d := st.Dead
		at := micro(d.Time)
		if at == 0 {
			at = t.s.now().UnixMicro()
		}
		if err := t.exec(`INSERT INTO dead (route, oid, seq, version, time, reason, detail, sent, attempts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (route, oid) DO UPDATE SET seq = excluded.seq, version = excluded.version, time = excluded.time,
			reason = excluded.reason, detail = excluded.detail, sent = excluded.sent, attempts = attempts + 1, retry = 0`,
			route, st.OID, st.Seq, d.Version, at, d.Reason, d.Detail, string(d.Sent)); err != nil {
			return 0, err
		}
	}
	if len(fine) > 0 {
		var any bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM dead WHERE route = ?)`, route).Scan(&any); err != nil {
			return 0, err
		}
		if any {
			if err := t.exec(`DELETE FROM dead WHERE route = ? AND oid IN (SELECT value FROM json_each(?))`, route, jsonInts(fine)); err != nil {
				return 0, err
			}
		}
	}
	if !filed {
		return 0, nil
	}
	var n int64
	if err := t.row(`SELECT count(*) FROM dead`).Scan(&n); err != nil {
		return 0, err
	}
	if dropped = n - int64(t.s.maxDead); dropped <= 0 {
		return 0, nil
	}
	if err := t.exec(`DELETE FROM dead WHERE id IN (SELECT id FROM dead ORDER BY id LIMIT ?)`, dropped); err != nil {
		return 0, err
	}
	return dropped, t.exec(`UPDATE counter SET value = value + ? WHERE name = 'dead_dropped'`, dropped)
}

// where makes the condition of a filter over "dead d JOIN route r".
func (f DeadFilter) where() (string, []any) {
	var cond []string
	var args []any
	add := func(c string, a any) { cond, args = append(cond, c), append(args, a) }
	if f.Feed != "" {
		add("r.feed = ?", f.Feed)
	}
	if f.Sink != "" {
		add("r.sink = ?", f.Sink)
	}
	if f.Reason != "" {
		add("d.reason = ?", f.Reason)
	}
	if f.IDs != nil {
		add("d.id IN (SELECT value FROM json_each(?))", jsonInts(f.IDs))
	}
	if f.After > 0 {
		add("d.id > ?", f.After)
	}
	q := ""
	if len(cond) > 0 {
		q = " WHERE " + strings.Join(cond, " AND ")
	}
	q += " ORDER BY d.id"
	if f.Limit > 0 {
		q += " LIMIT ?"
		args = append(args, f.Limit)
	}
	return q, args
}

const deadSelect = `SELECT d.id, r.feed, r.sink, coalesce(o.stix_id, ''), d.oid, d.seq, d.version, d.time, d.reason, d.detail, d.sent,
	coalesce(o.raw, ''), d.attempts, d.retry
	FROM dead d JOIN route r ON r.id = d.route LEFT JOIN object o ON o.oid = d.oid`

func scanDead(r scanner) (d DeadLetter, err error) {
	var at int64
	err = r.Scan(&d.ID, &d.Feed, &d.Sink, &d.STIXID, &d.OID, &d.Seq, &d.Version, &at, &d.Reason, &d.Detail, &d.Sent,
		&d.Raw, &d.Attempts, &d.Retry)
	d.Time = fromMicro(at)
	return d, err
}

// DeadLetters returns the dead letters that f selects, by id.
func (s *Store) DeadLetters(ctx context.Context, f DeadFilter) (list []DeadLetter, err error) {
	err = s.read(ctx, "read dead letters", func(t *readTx) error {
		where, args := f.where()
		return t.each(func(r scanner) error {
			d, err := scanDead(r)
			list = append(list, d)
			return err
		}, deadSelect+where, args...)
	})
	return list, err
}

// DeadLetter returns one dead letter, or [ErrNoSuchDeadLetter].
func (s *Store) DeadLetter(ctx context.Context, id int64) (d DeadLetter, err error) {
	err = s.read(ctx, fmt.Sprintf("read dead letter %d", id), func(t *readTx) error {
		d, err = scanDead(t.row(deadSelect+" WHERE d.id = ?", id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSuchDeadLetter
		}
		return err
	})
	return d, err
}

// DropDead removes the dead letters that f selects and returns how many there
// were. The ledger still says that the destination refused them.
func (s *Store) DropDead(ctx context.Context, f DeadFilter) (int, error) {
	return s.changeDead(ctx, "drop dead letters", `DELETE FROM dead`, f)
}

// RetryDead queues the dead letters that f selects for [Store.Retries] and
// returns how many there were.
func (s *Store) RetryDead(ctx context.Context, f DeadFilter) (int, error) {
	return s.changeDead(ctx, "retry dead letters", `UPDATE dead SET retry = 1`, f)
}

func (s *Store) changeDead(ctx context.Context, op, verb string, f DeadFilter) (int, error) {
	var n int64
	err := s.write(ctx, op, func(t *tx) (err error) {
		where, args := f.where()
		n, err = t.execN(verb+` WHERE id IN (SELECT d.id FROM dead d JOIN route r ON r.id = d.route`+where+`)`, args...)
		return err
	})
	return int(n), err
}

// Retries returns the newest state of up to max indicators whose dead letters
// are queued for another attempt. They stay queued until they are settled, with
// cursor 0.
func (s *Store) Retries(ctx context.Context, route Route, max int) (recs []Record, err error) {
	err = s.read(ctx, "read retries of "+route.Feed+" for "+route.Sink, func(t *readTx) error {
		feed, _, err := t.feedID(route.Feed)
		if err != nil || feed == 0 {
			return err
		}
		recs, _, err = t.records(feed, max, retryBytes,
			`SELECT `+recordColumns+` FROM dead d CROSS JOIN object o ON o.oid = d.oid LEFT JOIN ledger l ON l.route = d.route AND l.oid = d.oid
			WHERE d.route = ? AND d.retry = 1 ORDER BY d.id LIMIT ?`, route.ID, max)
		return err
	})
	return recs, err
}

// retryBytes bounds the objects that Retries returns at once.
const retryBytes = 8 << 20
