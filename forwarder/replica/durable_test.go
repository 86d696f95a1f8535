package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// TestMain doubles as the child that the crash and lock tests kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("REPLICA_TEST_CHILD"); dir != "" {
		child(dir)
		return
	}
	if dir := os.Getenv("REPLICA_TEST_UPGRADE"); dir != "" {
		upgradeChild(dir)
		return
	}
	os.Exit(m.Run())
}

const crashPage = 20

// child applies pages and settles them for ever. Page p holds the indicators
// p*crashPage to p*crashPage+19 in version 1, changes the page before to version
// 2, and moves the position to p. It tells its parent before and after each
// step.
func child(dir string) {
	s, err := Open(ctx, Options{Dir: dir})
	check(err)
	fmt.Println("open")
	r, err := s.OpenRoute(ctx, "f", "sink", "")
	check(err)
	page := 0
	if pos, _, err := s.Position(ctx, home); err == nil && pos != nil {
		page, _ = strconv.Atoi(string(pos))
	}
	for {
		page++
		var objs []Object
		for i := range crashPage {
			objs = append(objs, ind(strconv.Itoa(page*crashPage+i), 1), ind(strconv.Itoa((page-1)*crashPage+i), 2))
		}
		if page == 1 {
			objs = append(objs, obj("identity", "1", 1))
		}
		_, err := s.Apply(ctx, Batch{Collection: home, Objects: objs, Position: json.RawMessage(strconv.Itoa(page))})
		check(err)
		fmt.Println("applied", page)
		recs, through, err := s.Changes(ctx, r, r.Cursor, 13, 1<<20)
		check(err)
		var settled []Settlement
		for _, rec := range recs {
			settled = append(settled, Settlement{Seq: rec.Seq, OID: rec.OID, Entry: delivered(rec.Version, rec.ID)})
		}
		check(s.Settle(ctx, r, through, settled))
		r.Cursor = through
		fmt.Println("settled", through)
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// startChild returns the running child and a function for its next line.
func startChild(t *testing.T, dir string) (*exec.Cmd, func() string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REPLICA_TEST_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	buf := make([]byte, 0, 4096)
	return cmd, func() string {
		for {
			if i := strings.IndexByte(string(buf), '\n'); i >= 0 {
				line := string(buf[:i])
				buf = buf[i+1:]
				return line
			}
			chunk := make([]byte, 512)
			n, err := out.Read(chunk)
			buf = append(buf, chunk[:n]...)
			if err != nil {
				return ""
			}
		}
	}
}

// kill -9 at any instant: what was reported done is there, a page is in with its
// position or not at all, a settlement with its cursor or not at all.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	for round := range 8 {
		cmd, line := startChild(t, dir)
		var applied, settled int64
		for n := 0; n < 4+5*round; {
			l := line()
			what, num, _ := strings.Cut(l, " ")
			v, _ := strconv.ParseInt(num, 10, 64)
			switch what {
			case "open":
			case "applied":
				applied = v
				n++
			case "settled":
				settled = v
				n++
			default:
				t.Fatalf("child says %q", l)
			}
		}
		if round%2 == 1 { // somewhere within the next step
			time.AfterFunc(time.Duration(round)*300*time.Microsecond, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
		} else {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		afterCrash(t, dir, applied, settled)
	}
}

func afterCrash(t *testing.T, dir string, applied, settled int64) {
	t.Helper()
	s := must(Open(ctx, Options{Dir: dir}))(t)
	defer s.Close()
	sound(t, s)
	pos, _, err := s.Position(ctx, home)
	ok(t, err)
	page, _ := strconv.ParseInt(string(pos), 10, 64)
	if page < applied {
		t.Fatalf("page %d was applied, the position is %d", applied, page)
	}
	r := must(s.OpenRoute(ctx, "f", "sink", ""))(t)
	if r.Cursor < settled {
		t.Fatalf("change %d was settled, the cursor is %d", settled, r.Cursor)
	}
	recs := changes(t, s, r, 0)
	if want := int(page+1) * crashPage; len(recs) != want {
		t.Fatalf("position %d with %d indicators, want %d", page, len(recs), want)
	}
	for _, rec := range recs {
		n, _ := strconv.ParseInt(strings.TrimPrefix(rec.ID, "indicator--"), 10, 64)
		want := int64(2)
		if n/crashPage == page {
			want = 1
		}
		if rec.Version != want {
			t.Fatalf("position %d, but %s has version %d", page, rec.ID, rec.Version)
		}
		// Up to the cursor everything is in the ledger in its version, above it
		// nothing is in its version.
		held := rec.Ledger != nil && rec.Ledger.Version == rec.Version
		if held != (rec.Seq <= r.Cursor) {
			t.Fatalf("cursor %d: change %d of %s has ledger %+v", r.Cursor, rec.Seq, rec.ID, rec.Ledger)
		}
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	cmd, line := startChild(t, dir)
	if l := line(); l != "open" {
		t.Fatalf("child says %q", l)
	}
	_, err := Open(ctx, Options{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v, want it to name pid %d and %s", err, cmd.Process.Pid, dir)
	}
	ok(t, must(Open(ctx, Options{Dir: dir, ReadOnly: true}))(t).Close())
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ok(t, must(Open(ctx, Options{Dir: dir}))(t).Close())
}

func TestCorrupt(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"no database": func(t *testing.T, path string) { ok(t, os.WriteFile(path, []byte("{\"hello\":1}\n"), 0o600)) },
		"empty":       func(t *testing.T, path string) { ok(t, os.Truncate(path, 0)) },
		"cut off":     func(t *testing.T, path string) { ok(t, os.Truncate(path, 20000)) },
		"log without database": func(t *testing.T, path string) {
			ok(t, os.WriteFile(path+"-wal", []byte("old"), 0o600))
			ok(t, os.Remove(path))
		},
		"overwritten schema": func(t *testing.T, path string) { scribble(t, path, 100, 3000) },
		"overwritten middle, met before": func(t *testing.T, path string) {
			fi, err := os.Stat(path)
			ok(t, err)
			scribble(t, path, fi.Size()/16384*8192, 24000)
			ok(t, os.WriteFile(path+damageMark, nil, 0o600))
		},
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openAt(t, dir)
			applyAll(t, s, benchObjects(1, 300, 1))
			ok(t, s.Close())
			f(t, s.Path())
			before, _ := os.ReadFile(s.Path())

			r, err := Open(ctx, Options{Dir: dir, ReadOnly: true})
			if err == nil {
				ok(t, r.Close())
				if name != "overwritten middle, met before" {
					t.Error("opens read-only")
				}
			}
			_, err = Open(ctx, Options{Dir: dir, Now: func() time.Time { return t0 }})
			var ce *CorruptError
			if !errors.As(err, &ce) || ce.SetAside == "" || !strings.Contains(err.Error(), ce.SetAside) || !strings.Contains(err.Error(), "restore a backup") {
				t.Fatalf("got %v", err)
			}
			if want := s.Path() + ".corrupt-20260301T120000Z"; ce.SetAside != want {
				t.Errorf("set aside as %s, want %s", ce.SetAside, want)
			}
			if exists(s.Path()) || exists(s.Path()+"-wal") {
				t.Error("it is still there")
			}
			if after, _ := os.ReadFile(ce.SetAside); string(after) != string(before) {
				t.Error("what was set aside is not what was there")
			}
			// A service manager that starts it again gets nowhere until someone decides.
			if _, err = Open(ctx, Options{Dir: dir}); !errors.As(err, &ce) || !strings.Contains(err.Error(), s.Path()+".corrupt-20260301T120000Z") || exists(s.Path()) {
				t.Fatalf("second start: %v", err)
			}
			aside, err := filepath.Glob(s.Path() + ".corrupt-*")
			ok(t, err)
			for _, f := range aside {
				ok(t, os.Rename(f, filepath.Join(t.TempDir(), filepath.Base(f))))
			}
			fresh := openAt(t, dir)
			if n := must(fresh.Head(ctx, "f"))(t); n != 0 {
				t.Errorf("head %d in a new state", n)
			}
			// A second time does not overwrite the first.
			ok(t, fresh.Close())
			ok(t, os.WriteFile(s.Path()+".corrupt-20260301T120000Z", nil, 0o600))
			ok(t, os.WriteFile(s.Path(), []byte("x"), 0o600))
			if _, err = Open(ctx, Options{Dir: dir, Now: func() time.Time { return t0 }}); !errors.As(err, &ce) || !strings.HasSuffix(ce.SetAside, "-1") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func scribble(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	ok(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("\xa5", n)), at)
	ok(t, err)
	ok(t, f.Close())
}

// Damage that a statement meets is a local failure, and the next start looks at
// everything.
func TestDamageAtWork(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	applyAll(t, s, benchObjects(1, 3000, 1))
	ok(t, s.Close())
	fi, err := os.Stat(s.Path())
	ok(t, err)
	s = openAt(t, dir)
	scribble(t, s.Path(), fi.Size()/8192/3*8192, 8192*100)
	_, _, err = s.Changes(ctx, route(t, s), 0, 5000, 64<<20)
	if !IsLocal(err) || !strings.Contains(err.Error(), "restart") || !strings.Contains(err.Error(), s.Path()) {
		t.Fatalf("got %v", err)
	}
	_ = s.Close()
	_, err = Open(ctx, Options{Dir: dir})
	var ce *CorruptError
	if !errors.As(err, &ce) {
		t.Fatalf("got %v", err)
	}
}

// A full disk: a clear error, no trace, and it goes on when there is space.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	objs := benchObjects(1, 3000, 1)
	applyAll(t, s, objs[:1000])
	r := route(t, s)
	var pages int
	ok(t, s.w.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages))
	limit := func(n int) {
		var got int
		ok(t, s.w.QueryRowContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, n)).Scan(&got))
	}
	limit(pages + 20)
	_, err := s.Apply(ctx, Batch{Collection: home, Objects: objs[1000:2000], Position: json.RawMessage("2000")})
	var f *intel.Failure
	if !errors.As(err, &f) || !IsLocal(err) || !strings.Contains(err.Error(), s.Path()) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("got %v", err)
	}
	if pos, _, _ := s.Position(ctx, home); string(pos) == "2000" {
		t.Error("the position moved")
	}
	if recs := changes(t, s, r, 0); len(recs) != 1000 {
		t.Errorf("%d records, want 1000", len(recs))
	}
	var settled []Settlement
	for i := range 1000 {
		settled = append(settled, Settlement{Seq: int64(i + 1), OID: int64(i + 1), Entry: delivered(1, strings.Repeat("x", 500))})
	}
	if err := s.Settle(ctx, r, 1000, settled); !IsLocal(err) || route(t, s).Cursor != 0 {
		t.Errorf("settle: %v, cursor %d", err, route(t, s).Cursor)
	}
	sound(t, s)
	limit(1 << 30)
	applyAll(t, s, objs)
	ok(t, s.Settle(ctx, r, 1000, settled))
	if recs := changes(t, s, r, 0); len(recs) != 3000 {
		t.Errorf("%d records, want 3000", len(recs))
	}
	sound(t, s)
}

