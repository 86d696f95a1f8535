//go:build !windows

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// end waits for a program to end and returns its exit status and how long that
// took.
func (p *program) end(within time.Duration) (code int, took time.Duration) {
	p.t.Helper()
	started := time.Now()
	select {
	case <-p.done:
	case <-time.After(within):
		p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.done
		p.t.Fatalf("still running after %s:\n%s", within, p.tail())
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(started)
}

// TestSignals: SIGTERM and SIGINT stop the program cleanly, with status 0, and
// nothing is left behind that a next start or a status would stumble over.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			server, _ := serve(t, taxiitest.Options{}, 0, 10)
			out := filepath.Join(dir, "out.ndjson")
			config := plainConfig(t, dir, server.URL(), out)
			p := startProgram(t, config)
			p.until("it has polled", func() bool { return len(archived(t, out)) == 10 })
			p.cmd.Process.Signal(sig)
			code, took := p.end(15 * time.Second)
			if code != exitOK || took > 5*time.Second {
				t.Errorf("exit status %d after %s:\n%s", code, took, p.tail())
			}
			if !strings.Contains(p.log.String(), "forwarder stopped") {
				t.Errorf("the log does not end with the stop:\n%s", p.tail())
			}
			if _, err := os.Stat(filepath.Join(dir, "state", "control.json")); err == nil {
				t.Error("control.json is left behind")
			}
			if fi, err := os.Stat(filepath.Join(dir, "state", "state.db-wal")); err == nil && fi.Size() > 0 {
				t.Error("the state's log is left behind")
			}
			if r := call(t, "status", "--config", config); r.code != exitNotRunning || r.stderr != "" {
				t.Errorf("status ends with %d: %s", r.code, r.stderr)
			}
		})
	}
}

// TestStopWhileWaiting: neither a server that does not answer nor a sink that
// hangs holds up the stop beyond the 15 seconds that systemd's and Windows'
// limits are made for; what was not confirmed is sent at the next start.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	slow, _ := serve(t, taxiitest.Options{}, 100, 10)
	slow.Inject(taxiitest.Fault{Hang: true, Times: -1})
	splunk := splunktest.NewServer(splunktest.Options{})
	defer splunk.Close()
	hit := make(chan struct{}, 100)
	splunk.Inject(splunktest.Fault{Hang: true, Do: func() { hit <- struct{}{} }})
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	token := write(t, dir, "token", "%s", splunk.Token())
	replaceFile(t, config, string(text)+fmt.Sprintf("feed \"slow\" {\n discovery_url = %q\n auth \"none\" {}\n}\nsink \"splunk_hec\" \"s\" {\n url = %q\n token = file(%q)\n}\n", slow.URL(), splunk.URL(), token))
	p := startProgram(t, config)
	p.until("one sink has everything, and the slow server was asked", func() bool { return len(archived(t, out)) == 10 && slow.ObjectRequests() > 0 })
	<-hit
	p.cmd.Process.Signal(syscall.SIGTERM)
	code, took := p.end(30 * time.Second)
	t.Logf("stopped after %s", took)
	if code != exitOK || took > 20*time.Second || strings.Contains(p.log.String(), "panic") || !strings.Contains(p.log.String(), "forwarder stopped") {
		t.Errorf("exit status %d after %s:\n%s", code, took, p.tail())
	}
	if _, err := os.Stat(filepath.Join(dir, "state", "control.json")); err == nil {
		t.Error("control.json is left behind")
	}
	slow.ClearFaults()
	splunk.Clear()
	p = startProgram(t, config)
	p.until("everything is everywhere", func() bool { return len(archived(t, out)) == 20 && len(splunk.Current()) == 20 })
}

// TestStopDuringStart: a signal that comes before the program is up is not
// lost.
func TestStopDuringStart(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	config := plainConfig(t, dir, server.URL(), filepath.Join(dir, "out.ndjson"))
	for i := range 8 {
		p := startProgram(t, config)
		// One that comes before main has run ends the program by itself.
		<-time.After(time.Duration(10+i*7) * time.Millisecond)
		p.cmd.Process.Signal(syscall.SIGTERM)
		if code, took := p.end(10 * time.Second); code != exitOK && code != -1 || took > 5*time.Second {
			t.Errorf("exit status %d after %s:\n%s", code, took, p.tail())
		}
	}
}

// TestLogReaderGone: the program outlives whoever reads its log.
func TestLogReaderGone(t *testing.T) {
	dir := t.TempDir()
	server, col := serve(t, taxiitest.Options{}, 0, 10)
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startCommand(t, func(self []string) *exec.Cmd {
		c := exec.Command(self[0], self[1:]...)
		c.Stdout, c.Stderr = w, w
		return c
	}, "run", "--allow-root", "--config", config)
	w.Close()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Close()
	p.until("it has polled", func() bool { return len(archived(t, out)) == 10 })
	col.Add(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC), killIndicator(10))
	p.until("it goes on", func() bool { return len(archived(t, out)) == 11 })
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code, _ := p.end(15 * time.Second); code != exitOK {
		t.Errorf("exit status %d", code)
	}
}

