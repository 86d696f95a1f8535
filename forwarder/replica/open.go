package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// dbName is the database's file name. A file of this name always holds a whole
// schema: a new database is built beside it and renamed.
const dbName = "state.db"

// Options says where the state is and how to open it.
type Options struct {
	Dir string // the state directory; created with mode 0700
	// ReadOnly opens the state beside a running service, or when none runs. It
	// takes no lock and changes nothing.
	ReadOnly bool
	Logger   hclog.Logger     // nil = none
	Now      func() time.Time // nil = time.Now
	// MaxDeadLetters bounds the dead letters kept; the oldest go first. 0 =
	// 100,000.
	MaxDeadLetters int
	// Program is the version of the program, which an upgrade notes in the state.
	Program string
}

// A Store is an open state directory.
type Store struct {
	dir, path string
	log       hclog.Logger
	now       func() time.Time
	maxDead   int
	program   string

	lock  *dirLock
	turn  chan struct{} // holds a token while nobody writes
	done  bool          // closed; guarded by turn
	db    *sql.DB       // of w
	w     *sql.Conn     // the one connection that writes; nil = read-only
	stmts map[string]*sql.Stmt
	r     *sql.DB // readers
}

// Page cache per connection in KiB, and the size in pages at which the
// write-ahead log is moved into the database. The writer's cache holds the index
// of ids of some 500,000 objects, of which every batch touches most pages;
// readers mostly go forward. A long log spares rewriting those pages; large
// pages spare system calls.
const (
	writerCache    = 16 << 10
	readerCache    = 1 << 10
	readers        = 4
	checkpointSize = 8192
	pageSize       = 8192
	busyMillis     = 5000
)

// Open opens the state in o.Dir, creates it if there is none and upgrades it if
// it is older. Its errors are a *[LockedError], *[CorruptError], *[SchemaError],
// a local failure ([IsLocal]), or of [fs.ErrNotExist] when there is no state to
// read only.
func Open(ctx context.Context, o Options) (*Store, error) {
	steps, err := migrations()
	if err != nil {
		return nil, err
	}
	return open(ctx, o, steps)
}

