package svc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func configure(t *testing.T) (path, state string) {
	t.Helper()
	s := taxiitest.New(taxiitest.Options{})
	t.Cleanup(s.Close)
	s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001"})
	dir := t.TempDir()
	path, state = filepath.Join(dir, "forwarder.hcl"), filepath.Join(dir, "state")
	text := fmt.Sprintf("state { dir = %q }\nhttp { listen = \"off\" }\nfeed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n}\nsink \"file\" \"out\" {\n path = %q\n}\n",
		state, s.URL(), filepath.Join(dir, "out.ndjson"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, state
}

func waitFor(t *testing.T, log *lockedBuffer, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), text); {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not in the log:\n%s", text, log)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestRun: it runs until its context ends, and cleans up.
func TestRun(t *testing.T) {
	path, state := configure(t)
	ctx, stop := context.WithCancel(t.Context())
	var log lockedBuffer
	done := make(chan error, 1)
	go func() { done <- Run(ctx, app.Options{ConfigPath: path, Version: "test"}, &log) }()
	waitFor(t, &log, "forwarder started")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "forwarder stopped") {
		t.Errorf("log:\n%s", &log)
	}
	if _, err := os.Stat(filepath.Join(state, "control.json")); err == nil {
		t.Error("control.json is left behind")
	}
}

// TestRunStoppedBefore: told to stop before it had started, it starts nothing
// and does not call that a failure.
func TestRunStoppedBefore(t *testing.T) {
	path, _ := configure(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var log lockedBuffer
	if err := Run(ctx, app.Options{ConfigPath: path}, &log); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "forwarder started") {
		t.Errorf("log:\n%s", &log)
	}
}

// TestRunRefused: the service manager hears what is wrong.
func TestRunRefused(t *testing.T) {
	err := Run(t.Context(), app.Options{ConfigPath: filepath.Join(t.TempDir(), "nowhere.hcl")}, &lockedBuffer{})
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v", err)
	}
}

func TestEventText(t *testing.T) {
	got := eventText("taxii-forwarder.poll", "poll failing", []any{"feed", "f", "error", "401", "odd"})
	if want := "taxii-forwarder.poll: poll failing\r\nfeed: f\r\nerror: 401"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFailedStartIsTold: where nobody sees standard error, as of a Windows
// service, the event log says why.
func TestFailedStartIsTold(t *testing.T) {
	var told error
	p := &program{ctx: t.Context(), options: app.Options{ConfigPath: filepath.Join(t.TempDir(), "nowhere.hcl")}, failed: func(err error) { told = err }}
	if err := p.Start(nil); err == nil || !errors.Is(told, err) {
		t.Errorf("told %v of %v", told, err)
	}
}
