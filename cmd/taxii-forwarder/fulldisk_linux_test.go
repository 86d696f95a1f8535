package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestFullStateDisk: when the disk of the state is full, polling stops with a
// clear error, what was committed is delivered, nothing crashes, and with room
// on the disk all goes on where it was. The disk is a small file system that
// only the program sees.
func TestFullStateDisk(t *testing.T) {
	if err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).Run(); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	const indicators, each = 6000, 100
	dir := t.TempDir()
	server := taxiitest.New(taxiitest.Options{PageCap: each})
	t.Cleanup(server.Close)
	col := server.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001"})
	for n := range indicators {
		col.Add(killAdded(n), killIndicator(n))
	}
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	p := startCommand(t, func(self []string) *exec.Cmd {
		script := fmt.Sprintf(`mount -t tmpfs -o size=24m,mode=0700 tmpfs %q && head -c 20m /dev/zero >%q/filler && exec "$@"`, state, state)
		return exec.Command("unshare", append([]string{"-rm", "sh", "-c", script, "sh"}, self...)...)
	}, "run", "--allow-root", "--config", config)
	inside := func(name string) string {
		return filepath.Join(fmt.Sprintf("/proc/%d/root", p.cmd.Process.Pid), state, name)
	}
	look := func() (s status.Status) {
		c, err := control.Dial(t.Context(), inside(""))
		if errors.Is(err, control.ErrNotRunning) {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, err = c.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var f status.Feed
	p.until("the disk is full", func() bool {
		f = feedStatus(look(), "f")
		return f.State == status.StateFailing
	})
	for _, want := range []string{"poll f/", "state.db", "the disk is full: free some space; nothing is lost"} {
		if !strings.Contains(f.Error, want) {
			t.Errorf("the error does not say %q: %s", want, f.Error)
		}
	}
	if f.FailureKind != "local" || strings.Contains(f.Error, "\n") {
		t.Errorf("the failure is of kind %s: %q", f.FailureKind, f.Error)
	}
	if f.Objects == 0 || f.Objects >= indicators {
		t.Fatalf("the disk was full after %d of %d objects; the test has to be tuned", f.Objects, indicators)
	}
	if err := os.Remove(inside("filler")); err != nil {
		t.Fatal(err)
	}
	p.until("everything has arrived", func() bool { return len(archived(t, out)) == indicators })
	p.until("nothing fails any more", func() bool {
		s := look()
		return feedStatus(s, "f").State == status.StateOK && s.Sinks[0].State == status.StateOK
	})
}