func TestUnwritableDirectory(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		dir := filepath.Join(t.TempDir(), "file")
		ok(t, os.WriteFile(dir, nil, 0o600))
		if _, err := Open(ctx, Options{Dir: dir}); !IsLocal(err) {
			t.Errorf("a file for a directory: %v", err)
		}
		return
	}
	dir := t.TempDir()
	ok(t, os.Chmod(dir, 0o500))
	if _, err := Open(ctx, Options{Dir: dir}); !IsLocal(err) || !strings.Contains(err.Error(), "permissions") {
		t.Errorf("got %v", err)
	}
}

func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openAt(t, dir)
	apply(t, s, ind("1", 1))
	ok(t, s.Backup(ctx, filepath.Join(dir, "copy")))
	for name, want := range map[string]os.FileMode{"": 0o700, dbName: 0o600, dbName + "-wal": 0o600, lockName: 0o600, "copy": 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		ok(t, err)
		if fi.Mode().Perm() != want {
			t.Errorf("%q has mode %o, want %o", name, fi.Mode().Perm(), want)
		}
	}
}

// A path with what means something in a URI.
func TestOddPath(t *testing.T) {
	name := "a b#c%20d&ü"
	if runtime.GOOS != "windows" {
		name += "?e"
	}
	dir := filepath.Join(t.TempDir(), name)
	apply(t, openAt(t, dir), ind("1", 1))
	if !exists(filepath.Join(dir, dbName)) {
		t.Error("the database is elsewhere")
	}
}

