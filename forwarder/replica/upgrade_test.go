package replica

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// longSteps are those of this program and one more, of several statements that
// take a moment.
func longSteps() ([]string, error) {
	steps, err := migrations()
	return append(steps[:len(steps):len(steps)], `
		CREATE TABLE extra (x INTEGER, y TEXT);
		WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000)
			INSERT INTO extra SELECT x, hex(randomblob(100)) FROM n;
		UPDATE object SET version = version + 1;
		WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 30000)
			INSERT INTO extra SELECT x, hex(randomblob(100)) FROM n;
		CREATE TABLE finished (x INTEGER);`), err
}

// upgradeChild upgrades the state in dir and says when it is done.
func upgradeChild(dir string) {
	steps, err := longSteps()
	check(err)
	fmt.Println("begin")
	s, err := open(ctx, Options{Dir: dir}, steps)
	check(err)
	fmt.Println("done")
	check(s.Close())
}

// seedState makes a state of this program's version with an object in version 7.
func seedState(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := openAt(t, dir)
	apply(t, s, ind("1", 7))
	ok(t, s.Close())
	return dir
}

// TestUpgradeKilled: kill -9 at any instant of an upgrade leaves the old version
// or the new one, whole, and the next start ends with the new one.
func TestUpgradeKilled(t *testing.T) {
	steps, err := longSteps()
	ok(t, err)
	run := func(dir string, killAfter time.Duration) (took time.Duration) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "REPLICA_TEST_UPGRADE="+dir)
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		var said [len("begin\n")]byte
		if _, err := out.Read(said[:]); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if killAfter > 0 {
			time.AfterFunc(killAfter, func() { _ = cmd.Process.Kill() })
		}
		_ = cmd.Wait()
		return time.Since(begin)
	}
	whole := run(seedState(t), 0)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for round := 1; round <= rounds; round++ {
		dir := seedState(t)
		run(dir, whole*time.Duration(round)/time.Duration(rounds))
		db, c, err := openConn(ctx, filepath.Join(dir, dbName))
		ok(t, err)
		var version, extra, finished int
		have := must(schemaVersion(ctx, c))(t)
		ok(t, c.QueryRowContext(ctx, `SELECT version FROM object`).Scan(&version))
		ok(t, c.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'extra'`).Scan(&extra))
		ok(t, c.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'finished'`).Scan(&finished))
		ok(t, errors.Join(c.Close(), db.Close()))
		upgraded := have - (len(steps) - 1)
		if upgraded != 0 && upgraded != 1 || version != 7+upgraded || extra != upgraded || finished != upgraded {
			t.Errorf("killed in round %d: schema version %d, object in version %d, %d and %d new tables", round, have, version, extra, finished)
		}
		s := must(open(ctx, Options{Dir: dir}, steps))(t)
		ok(t, s.w.QueryRowContext(ctx, `SELECT version FROM object`).Scan(&version))
		if version != 8 {
			t.Errorf("round %d: the upgrade ran %d times", round, version-7)
		}
		sound(t, s)
		ok(t, s.Close())
		if left, _ := filepath.Glob(filepath.Join(dir, "*.new*")); len(left) > 0 {
			t.Errorf("round %d: left behind: %v", round, left)
		}
	}
}

// TestBackupBeforeUpgrade: the old version is kept, once, and the older program
// can go on from it.
func TestBackupBeforeUpgrade(t *testing.T) {
	dir := seedState(t)
	steps, err := longSteps()
	ok(t, err)
	kept := filepath.Join(dir, dbName+beforeUpgrade)
	ok(t, os.WriteFile(kept, []byte("of an earlier upgrade"), 0o600))
	ok(t, os.WriteFile(kept+".new", []byte("of one that was killed"), 0o600))
	s := must(open(ctx, Options{Dir: dir, Program: "9.9.9"}, steps))(t)
	ok(t, s.Close())
	_, err = Open(ctx, Options{Dir: dir})
	var se *SchemaError
	if !errors.As(err, &se) || se.Program != "9.9.9" || !strings.Contains(err.Error(), "written by taxii-forwarder 9.9.9") || !strings.Contains(err.Error(), dbName+beforeUpgrade) {
		t.Errorf("the older program says %v", err)
	}
	if fi, err := os.Stat(kept); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", fi, err)
	}
	// What the message says works.
	for _, ext := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, dbName+ext))
	}
	ok(t, os.Rename(kept, filepath.Join(dir, dbName)))
	s = openAt(t, dir)
	if got := apply(t, s, ind("1", 7)); got.Unchanged != 1 {
		t.Errorf("the copy is not what was there before: %+v", got)
	}
	sound(t, s)
	if list, _ := filepath.Glob(filepath.Join(dir, dbName+".*")); len(list) != 0 {
		t.Errorf("more than one copy: %v", list)
	}
}

// TestNoCopyNoUpgrade: where the copy can not be made, nothing is touched.
func TestNoCopyNoUpgrade(t *testing.T) {
	dir := seedState(t)
	steps, err := longSteps()
	ok(t, err)
	ok(t, os.MkdirAll(filepath.Join(dir, dbName+beforeUpgrade+".new", "in the way"), 0o700))
	if _, err := open(ctx, Options{Dir: dir}, steps); err == nil || !strings.Contains(err.Error(), "before its upgrade") {
		t.Errorf("got %v", err)
	}
	sound(t, openAt(t, dir)) // still the old version
}

// TestKeepPrivate: a database that was put back with the usual mode is closed to
// others, and a directory that is open is named.
func TestKeepPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	dir := seedState(t)
	path := filepath.Join(dir, dbName)
	for mode, want := range map[os.FileMode]string{
		0o755: "is open to other users", 0o770: "can replace the files", 0o700: "", 0o777 | os.ModeSticky: "is open to other users",
	} {
		ok(t, os.Chmod(dir, mode))
		ok(t, os.Chmod(path, 0o644))
		var log bytes.Buffer
		s := must(Open(ctx, Options{Dir: dir, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})}))(t)
		ok(t, s.Close())
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 || !strings.Contains(log.String(), "closed to them now") {
			t.Errorf("%v, %v, log %s", fi.Mode(), err, &log)
		}
		if got := log.String(); strings.Contains(got, "the state directory") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("mode %v: log %s", mode, got)
		}
	}
}