// TestOutputGone: a reader that has had enough, as head has, ends a command
// quietly; a disk that is full ends it with an error, not as if all were well.
func TestOutputGone(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 500)
	config := plainConfig(t, dir, server.URL(), filepath.Join(dir, "out.ndjson"))
	fill(t, config, filepath.Join(dir, "out.ndjson"), 500)
	patterns := write(t, dir, "patterns", "%s", strings.Repeat("[domain-name:value = 'example.com']\n", 5000))
	commands := [][]string{
		{"explain", "-"}, {"help"}, {"version"}, {"version", "--json"}, {"check", "--config", config}, {"check", "--online", "--json", "--config", config},
		{"discover", server.URL()}, {"discover", "--json", server.URL()}, {"preview", "--limit", "500", "--config", config},
		{"status", "--config", config}, {"status", "--json", "--config", config}, {"dead-letters", "list", "--config", config},
	}
	for _, args := range commands {
		in, err := os.Open(patterns)
		if err != nil {
			t.Fatal(err)
		}
		cmd := self(t.Context(), t, args...)
		cmd.Stdin = in
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close() // before anything is written
		cmd.Stdout = w
		var log strings.Builder
		cmd.Stderr = &log
		cmd.Run()
		w.Close()
		in.Close()
		if strings.Contains(log.String(), "panic") || strings.Contains(log.String(), "goroutine") || cmd.ProcessState.Success() {
			t.Errorf("%v into a closed pipe: %s\n%s", args, cmd.ProcessState, &log)
		}

		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		in, err = os.Open(patterns)
		if err != nil {
			t.Fatal(err)
		}
		cmd = self(t.Context(), t, args...)
		cmd.Stdin, cmd.Stdout = in, full
		log.Reset()
		cmd.Stderr = &log
		cmd.Run()
		full.Close()
		in.Close()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if cmd.ProcessState.ExitCode() != exitError || !regexp.MustCompile(`^taxii-forwarder \S+: write standard output: .*no space left on device$`).MatchString(lines[len(lines)-1]) {
			t.Errorf("%v onto a full disk: %s\n%s", args, cmd.ProcessState, &log)
		}
	}
}

// TestInterrupt: Ctrl-C ends every command that waits, at once and with the
// status that shells give to that.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	hanging, _ := serve(t, taxiitest.Options{}, 0, 1)
	hanging.Inject(taxiitest.Fault{Match: "/", Hang: true, Times: -1})
	config := plainConfig(t, dir, hanging.URL(), filepath.Join(dir, "out.ndjson"))
	for _, args := range [][]string{
		{"explain", "-"}, {"discover", hanging.URL()}, {"check", "--online", "--config", config}, {"preview", "--config", config},
	} {
		in, out, err := os.Pipe() // standard input that never ends
		if err != nil {
			t.Fatal(err)
		}
		answers, answer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		asked := len(hanging.Requests())
		var log strings.Builder
		p := startCommand(t, func(self []string) *exec.Cmd {
			c := exec.Command(self[0], self[1:]...)
			c.Stdin, c.Stdout, c.Stderr = in, answer, &log
			return c
		}, args...)
		if args[0] == "explain" {
			// A line that comes alone is answered at once, not when the input ends.
			io.WriteString(out, "[domain-name:value = 'example.com']\n")
			if line, err := bufio.NewReader(answers).ReadString('\n'); err != nil || !strings.Contains(line, `"valid":true`) {
				t.Fatalf("explain says %q, %v", line, err)
			}
		} else {
			p.until("the server was asked", func() bool { return len(hanging.Requests()) > asked })
		}
		p.cmd.Process.Signal(os.Interrupt)
		if code, took := p.end(10 * time.Second); code != exitInterrupted || took > 3*time.Second {
			t.Errorf("%v: exit status %d after %s: %s", args, code, took, &log)
		}
		if !strings.HasSuffix(strings.TrimSpace(log.String()), "taxii-forwarder "+args[0]+": interrupted") {
			t.Errorf("%v: says %q", args, log.String())
		}
		for _, f := range []*os.File{in, out, answers, answer} {
			f.Close()
		}
	}
}

// TestWatch: status --watch goes on until it is interrupted, over a stop of the
// forwarder.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 10)
	out := filepath.Join(dir, "out.ndjson")
	config := plainConfig(t, dir, server.URL(), out)
	p := startProgram(t, config)
	p.until("it has polled", func() bool { return len(archived(t, out)) == 10 })
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	watch := startCommand(t, func(self []string) *exec.Cmd {
		c := exec.Command(self[0], self[1:]...)
		c.Stdout = w
		return c
	}, "status", "--watch", "--json", "--config", config)
	w.Close()
	lines := bufio.NewReader(r)
	read := func(want string) {
		t.Helper()
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Fatalf("%q, %v; want %s\n%s", line, err, want, watch.log.String())
		}
	}
	read(`"running":true`)
	p.kill()
	read(`"running":false`)
	watch.cmd.Process.Signal(os.Interrupt)
	io.Copy(io.Discard, lines)
	if code, _ := watch.end(5 * time.Second); code != exitOK {
		t.Errorf("exit status %d", code)
	}
}