// A state of schema version 1, made once by that version, opens with every later
// one. Its content: see testdata/v1.sql.
func TestMigrateV1(t *testing.T) {
	dir := t.TempDir()
	db, c, err := openConn(ctx, touch(t, filepath.Join(dir, dbName)))
	ok(t, err)
	script, err := os.ReadFile("testdata/v1.sql")
	ok(t, err)
	_, err = c.ExecContext(ctx, string(script))
	ok(t, err)
	ok(t, errors.Join(c.Close(), db.Close()))

	s := openAt(t, dir)
	sound(t, s)
	r := must(s.OpenRoute(ctx, "f", "splunk.soc", "fp"))(t)
	recs := changes(t, s, r, 0)
	if len(recs) != 2 || r.Cursor != 3 || recs[1].Ledger.Refs[0] != "url:http://example.com/" || len(recs[1].Context) != 2 {
		t.Errorf("cursor %d, records %+v", r.Cursor, recs)
	}
	if list := must(s.DeadLetters(ctx, DeadFilter{}))(t); len(list) != 1 || list[0].Reason != "too_long" {
		t.Errorf("got %+v", list)
	}
	if n := must(s.Recover(ctx, r))(t); n != 1 {
		t.Errorf("%d objects recovered, want 1", n)
	}
	// What indicator--2 names is there and known by its hash.
	if got := apply(t, s, ind("2", 6, raw(`{"type":"indicator","id":"indicator--2"}`)), obj("marking-definition", "9", 1)); got.New != 1 || got.Unchanged != 1 {
		t.Errorf("got %+v", got)
	}
	sound(t, s)
}

