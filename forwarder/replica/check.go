package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// invariants are queries that return a row for everything that must not be.
var invariants = []struct{ what, query string }{
	{"feed counters differ from its objects", `
		SELECT f.name FROM feed f LEFT JOIN (
			SELECT feed, count(*) AS objects,
				sum(type = 'indicator' AND state = 0) AS current, sum(type = 'indicator' AND state = 1) AS revoked,
				sum(type = 'indicator' AND state = 2) AS expired, sum(type = 'indicator' AND state = 3) AS gone
			FROM object GROUP BY feed) o ON o.feed = f.id
		WHERE f.objects <> coalesce(o.objects, 0) OR f.current <> coalesce(o.current, 0) OR f.revoked <> coalesce(o.revoked, 0)
			OR f.expired <> coalesce(o.expired, 0) OR f.gone <> coalesce(o.gone, 0)`},
	{"an object's change number is above its feed's highest", `
		SELECT o.stix_id FROM object o JOIN feed f ON f.id = o.feed WHERE o.seq > f.head`},
	{"a change number was never given", `
		SELECT o.stix_id FROM object o WHERE o.seq > (SELECT value FROM counter WHERE name = 'seq') OR o.oid > o.seq`},
	{"an object is there twice", `
		SELECT a.stix_id FROM object a CROSS JOIN object b ON b.feed = a.feed AND b.id_hash = a.id_hash AND b.oid > a.oid
		WHERE b.stix_id = a.stix_id`},
	{"an indicator waits for what nobody misses", `SELECT oid FROM waiting WHERE missing NOT IN (SELECT id FROM missing)`},
	{"an object is missing twice", `
		SELECT a.stix_id FROM missing a CROSS JOIN missing b ON b.feed = a.feed AND b.id_hash = a.id_hash AND b.id > a.id
		WHERE b.stix_id = a.stix_id`},
	{"an object belongs to no feed", `SELECT stix_id FROM object WHERE feed NOT IN (SELECT id FROM feed)`},
	{"an object belongs to no collection", `SELECT stix_id FROM object WHERE collection NOT IN (SELECT id FROM collection)`},
	{"a delivery belongs to no route", `SELECT oid FROM ledger WHERE route NOT IN (SELECT id FROM route)`},
	{"a delivery belongs to no object", `SELECT l.oid FROM ledger l LEFT JOIN object o ON o.oid = l.oid WHERE o.oid IS NULL`},
	{"a dead letter belongs to no route", `SELECT id FROM dead WHERE route NOT IN (SELECT id FROM route)`},
	{"a dead letter belongs to no object", `SELECT d.id FROM dead d LEFT JOIN object o ON o.oid = d.oid WHERE o.oid IS NULL`},
	{"route counters differ from its deliveries", `
		SELECT r.sink FROM route r JOIN outcome c ON c.route = r.id
		WHERE c.n <> (SELECT count(*) FROM ledger l WHERE l.route = c.route AND l.status = c.status AND l.reason = c.reason)`},
	{"a cursor is above every change number", `
		SELECT sink FROM route WHERE cursor > (SELECT value FROM counter WHERE name = 'seq')`},
}

// Check reads the whole database and reports everything that is wrong with it:
// damaged pages, indexes that disagree with their tables, references that lead
// nowhere, counters that are off. It takes a while for a large state.
func (s *Store) Check(ctx context.Context) error {
	var problems []error
	err := s.read(ctx, "check state", func(t *readTx) error {
		problems = nil
		if err := t.each(func(r scanner) error {
			var verdict string
			if err := r.Scan(&verdict); err != nil {
				return err
			}
			if verdict != "ok" {
				problems = append(problems, errors.New(verdict))
			}
			return nil
		}, `PRAGMA integrity_check(20)`); err != nil {
			return err
		}
		if len(problems) > 0 {
			return nil // further answers mean nothing
		}
		for _, inv := range invariants {
			if err := t.each(func(r scanner) error {
				var example string
				if err := r.Scan(&example); err != nil {
					return err
				}
				problems = append(problems, fmt.Errorf("%s: %s", inv.what, example))
				return errEnough
			}, inv.query); err != nil && err != errEnough {
				return err
			}
		}
		wrong, err := t.wrongHash()
		if wrong != "" {
			problems = append(problems, fmt.Errorf("an index leads to another id: %s", wrong))
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("state database %s is not sound: %w", s.path, errors.Join(problems...))
	}
	return nil
}

// wrongHash returns an object whose hashes are not those of its ids, "" = none.
func (t *readTx) wrongHash() (example string, err error) {
	for _, q := range []string{
		`SELECT stix_id, id_hash, about, about_hash, target, target_hash FROM object`,
		`SELECT stix_id, id_hash, NULL, NULL, NULL, NULL FROM missing`,
	} {
		if err := t.each(func(r scanner) error {
			var id [3]sql.NullString
			var hash [3]sql.NullInt64
			if err := r.Scan(&id[0], &hash[0], &id[1], &hash[1], &id[2], &hash[2]); err != nil {
				return err
			}
			for i := range id {
				if id[i].Valid != hash[i].Valid || id[i].Valid && idHash(id[i].String) != hash[i].Int64 {
					example = id[0].String
					return errEnough
				}
			}
			return nil
		}, q); err != nil && err != errEnough {
			return "", err
		}
	}
	return example, nil
}

// Backup writes a consistent copy of the state to file, beside a running
// service too. It refuses to overwrite anything.
func (s *Store) Backup(ctx context.Context, file string) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("back up state: %s exists already: name a new file", file)
	}
	if err != nil {
		return explain("back up state", file, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file)
		}
	}()
	if err := f.Close(); err != nil {
		return explain("back up state", file, err)
	}
	// SQLite writes into an existing file only if it is empty.
	if _, err := s.r.ExecContext(ctx, `VACUUM INTO ?`, file); err != nil {
		return explain("back up state", file, err)
	}
	if f, err = os.OpenFile(file, os.O_RDWR, 0); err != nil {
		return explain("back up state", file, err)
	}
	return explain("back up state", file, errors.Join(f.Sync(), f.Close()))
}
