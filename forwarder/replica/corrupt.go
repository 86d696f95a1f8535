package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// damageMark names a file that says that a statement met damage: the next start
// then reads the whole database instead of sampling it.
const damageMark = ".damaged"

// errDamaged marks what our own checks find, as opposed to SQLite's.
var errDamaged = errors.New("not a usable database")

// errOrphanLog: SQLite would apply such a log to the new, empty database.
var errOrphanLog = fmt.Errorf("%w: its write-ahead log is there, but the database is not", errDamaged)

// checkHeader refuses what SQLite would take for an empty database, or not
// understand at all. A file named state.db is never empty.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	var head [len(magic)]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: the file is cut off", errDamaged)
		}
		return err
	}
	if string(head[:]) != magic {
		return fmt.Errorf("%w: the file does not begin like one", errDamaged)
	}
	return nil
}

// checkQuickly looks at the small tables and at both ends of the large ones;
// at the whole database if damage was met before.
func (s *Store) checkQuickly(ctx context.Context) error {
	mark := s.path + damageMark
	if _, err := os.Stat(mark); err == nil {
		s.log.Warn("checking the whole state database, because damage was met before", "path", s.path)
		if err := s.quickCheck(ctx, "quick_check"); err != nil {
			return err
		}
		return os.Remove(mark)
	}
	for _, table := range []string{"schema_version", "counter", "feed", "collection", "route", "outcome"} {
		if err := s.quickCheck(ctx, "quick_check('"+table+"')"); err != nil {
			return err
		}
	}
	for _, q := range []string{
		`SELECT coalesce(min(oid), 0) + coalesce(max(oid), 0) FROM object`,
		`SELECT count(*) FROM (SELECT oid, length(raw) FROM object ORDER BY oid DESC LIMIT 10)`,
		`SELECT count(*) FROM (SELECT feed, id_hash FROM object ORDER BY feed, id_hash LIMIT 1)`,
		`SELECT count(*) FROM (SELECT oid FROM ledger LIMIT 10)`,
		`SELECT count(*) FROM (SELECT id FROM dead LIMIT 10)`,
	} {
		var n int64
		if err := s.w.QueryRowContext(ctx, q).Scan(&n); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) quickCheck(ctx context.Context, check string) error {
	var verdict string
	if err := s.w.QueryRowContext(ctx, "PRAGMA "+check).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	return nil
}

// setAside moves the database and its log out of the way and reports that.
// Nothing is deleted.
func (s *Store) setAside(cause error) error {
	to := s.path + ".corrupt-" + s.now().UTC().Format("20060102T150405Z")
	for i := 1; exists(to) || exists(to+"-wal"); i++ {
		to = fmt.Sprintf("%s.corrupt-%s-%d", s.path, s.now().UTC().Format("20060102T150405Z"), i)
	}
	// The log first: a crash in between leaves a database without log, which is
	// found damaged again, never a log that a new database would swallow.
	moved := false
	for _, ext := range []string{"-wal", "-shm", ""} {
		switch err := os.Rename(s.path+ext, to+ext); {
		case err == nil:
			moved = true
		case !errors.Is(err, fs.ErrNotExist):
			return &CorruptError{Path: s.path, Err: errors.Join(cause, err)}
		}
	}
	_ = os.Remove(s.path + damageMark)
	_ = syncDir(s.dir)
	if !moved {
		to = ""
	}
	s.log.Error("the state database is damaged and was set aside", "path", s.path, "set_aside", to, "error", cause)
	return &CorruptError{Path: s.path, SetAside: to, Err: cause}
}

// errUndecided: a service manager restarts what fails. Without this, the second
// start would take an empty database for the damaged one, and nobody would know.
var errUndecided = errors.New("it was found damaged earlier, and nobody has decided yet what to do")

// undecided returns the error for a database that was set aside and neither
// replaced by a backup nor moved away; nil when there is none.
func (s *Store) undecided() error {
	entries, err := os.ReadDir(s.dir) // sorted
	if err != nil {
		return err
	}
	newest := ""
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), "-wal"), "-shm")
		if strings.HasPrefix(name, dbName+".corrupt-") {
			newest = filepath.Join(s.dir, name)
		}
	}
	if newest == "" {
		return nil
	}
	return &CorruptError{Path: s.path, SetAside: newest, Err: errUndecided}
}

// noteDamage has the next start check everything.
func (s *Store) noteDamage(cause error) {
	s.log.Error("the state database is damaged", "path", s.path, "error", cause)
	_ = os.WriteFile(s.path+damageMark, []byte(time.Now().UTC().Format(time.RFC3339)+" "+cause.Error()+"\n"), 0o600)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
