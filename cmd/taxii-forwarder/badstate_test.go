package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to tamper with the state

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// plainConfig follows one server and writes a file.
func plainConfig(t *testing.T, dir, url, out string) string {
	t.Helper()
	return write(t, dir, "forwarder.hcl", `state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "none" {}
  poll_interval = "1s"
}
sink "file" "out" {
  path = %q
}
`, filepath.Join(dir, "state"), url, out)
}

// fill runs a forwarder until it has delivered n indicators, and kills it.
func fill(t *testing.T, config, out string, n int) {
	t.Helper()
	p := startProgram(t, config)
	p.until(fmt.Sprintf("%d indicators have arrived", n), func() bool { return len(archived(t, out)) == n })
	p.kill()
}

// TestSecondInstance: a second forwarder on the same state is refused with one
// error and disturbs the first in nothing.
func TestSecondInstance(t *testing.T) {
	dir := t.TempDir()
	server, col := serve(t, taxiitest.Options{}, 0, 10)
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	p := startProgram(t, config)
	p.until("it has polled", func() bool { return len(archived(t, out)) == 10 })
	before, err := os.ReadFile(filepath.Join(dir, "state", "control.json"))
	if err != nil {
		t.Fatal(err)
	}
	inUse := fmt.Sprintf(`state directory .*state is in use by another instance \(pid %d\): stop it, or give this one a state directory of its own`, p.cmd.Process.Pid)
	call(t, "run", "--allow-root", "--config", config).one(t, exitError, "^taxii-forwarder run: .*"+inUse)
	call(t, "state", "prune", "--config", config).one(t, exitError, "^taxii-forwarder state: .*"+inUse)
	after, err := os.ReadFile(filepath.Join(dir, "state", "control.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("control.json was touched: %v", err)
	}
	col.Add(time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC), killIndicator(10))
	p.until("the first instance goes on", func() bool { return len(archived(t, out)) == 11 })
	if s := ask(t, dir); !s.Running || s.PID != p.cmd.Process.Pid {
		t.Errorf("status: running %v, pid %d", s.Running, s.PID)
	}
	p.kill()
	// Killed, it leaves control.json and the lock file behind; neither misleads.
	if r := call(t, "status", "--config", config); r.code != exitNotRunning || !strings.Contains(r.stdout, "not running") {
		t.Errorf("status after a kill ends with %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
	call(t, "reload", "--config", config).one(t, exitNotRunning, `no forwarder is running on this state directory: .*state`)
	p = startProgram(t, config)
	p.until("a new one runs", func() bool { return ask(t, dir).Running })
}

// TestCorruptState: a damaged database is set aside, whole, with one error that
// says where it is; the next start begins anew and loses nothing.
func TestCorruptState(t *testing.T) {
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	tests := []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"overwritten", func(b []byte) []byte { return append(bytes.Repeat([]byte("x"), 4096), b[4096:]...) }, "does not begin like one"},
		{"empty", func([]byte) []byte { return nil }, "the file is cut off"},
		{"header_only", func(b []byte) []byte { return b[:100] }, ""},
		{"another file", func([]byte) []byte { return []byte("SELECT * FROM somewhere; -- not a database\n") }, "does not begin like one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			out := filepath.Join(dir, "out.ndjson")
			config := plainConfig(t, dir, server.URL(), out)
			fill(t, config, out, 10)
			db := filepath.Join(dir, "state", "state.db")
			sound, err := os.ReadFile(db)
			if err != nil {
				t.Fatal(err)
			}
			for _, ext := range []string{"-wal", "-shm"} {
				os.Remove(db + ext)
			}
			damaged := tt.damage(sound)
			replaceFile(t, db, string(damaged))

			// Looking changes nothing.
			damage := `state database \S+state\.db is damaged: .*` + tt.want
			call(t, "status", "--config", config).one(t, exitError, damage)
			call(t, "state", "check", "--config", config).one(t, exitError, damage)
			if b, err := os.ReadFile(db); err != nil || !bytes.Equal(b, damaged) {
				t.Fatalf("looking at the state changed it: %v", err)
			}
			call(t, "run", "--allow-root", "--config", config).one(t, exitError, damage+`.*it was set aside as \S+state\.db\.corrupt-\S+: restore a backup as`)
			aside, _ := filepath.Glob(db + ".corrupt-*")
			if len(aside) != 1 {
				t.Fatalf("set aside: %v", aside)
			}
			if b, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(b, damaged) {
				t.Errorf("what was set aside is not what there was: %v", err)
			}
			// Nor does the next start, a service manager's, begin anew unasked.
			call(t, "run", "--allow-root", "--config", config).one(t, exitError, `nobody has decided yet what to do; it was set aside as \S+state\.db\.corrupt-\S+: restore a backup as`)
			if err := os.Rename(aside[0], filepath.Join(dir, "aside")); err != nil {
				t.Fatal(err)
			}
			os.Remove(out)
			fill(t, config, out, 10)
		})
	}
}

// TestNewerState: the state of a newer program is refused, not touched.
func TestNewerState(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	fill(t, config, out, 10)
	db, err := sql.Open("sqlite", filepath.Join(dir, "state", "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO schema_version (version, applied) VALUES (99, '2030-01-01T00:00:00Z')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want := `state database \S+state\.db has schema version 99, this program knows up to \d+: use the newer program, or restore a backup`
	for _, args := range [][]string{{"run", "--allow-root"}, {"status"}, {"state", "check"}, {"dead-letters", "list"}, {"replay", "--sink", "out"}} {
		call(t, append(args, "--config", config)...).one(t, exitError, want)
	}
	db, err = sql.Open("sqlite", filepath.Join(dir, "state", "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM object`).Scan(&n); err != nil || n != 10 {
		t.Errorf("%d objects, %v: the state was touched", n, err)
	}
	if _, err := db.Exec(`DELETE FROM schema_version WHERE version = 99`); err != nil {
		t.Fatal(err)
	}
	if r := call(t, "state", "check", "--config", config); r.code != exitOK {
		t.Errorf("state check: %s", r.stderr)
	}
}

// TestUnusableStateDirectory: what is in the way is named.
func TestUnusableStateDirectory(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 1)
	config := plainConfig(t, dir, server.URL(), filepath.Join(dir, "out.ndjson"))
	write(t, dir, "state", "a file where the directory should be")
	call(t, "run", "--allow-root", "--config", config).one(t, exitError, `^taxii-forwarder run: open state: .*state.* not a directory|[Ff]ile (already )?exists|[Pp]ath not found|cannot find the path`)
}

// TestFullDisk: a sink whose disk is full is tried again and holds up no other.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil || runtime.GOOS == "windows" {
		t.Skip("this system has no /dev/full")
	}
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "full.ndjson")
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, config, string(text)+fmt.Sprintf("sink \"file\" \"full\" {\n path = %q\n}\n", full))
	p := startProgram(t, config)
	var k status.Sink
	p.until("one sink has everything and the other fails", func() bool {
		for _, k = range ask(t, dir).Sinks {
			if k.Name == "full" && k.State == status.StateFailing {
				return len(archived(t, out)) == 10
			}
		}
		return false
	})
	for _, want := range []string{full, "no space left on device", "free space on that disk; delivery goes on by itself"} {
		if !strings.Contains(k.Error, want) {
			t.Errorf("the error does not say %q: %s", want, k.Error)
		}
	}
	if k.FailureKind != "local" {
		t.Errorf("the failure is of kind %s", k.FailureKind)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	p.until("the other has everything too", func() bool { return len(archived(t, full)) == 10 })
}