func open(ctx context.Context, o Options, steps []string) (_ *Store, err error) {
	if o.Dir == "" {
		return nil, errors.New("open state: no directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s := &Store{
		dir: dir, path: filepath.Join(dir, dbName),
		log: o.Logger, now: o.Now, maxDead: o.MaxDeadLetters, program: o.Program,
		turn: make(chan struct{}, 1), stmts: make(map[string]*sql.Stmt),
	}
	s.turn <- struct{}{}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.maxDead <= 0 {
		s.maxDead = 100_000
	}
	defer func() {
		if err != nil {
			_ = s.Close()
			var le *LockedError
			var ce *CorruptError
			var se *SchemaError
			if !errors.As(err, &le) && !errors.As(err, &ce) && !errors.As(err, &se) {
				err = explain("open state", s.path, err)
			}
		}
	}()
	if o.ReadOnly {
		return s, s.openReadOnly(ctx, len(steps))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if s.lock, err = acquireLock(dir); err != nil {
		return nil, err
	}
	if err := s.openWriter(ctx, steps); err != nil {
		if isCorrupt(err) {
			// Connections must go first: what is open can not be renamed on Windows.
			s.closeDB()
			return nil, s.setAside(err)
		}
		return nil, err
	}
	return s, s.drainAll(ctx)
}

// openWriter opens the database for writing. Damage shows as an error of
// [isCorrupt].
func (s *Store) openWriter(ctx context.Context, steps []string) (err error) {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(s.path + "-wal"); err == nil {
			return errOrphanLog
		}
		if err := s.undecided(); err != nil {
			return err
		}
		if err := create(ctx, s.path, steps, s.now(), s.program); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := checkHeader(s.path); err != nil {
		return err
	}
	if s.db, s.w, err = openConn(ctx, s.path); err != nil {
		return err
	}
	s.keepPrivate()
	if err := s.checkQuickly(ctx); err != nil {
		return err
	}
	have, err := schemaVersion(ctx, s.w)
	if err != nil {
		return err
	}
	if have > len(steps) {
		return &SchemaError{Path: s.path, Found: have, Know: len(steps), Program: schemaProgram(ctx, s.w)}
	}
	if have < len(steps) {
		if err := s.upgrade(ctx, have, steps); err != nil {
			return err
		}
	}
	// What SQLite keeps to undo half of a statement of several rows: a few pages,
	// not worth a file. Not earlier, as a migration may sort a whole table.
	if _, err := s.w.ExecContext(ctx, "PRAGMA temp_store = memory"); err != nil {
		return err
	}
	if s.r, err = sql.Open("sqlite", dsn(s.path, "mode=ro", pragma("busy_timeout", busyMillis), pragma("cache_size", -readerCache))); err != nil {
		return err
	}
	s.r.SetMaxOpenConns(readers)
	s.r.SetMaxIdleConns(readers)
	return s.r.PingContext(ctx)
}

// openConn opens the connection that writes. Statements are prepared on it, so
// it has to stay the same one.
func openConn(ctx context.Context, path string) (*sql.DB, *sql.Conn, error) {
	db, err := sql.Open("sqlite", dsn(path, "mode=rw",
		pragma("busy_timeout", busyMillis),
		pragma("journal_mode", "wal"),
		pragma("synchronous", "full"),
		pragma("cache_size", -writerCache),
		pragma("wal_autocheckpoint", checkpointSize),
		pragma("journal_size_limit", 4*checkpointSize*pageSize),
	))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	c, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, c, nil
}

// create builds a new database beside path and renames it into place, so that a
// crash leaves either none or a whole one.
func create(ctx context.Context, path string, steps []string, now time.Time, program string) error {
	tmp := path + ".new"
	for _, ext := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(tmp + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// The page size has to be set before anything is written, and the driver sorts
	// the pragmas of a URI.
	first, err := sql.Open("sqlite", dsn(tmp, "mode=rw"))
	if err != nil {
		return err
	}
	_, err = first.ExecContext(ctx, fmt.Sprintf("PRAGMA page_size = %d; VACUUM", pageSize))
	if err = errors.Join(err, first.Close()); err != nil {
		return err
	}
	db, c, err := openConn(ctx, tmp)
	if err != nil {
		return err
	}
	err = migrate(ctx, c, steps, now, program)
	// Closing the last connection moves the log into the file.
	err = errors.Join(err, c.Close(), db.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// openReadOnly opens the database beside a running service or without one.
func (s *Store) openReadOnly(ctx context.Context, know int) error {
	if _, err := os.Stat(s.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("no state in %s: has the service run with this state directory? %w", s.dir, fs.ErrNotExist)
		}
		return err
	}
	if err := checkHeader(s.path); err != nil {
		return &CorruptError{Path: s.path, Err: err}
	}
	try := func(params ...string) (err error) {
		params = append(params, pragma("busy_timeout", busyMillis), pragma("cache_size", -readerCache))
		if s.r, err = sql.Open("sqlite", dsn(s.path, params...)); err != nil {
			return err
		}
		s.r.SetMaxOpenConns(readers)
		c, err := s.r.Conn(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		have, err := schemaVersion(ctx, c)
		if err != nil {
			return err
		}
		if have != know {
			return &SchemaError{Path: s.path, Found: have, Know: know, Program: schemaProgram(ctx, c)}
		}
		return nil
	}
	err := try("mode=ro")
	switch sqliteCode(err) {
	case codeCantOpen, codeReadOnly:
		// A reader that may not create the -shm file. Without a log the file itself
		// is complete, and nobody who writes has it open.
		if fi, serr := os.Stat(s.path + "-wal"); serr == nil && fi.Size() > 0 {
			return err
		}
		_ = s.r.Close()
		err = try("mode=ro", "immutable=1")
	case codeCorrupt, codeNotADB:
		return &CorruptError{Path: s.path, Err: err}
	}
	return err
}

// Close waits for the write under way, then releases the state. Later calls of
// any method but Close and Path fail.
func (s *Store) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if s.done {
		return nil
	}
	s.done = true
	return errors.Join(s.closeDB(), s.lock.release())
}

func (s *Store) closeDB() error {
	var errs []error
	if s.r != nil {
		errs = append(errs, s.r.Close())
	}
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	clear(s.stmts)
	if s.db != nil {
		errs = append(errs, s.w.Close(), s.db.Close())
		s.db = nil
	}
	return errors.Join(errs...)
}

// Path returns the database's file.
func (s *Store) Path() string { return s.path }

// Size returns the bytes the database takes on disk, its log included.
func (s *Store) Size() (int64, error) {
	var n int64
	for _, ext := range []string{"", "-wal", "-shm"} {
		fi, err := os.Stat(s.path + ext)
		if err == nil {
			n += fi.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0, explain("measure state", s.path, err)
		}
	}
	return n, nil
}

func pragma(name string, value any) string { return fmt.Sprintf("_pragma=%s(%v)", name, value) }

// dsn makes SQLite's URI of a file (https://sqlite.org/uri.html).
func dsn(path string, params ...string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/dir becomes file:///C:/dir
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: strings.Join(params, "&")}
	return u.String()
}
