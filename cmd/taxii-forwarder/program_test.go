package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// result is what became of a run of the program.
type result struct {
	code           int
	stdout, stderr string
}

// call runs the program to its end, in a process of its own.
func call(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := self(ctx, t, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v did not end:\n%s\n%s", args, &out, &log)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), log.String()}
}

// self is the program as a command.
func self(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NO_COLOR=1")
	return cmd
}

// one checks that a call ended with code and said one thing on standard error,
// and that it is what want matches.
func (r result) one(t *testing.T, code int, want string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	if last := lines[len(lines)-1]; !regexp.MustCompile(want).MatchString(last) {
		t.Errorf("the error is not %q:\n%s", want, r.stderr)
	}
	n := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "taxii-forwarder ") {
			n++
		}
	}
	if n != 1 || strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("%d errors instead of one:\n%s", n, r.stderr)
	}
}

// statusOf asks the program for its status.
func statusOf(t *testing.T, config string) status.Status {
	t.Helper()
	r := call(t, "status", "--json", "--config", config)
	var s status.Status
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatalf("status: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return s
}

// ask asks the forwarder that runs on dir/state for its status; the zero one
// means that it does not answer yet.
func ask(t *testing.T, dir string) status.Status {
	t.Helper()
	c, err := control.Dial(t.Context(), filepath.Join(dir, "state"))
	if errors.Is(err, control.ErrNotRunning) {
		return status.Status{}
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func feedStatus(s status.Status, name string) status.Feed {
	for _, f := range s.Feeds {
		if f.Name == name {
			return f
		}
	}
	return status.Feed{} // not known yet
}

// serve starts a TAXII server with a collection of n indicators, numbered from
// first.
func serve(t *testing.T, o taxiitest.Options, first, n int) (*taxiitest.Server, *taxiitest.Collection) {
	t.Helper()
	s := taxiitest.New(o)
	t.Cleanup(s.Close)
	col := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001", Title: "indicators"})
	for i := range n {
		col.Add(time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC), killIndicator(first+i))
	}
	return s, col
}

// write writes a file for a test and returns its path.
func write(t *testing.T, dir, name, format string, args ...any) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// archived returns the ids in a file sink's output.
func archived(t *testing.T, path string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	if _, err := os.Stat(path); err == nil {
		readArchive(t, path, ids)
	}
	return ids
}

func idOf(n int) string { return fmt.Sprintf("indicator--0b0e0de0-0000-4000-8000-%012x", n) }