func TestMigrations(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	apply(t, s, ind("1", 1))
	ok(t, s.Close())
	steps, err := migrations()
	ok(t, err)
	know := len(steps)

	// A step that fails halfway leaves the old version, usable.
	bad := append(steps[:know:know], `CREATE TABLE extra (x INTEGER); INSERT INTO nonsense VALUES (1);`)
	if _, err := open(ctx, Options{Dir: dir}, bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("schema version %d", know+1)) {
		t.Errorf("got %v", err)
	}
	s = openAt(t, dir)
	var n int
	ok(t, s.w.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'extra'`).Scan(&n))
	if n != 0 {
		t.Error("half a migration is there")
	}
	ok(t, s.Close())

	good := append(steps[:know:know], `CREATE TABLE extra (x INTEGER);`, `INSERT INTO extra VALUES (1);`)
	s = must(open(ctx, Options{Dir: dir}, good))(t)
	ok(t, s.w.QueryRowContext(ctx, `SELECT x FROM extra`).Scan(&n))
	ok(t, s.Close())
	s = must(open(ctx, Options{Dir: dir}, good))(t) // once only
	ok(t, s.w.QueryRowContext(ctx, `SELECT count(*) FROM extra`).Scan(&n))
	if n != 1 {
		t.Errorf("the migration ran %d times", n)
	}
	ok(t, s.Close())

	for _, readOnly := range []bool{false, true} {
		_, err := Open(ctx, Options{Dir: dir, ReadOnly: readOnly})
		var se *SchemaError
		if !errors.As(err, &se) || se.Found != know+2 || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("read-only %t: got %v", readOnly, err)
		}
	}
	if _, err := open(ctx, Options{Dir: dir, ReadOnly: true}, append(good, "SELECT 1")); err == nil || !strings.Contains(err.Error(), "start the service once") {
		t.Errorf("read-only of an old state: %v", err)
	}
}

func touch(t *testing.T, path string) string {
	t.Helper()
	ok(t, os.WriteFile(path, nil, 0o600))
	return path
}
