//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
)

// patience is how long the program may take for anything.
const patience = 2 * time.Minute

// binary is the program, built from this tree by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "interop")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "taxii-forwarder")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		build := exec.Command("go", "build", "-o", binary, "taxii-forwarder/cmd/taxii-forwarder")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "go build:", err)
			return 1
		}
		return m.Run()
	}())
}

func TestMedallionProgram(t *testing.T) {
	t.Parallel()
	s := startMedallion(t, 10*time.Minute)
	want := append(indicators(largeFeed()), indicators(smallFeed())...)
	for _, o := range oddServed() {
		if o["type"] == "indicator" {
			want = append(want, o)
		}
	}
	s.program(t, want)
}

func TestOpenTAXIIProgram(t *testing.T) {
	t.Parallel()
	s := startOpenTAXII(t)
	want := slices.Concat(indicators(largeFeed()), indicators(smallFeed()), indicators(wholeFeed()),
		indicators(feed(spaceOther, 10, epoch, time.Second, 1)), indicators(feed(spaceOdd, 10, epoch, time.Second, 1)))
	s.program(t, want)
}

// program has the whole forwarder follow everything that the server has, into
// a file, through changes and a restart.
func (s target) program(t *testing.T, want []stixObject) {
	dir := t.TempDir()
	p := &program{dir: dir, config: s.configure(t, dir, reader, "discovery_url", s.origin+"/taxii2/", "*")}
	p.start(t)
	p.until(t, "everything is delivered", func(st status.Status) bool { return settled(st) && len(p.lines(t)) >= len(want) })
	lines := p.lines(t)
	p.holds(t, lines, want, nil)
	if len(lines) != len(want) {
		t.Errorf("%d lines for %d indicators", len(lines), len(want))
	}

	// What has not changed is not sent again.
	p.quiet(t)
	if n := len(p.lines(t)); n != len(lines) {
		t.Errorf("polls of unchanged collections added %d lines", n-len(lines))
	}

	added := posted(3)
	newer := want[0].with(stixObject{"modified": text(time.Now()), "name": "changed"})
	revoked := want[1].with(stixObject{"modified": text(time.Now()), "revoked": true})
	s.post(t, s.root, s.small, append(slices.Clone(added), newer, revoked)...)
	p.until(t, "the changes are delivered", func(st status.Status) bool { return settled(st) && len(p.lines(t)) >= len(lines)+5 })
	want = slices.Concat(added, []stixObject{newer}, want[2:])
	p.quiet(t)
	changed := p.lines(t)
	p.holds(t, changed, want, []stixObject{revoked})
	if got := len(changed) - len(lines); got != 5 {
		t.Errorf("5 changes caused %d lines", got)
	}

	p.stop(t)
	p.start(t)
	p.quiet(t)
	if n := len(p.lines(t)); n != len(changed) {
		t.Errorf("a restart added %d lines", n-len(changed))
	}
	p.stop(t)
	if t.Failed() {
		t.Logf("the end of the program's log:\n%s", p.log)
	}
	t.Run("commands", s.commands)
}

// commands asks the commands for verdicts on good and bad configurations.
func (s target) commands(t *testing.T) {
	wrong := reader
	wrong.Password = "it is wrong"
	nowhere := s.origin + "/taxii2/00000000-0000-4000-8000-000000000000/"
	for _, c := range []struct {
		name                     string
		as                       account
		attribute, url, selected string
		ok                       bool
		says                     []string
	}{
		{"right", reader, "api_root_url", s.root, "Small", true, []string{"follows 1 of the"}},
		{"wrong password", wrong, "discovery_url", s.origin + "/taxii2/", "*", false, []string{"401", "auth block"}},
		{"unknown root", reader, "api_root_url", nowhere, "*", false, []string{"404", "no such API root"}},
		{"unknown collection", reader, "discovery_url", s.origin + "/taxii2/", "Smal", false, []string{`there is no collection "Smal"; there are `, "Small"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := s.configure(t, t.TempDir(), c.as, c.attribute, c.url, c.selected)
			stdout, stderr, err := command(t, "check", "--online", "--config", config)
			if (err == nil) != c.ok {
				t.Errorf("check: %v\n%s%s", err, stdout, stderr)
			}
			for _, text := range c.says {
				if !strings.Contains(stdout, text) {
					t.Errorf("check does not say %q:\n%s%s", text, stdout, stderr)
				}
			}
			if strings.Contains(stdout+stderr, c.as.Password) {
				t.Error("check says the password")
			}
		})
	}
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(reader.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := command(t, "discover", s.origin, "--user", reader.Username, "--password-file", secret)
	for _, text := range []string{s.large, "Large", s.small, "Small", s.root, s.bulk} {
		if err != nil || !strings.Contains(stdout, text) {
			t.Fatalf("discover does not list %q: %v\n%s%s", text, err, stdout, stderr)
		}
	}
}

// configure writes a configuration with a feed and a file sink into dir.
func (s target) configure(t *testing.T, dir string, a account, attribute, url, collections string) string {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("config.hcl", fmt.Sprintf(`
log   { level = "debug" }
state { dir = %q }
http  { listen = "off" }
feed "interop" {
  %s = %q
  auth "basic" {
    username = %q
    password = file(%q)
  }
  collections   = [%q]
  poll_interval = "3s"
  overlap       = "10s"
  page_size     = %d
}
sink "file" "out" {
  path = %q
}
`, filepath.Join(dir, "state"), attribute, url, a.Username, write("password", a.Password+"\n"), collections, pageSize, filepath.Join(dir, "out.ndjson")))
}

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
	cmd := exec.Command(binary, "run", "--config", p.config)
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
