package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A tx is a write transaction. Its statements do not look at the caller's
// context, which would cost a goroutine each; long operations look at it
// between their transactions.
type tx struct {
	s   *Store
	seq int64 // last change number given
}

var background = context.Background()

var errClosed = errors.New("the state is closed")

// durability says what a transaction survives.
type durability string

const (
	durable durability = "PRAGMA synchronous = FULL"   // the failure of the power
	relaxed durability = "PRAGMA synchronous = NORMAL" // the death of the process; the next durable one takes it along
)

// write runs f in a transaction of its own: durable when write returns nil,
// without trace otherwise.
func (s *Store) write(ctx context.Context, op string, f func(*tx) error) error {
	return s.writeAs(ctx, op, durable, f)
}

func (s *Store) writeAs(ctx context.Context, op string, d durability, f func(*tx) error) (err error) {
	if s.w == nil {
		return fmt.Errorf("%s: %w", op, ErrReadOnly)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	if s.done {
		return fmt.Errorf("%s: %w", op, errClosed)
	}
	t := &tx{s: s}
	if d != durable {
		if err := t.exec(string(d)); err != nil {
			return explain(op, s.path, err)
		}
		defer func() { err = errors.Join(err, explain(op, s.path, t.exec(string(durable)))) }()
	}
	err = t.exec(`BEGIN IMMEDIATE`)
	if err == nil {
		if err = t.run(f); err == nil {
			err = t.exec(`COMMIT`)
		}
		if err != nil {
			// SQLite has rolled back by itself after some errors; then this fails.
			_, _ = s.w.ExecContext(background, `ROLLBACK`)
		}
	}
	if isCorrupt(err) {
		s.noteDamage(err)
	}
	return explain(op, s.path, err)
}

// run runs f between reading and storing the change counter.
func (t *tx) run(f func(*tx) error) error {
	if err := t.row(`SELECT value FROM counter WHERE name = 'seq'`).Scan(&t.seq); err != nil {
		return err
	}
	before := t.seq
	if err := f(t); err != nil {
		return err
	}
	if t.seq != before {
		return t.exec(`UPDATE counter SET value = ? WHERE name = 'seq'`, t.seq)
	}
	return nil
}

// stmt prepares q once for the life of the store.
func (t *tx) stmt(q string) (*sql.Stmt, error) {
	if st, ok := t.s.stmts[q]; ok {
		return st, nil
	}
	st, err := t.s.w.PrepareContext(background, q)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", q, err)
	}
	t.s.stmts[q] = st
	return st, nil
}

func (t *tx) exec(q string, args ...any) error {
	_, err := t.execN(q, args...)
	return err
}

// execN returns how many rows q changed.
func (t *tx) execN(q string, args ...any) (int64, error) {
	st, err := t.stmt(q)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(background, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *tx) query(q string, args ...any) (*sql.Rows, error) {
	st, err := t.stmt(q)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(background, args...)
}

// row is a query of one row.
func (t *tx) row(q string, args ...any) scanner {
	st, err := t.stmt(q)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(background, args...)
}

type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// each calls f for every row of q.
func (t *tx) each(f func(scanner) error, q string, args ...any) error {
	rows, err := t.query(q, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, f)
}

func eachRow(rows *sql.Rows, f func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// A readTx sees one consistent state, while others write.
type readTx struct {
	ctx context.Context
	tx  *sql.Tx
}

// read runs f in a transaction that only reads.
func (s *Store) read(ctx context.Context, op string, f func(*readTx) error) error {
	err := func() error {
		t, err := s.r.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer t.Rollback()
		return f(&readTx{ctx, t})
	}()
	if isCorrupt(err) && s.w != nil {
		s.noteDamage(err)
	}
	return explain(op, s.path, err)
}

func (t *readTx) row(q string, args ...any) scanner { return t.tx.QueryRowContext(t.ctx, q, args...) }

// each calls f for every row of q, until f returns an error.
func (t *readTx) each(f func(scanner) error, q string, args ...any) error {
	rows, err := t.tx.QueryContext(t.ctx, q, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, f)
}

// errEnough ends an each early.
var errEnough = errors.New("enough")

// jsonStrings writes ss as a JSON array, the form in which a set of any size is
// handed to a statement as one parameter.
func jsonStrings(ss []string) string {
	b := make([]byte, 0, 2+len(ss)*50)
	b = append(b, '[')
	for i, s := range ss {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, s)
	}
	return string(append(b, ']'))
}

func jsonInts(ns []int64) string {
	b := make([]byte, 0, 2+len(ns)*9)
	b = append(b, '[')
	for i, n := range ns {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, ']'))
}

// appendQuoted appends s as a JSON string; what is no UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			b, _ = jsontext.AppendQuote(b, s) // its error only says that it replaced something
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
