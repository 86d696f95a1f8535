package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
)

// patient is a running forwarder of which only the health matters.
type patient struct {
	stuck  bool
	status status.Status
	hang   chan struct{} // nil = answer at once
}

func (p *patient) Status(context.Context) status.Status {
	if p.hang != nil {
		<-p.hang
	}
	return p.status
}
func (p *patient) Alive() bool                                                { return !p.stuck }
func (p *patient) Reload(context.Context) error                               { return nil }
func (p *patient) RetryDead(context.Context, replica.DeadFilter) (int, error) { return 0, nil }
func (p *patient) DropDead(context.Context, replica.DeadFilter) (int, error)  { return 0, nil }
func (p *patient) Replay(context.Context, string, string, time.Time) (int, error) {
	return 0, nil
}

func TestHealthIsAboutTheForwarderAlone(t *testing.T) {
	failing := status.Status{Running: true,
		Feeds: []status.Feed{{Name: "f", State: status.StateFailing}},
		Sinks: []status.Sink{{Name: "s", State: status.StateFailing}}}
	full := status.Status{Running: true, State: status.Store{Error: "the disk is full"}}
	for _, c := range []struct {
		name string
		p    patient
		want string // "" = healthy
	}{
		{"works", patient{status: status.Status{Running: true}}, ""},
		{"feed and sink fail", patient{status: failing}, ""},
		{"stuck", patient{stuck: true, status: status.Status{Running: true}}, "loops make no progress"},
		{"disk full", patient{status: full}, "state: the disk is full"},
		{"not started", patient{}, "config: no configuration is running"},
	} {
		dir := t.TempDir()
		s, err := control.Serve(dir, &c.p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		err = healthy(t.Context(), dir)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestHealthDoesNotWaitForever(t *testing.T) {
	dir := t.TempDir()
	p := &patient{hang: make(chan struct{})}
	s, err := control.Serve(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer close(p.hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := healthy(ctx, dir); err == nil {
		t.Error("a forwarder that does not answer is healthy")
	}
}

// A health check has two answers: container engines reserve other codes.
func TestHealthKnowsTwoAnswers(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	config := write(t, dir, "forwarder.hcl", "state {\n  dir = %q\n}\n", state)
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	call(t, "health", "--config", config).one(t, exitError, "no forwarder is running on this state directory")
	s, err := control.Serve(state, &patient{status: status.Status{Running: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r := call(t, "health", "--config", config); r.code != exitOK || r.stdout != "healthy\n" {
		t.Errorf("exit status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
