package replica

import (
	"context"
	"database/sql"
	"errors"
)

// feedRow is a feed with its counters, as a transaction changes them.
type feedRow struct {
	id, head, walk, objects int64
	states                  [4]int64 // indicators, by State
}

// count adds n objects of the given kind to the counters.
func (f *feedRow) count(indicator bool, state State, n int64) {
	f.objects += n
	if indicator {
		f.states[state] += n
	}
}

const feedColumns = `id, head, walk, objects, current, revoked, expired, gone`

func (f *feedRow) scan(r scanner) error {
	return r.Scan(&f.id, &f.head, &f.walk, &f.objects, &f.states[Current], &f.states[Revoked], &f.states[Expired], &f.states[Gone])
}

// feed returns the feed of that name, new if need be.
func (t *tx) feed(name string) (f feedRow, err error) {
	err = f.scan(t.row(`SELECT `+feedColumns+` FROM feed WHERE name = ?`, name))
	if !errors.Is(err, sql.ErrNoRows) {
		return f, err
	}
	if err := t.exec(`INSERT INTO feed (name) VALUES (?)`, name); err != nil {
		return f, err
	}
	err = f.scan(t.row(`SELECT `+feedColumns+` FROM feed WHERE name = ?`, name))
	return f, err
}

func (t *tx) feedByID(id int64) (f feedRow, err error) {
	err = f.scan(t.row(`SELECT `+feedColumns+` FROM feed WHERE id = ?`, id))
	return f, err
}

// saveFeed stores the counters and the highest change number.
func (t *tx) saveFeed(f *feedRow) error {
	return t.exec(`UPDATE feed SET head = ?, objects = ?, current = ?, revoked = ?, expired = ?, gone = ? WHERE id = ?`,
		f.head, f.objects, f.states[Current], f.states[Revoked], f.states[Expired], f.states[Gone], f.id)
}

// collection returns the id of a collection's row, new if need be.
func (t *tx) collection(feed int64, k CollectionKey) (id int64, err error) {
	const find = `SELECT id FROM collection WHERE feed = ? AND root = ? AND name = ?`
	err = t.row(find, feed, k.Root, k.ID).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if err := t.exec(`INSERT INTO collection (feed, root, name) VALUES (?, ?, ?)`, feed, k.Root, k.ID); err != nil {
		return 0, err
	}
	err = t.row(find, feed, k.Root, k.ID).Scan(&id)
	return id, err
}

// feedID returns a feed's id and highest change number, 0 if it is not known.
func (t *readTx) feedID(name string) (id, head int64, err error) {
	err = t.row(`SELECT id, head FROM feed WHERE name = ?`, name).Scan(&id, &head)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil
	}
	return id, head, err
}

// Head returns the feed's highest change number; 0 if it has no objects.
func (s *Store) Head(ctx context.Context, feed string) (head int64, err error) {
	err = s.read(ctx, "read head of "+feed, func(t *readTx) error {
		_, head, err = t.feedID(feed)
		return err
	})
	return head, err
}
