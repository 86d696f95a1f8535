package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/status"
)

// The environment variable that makes this test binary be a forwarder with the
// configuration that it names, and how soon that one tries again what failed.
const (
	asForwarder = "E2E_FORWARDER_CONFIG"
	retryWithin = 200 * time.Millisecond
)

// forward is the forwarder in a process of its own, so that it can be killed.
// It stops when its standard input ends.
func forward(config string) int {
	a, err := app.Start(context.Background(), app.Options{ConfigPath: config, Version: "e2e", RetryWithin: retryWithin})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := a.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", err)
		return 1
	}
	return 0
}

// process is a running [forward].
type process struct {
	testing.TB
	cmd    *exec.Cmd
	stdin  io.Closer
	state  string
	log    *transcript
	ended  chan struct{}
	failed error // of the process; final once ended is closed
}

// launch starts the forwarder on the rig's configuration, in another process.
func (r *rig) launch() *process {
	r.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.Fatal(err)
	}
	p := &process{TB: r.TB, cmd: exec.Command(exe), state: filepath.Join(r.dir, "state"), log: &r.log, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asForwarder+"="+r.config, "NO_COLOR=1")
	p.cmd.Stderr = &r.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		r.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() {
		p.failed = p.cmd.Wait()
		close(p.ended)
	}()
	r.Cleanup(p.kill)
	return p
}

// kill ends the process as kill -9 does: at whatever it is doing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end and waits until it has.
func (p *process) stop() {
	p.Helper()
	_ = p.stdin.Close()
	select {
	case <-p.ended:
		if p.failed != nil {
			p.Fatalf("the forwarder ended with %v:\n%s", p.failed, p.log.tail(40))
		}
	case <-time.After(patience):
		p.kill()
		p.Fatalf("the forwarder did not stop:\n%s", p.log.tail(40))
	}
}

// ask calls do with a client of the process, again and again until it succeeds:
// the process may have started a moment ago.
func (p *process) ask(what string, do func(context.Context, *control.Client) error) {
	p.Helper()
	deadline := time.Now().Add(patience)
	for {
		c, err := control.Dial(p.Context(), p.state)
		if err == nil && c.PID != p.cmd.Process.Pid {
			err = errors.New("the endpoint is still that of the process before")
		}
		if err == nil {
			err = do(p.Context(), c)
		}
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			p.Fatalf("%s: the forwarder ended by itself with %v:\n%s", what, p.failed, p.log.tail(40))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s: %v\n%s", what, err, p.log.tail(40))
		}
	}
}

// status returns the process's picture of itself.
func (p *process) status() (s status.Status) {
	p.Helper()
	p.ask("status", func(ctx context.Context, c *control.Client) (err error) {
		s, err = c.Status(ctx)
		return err
	})
	return s
}
