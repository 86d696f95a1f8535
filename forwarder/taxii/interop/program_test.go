//go:build interop

package interop

import (
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
