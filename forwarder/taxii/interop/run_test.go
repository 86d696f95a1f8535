//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
)

// patience is how long the program may take for anything.
const patience = 2 * time.Minute

// A program is a running forwarder.
type program struct {
	dir, config string
	cmd         *exec.Cmd
	log         *tail
	err         error         // with which it ended
	done        chan struct{} // closed when it has
}

func (p *program) start(t *testing.T) {
	t.Helper()
	p.log, p.done, p.err = &tail{}, make(chan struct{}), nil
	cmd := exec.Command(binary, "run", "--allow-root", "--config", p.config)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.cmd = cmd
	done := p.done
	go func() {
		defer close(done)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() { // where the test ended before stop
		select {
		case <-done:
		default:
			_ = cmd.Process.Kill()
			<-done
		}
	})
}

// stop ends the program as a service manager would.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" { // has no signals
		_ = p.cmd.Process.Kill()
		<-p.done
		return
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("the program ended with %v:\n%s", p.err, p.log)
		}
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		t.Fatalf("the program does not end:\n%s", p.log)
	}
}

// until waits for a state of the program.
func (p *program) until(t *testing.T, what string, holds func(status.Status) bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		// Its exit status tells of failures, or that the program is still starting.
		stdout, stderr, _ := command(t, "status", "--json", "--config", p.config)
		var st status.Status
		if last = stdout + stderr; json.Unmarshal([]byte(stdout), &st) == nil && st.Running && holds(st) {
			return
		}
		select {
		case <-tick.C:
		case <-p.done:
			t.Fatalf("waiting until %s, the program ended: %v\n%s", what, p.err, p.log)
		case <-deadline:
			t.Fatalf("waited %s, but not so that %s\n%s\n%s", patience, what, last, p.log)
		}
	}
}

// settled reports whether every collection has been read and everything that
// was found is delivered.
func settled(st status.Status) bool {
	if len(st.Feeds) != 1 || len(st.Feeds[0].Collections) == 0 || len(st.Routes) != 1 || st.Routes[0].Pending != 0 {
		return false
	}
	for _, c := range st.Feeds[0].Collections {
		if c.LastSuccess.IsZero() || c.Error != "" {
			return false
		}
	}
	return true
}

// quiet waits until every collection has been polled whole once more, with
// nothing new.
func (p *program) quiet(t *testing.T) {
	t.Helper()
	polls := map[string]map[time.Time]bool{}
	p.until(t, "all collections have been polled again", func(st status.Status) bool {
		if !settled(st) {
			return false
		}
		enough := true
		for _, c := range st.Feeds[0].Collections {
			if polls[c.ID] == nil {
				polls[c.ID] = map[time.Time]bool{}
			}
			polls[c.ID][c.LastSuccess] = true
			enough = enough && len(polls[c.ID]) >= 2 // the later one began after the earlier
		}
		return enough
	})
}

// A line is what the file sink writes of a change.
type line struct {
	Action    string
	Indicator struct {
		ID       string
		Modified time.Time
		Name     string
	}
}

func (p *program) lines(t *testing.T) []line {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "out.ndjson"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []line
	for raw := range bytes.Lines(b) {
		if !bytes.HasSuffix(raw, []byte("\n")) {
			break // being written
		}
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatalf("line %d: %v", len(out)+1, err)
		}
		out = append(out, l)
	}
	return out
}

// holds fails the test unless the lines come to exactly the objects of current,
// and withdraw the others.
func (p *program) holds(t *testing.T, lines []line, current, withdrawn []stixObject) {
	t.Helper()
	last := map[string]line{}
	for _, l := range lines {
		last[l.Indicator.ID] = l
	}
	wrong := 0
	check := func(objects []stixObject, action string) {
		for _, o := range objects {
			modified, err := time.Parse(time.RFC3339Nano, o.modified())
			if err != nil {
				t.Fatal(err)
			}
			if l := last[o.id()]; l.Action != action || !l.Indicator.Modified.Equal(modified) {
				if wrong++; wrong <= 5 {
					t.Errorf("%s: got %q of %s, want %q of %s", o.id(), l.Action, l.Indicator.Modified, action, modified)
				}
			}
		}
	}
	check(current, "upsert")
	check(withdrawn, "withdraw")
	if wrong > 0 || len(last) != len(current)+len(withdrawn) {
		t.Errorf("%d of %d indicators are wrong; there are %d", wrong, len(current)+len(withdrawn), len(last))
	}
}

// command runs a command of the program to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
