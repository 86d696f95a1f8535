package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// badConfigs are mistakes, each in one line of a configuration that is good
// otherwise: what to replace by what, and what is said about it.
var badConfigs = []struct{ name, old, new, want string }{
	{"syntax", `auth "none" {}`, `auth "none" {`, `line \d+: `},
	{"unknown attribute", `poll_interval = "1h"`, `poll_intervall = "1h"`, `line 5: .*poll_intervall`},
	{"unknown block", `http {`, `htpp {`, `line 11: .*htpp`},
	{"unknown sink kind", `sink "file" "out"`, `sink "fiel" "out"`, `line 7: .*"fiel".*`},
	{"bad duration", `poll_interval = "1h"`, `poll_interval = "1 hour"`, `line 5: .*1 hour.*units?|line 5: .*"1 hour"`},
	{"bad URL", `discovery_url = "URL"`, `discovery_url = "taxii.example.com"`, `line 3: discovery_url does not begin with https://`},
	{"bad time stamp", `poll_interval = "1h"`, `start_from = "2026-02-30T00:00:00Z"`, `line 5: .*2026-02-30`},
	{"secret not set", `auth "none" {}`, "auth \"bearer\" {\n token = env(\"NO_SUCH_VARIABLE\")\n }", `line 5: .*NO_SUCH_VARIABLE is not set`},
	{"no credentials directory", `auth "none" {}`, "auth \"bearer\" {\n token = credential(\"key\")\n }", `line 5: .*LoadCredential`},
	{"secret file missing", `auth "none" {}`, "auth \"bearer\" {\n token = file(\"/nowhere/key\")\n }", `line 5: .*/nowhere/key does not exist`},
	{"feed twice", `sink "file" "out"`, "feed \"f\" {\n discovery_url = \"https://taxii.example.com/\"\n auth \"none\" {}\n}\nsink \"file\" \"out\"", `line 7: .*"?f"?`},
	{"no such feed", `# route`, "route \"r\" {\n from = [feed.g]\n to = [sink.file.out]\n}", `line 11: .*feed\.g does not exist.*feed\.f`},
	{"no such sink", `# route`, "route \"r\" {\n from = [feed.f]\n to = [sink.file.uot]\n}", `line 12: .*sink\.file\.uot does not exist.*sink\.file\.out`},
	{"bad filter", `# route`, "route \"r\" {\n from = [feed.f]\n to = [sink.file.out]\n where = indicator.confidence >= \"high\"\n}", `line 13: `},
	{"unknown filter field", `# route`, "route \"r\" {\n from = [feed.f]\n to = [sink.file.out]\n where = indicator.confidense > 5\n}", `line 13: .*confidense`},
	{"bad format", `path = "OUT"`, "path = \"OUT\"\n format = \"xml\"", `line 9: .*"xml".*indicator`},
}

// TestBadConfig: whatever is wrong with a configuration, check and run say it
// in one line with its place, start nothing and make nothing; the running
// forwarder refuses it and goes on.
func TestBadConfig(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 3)
	out := filepath.Join(dir, "out.ndjson")
	sound := strings.NewReplacer("URL", server.URL(), "OUT", filepath.ToSlash(out)).Replace
	text := func(state string) string {
		return fmt.Sprintf("state { dir = %q }\nfeed \"f\" {\n discovery_url = \"URL\"\n auth \"none\" {}\n poll_interval = \"1h\"\n}\n", state) +
			"sink \"file\" \"out\" {\n path = \"OUT\"\n}\n# route\nhttp { listen = \"off\" }\n"
	}
	config := write(t, dir, "forwarder.hcl", "%s", sound(text(filepath.Join(dir, "state"))))
	p := startProgram(t, config)
	p.until("it has polled", func() bool { return len(archived(t, out)) == 3 })
	for i, tt := range badConfigs {
		t.Run(tt.name, func(t *testing.T) {
			bad := func(state string) string {
				text := text(state)
				if !strings.Contains(text, tt.old) {
					t.Fatalf("%q is not in the configuration", tt.old)
				}
				return sound(strings.Replace(text, tt.old, tt.new, 1))
			}
			state := filepath.Join(dir, fmt.Sprintf("never%d", i))
			path := write(t, dir, "bad.hcl", "%s", bad(state))
			want := `bad\.hcl: \d+ errors?(?: and \d+ warnings?)?(?: in it|; the first is): ` + tt.want
			checked := call(t, "check", "--config", path)
			checked.one(t, exitError, "^taxii-forwarder check: .*"+want)
			if checked.stdout != "" || !regexp.MustCompile(`(?m)^  \S*bad\.hcl:\d+`).MatchString(checked.stderr) {
				t.Errorf("check prints:\n%s\n%s", checked.stdout, checked.stderr)
			}
			call(t, "run", "--allow-root", "--config", path).one(t, exitError, "^taxii-forwarder run: .*"+want)
			if _, err := os.Stat(state); err == nil {
				t.Error("a state directory was made")
			}
			first, _, _ := strings.Cut(call(t, "check", "--json", "--config", path).stdout, "\n")
			var d diagnosis
			if err := json.Unmarshal([]byte(first), &d); err != nil || d.OK || d.Line == 0 || d.Summary == "" {
				t.Errorf("check --json prints %s: %v", first, err)
			}

			// The running one: the file is spoilt under it.
			replaceFile(t, config, bad(filepath.Join(dir, "state")))
			reloaded := call(t, "reload", "--config", config)
			reloaded.one(t, exitError, "^taxii-forwarder reload: .*"+strings.Replace(want, "bad", "forwarder", 1))
			if !regexp.MustCompile(`(?m)^error: .*\n  \S*forwarder\.hcl:\d+`).MatchString(reloaded.stderr) {
				t.Errorf("reload does not show the whole report:\n%s", reloaded.stderr)
			}
			s := ask(t, dir)
			if !s.Running || s.Config.LastReloadOK || !regexp.MustCompile(tt.want).MatchString(s.Config.Error) {
				t.Errorf("after a refused reload: running %v, %+v", s.Running, s.Config)
			}
			// It can be looked at all the same, though the file is no good.
			if r := call(t, "status", "--config", config); r.code != exitOK || !strings.Contains(r.stdout, "the last reload was refused") {
				t.Errorf("status ends with %d:\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
	replaceFile(t, config, sound(text(filepath.Join(dir, "state"))))
	if r := call(t, "reload", "--config", config); r.code != exitOK || r.stdout != "configuration reloaded\n" {
		t.Errorf("reload: %s%s", r.stdout, r.stderr)
	}
	if s := ask(t, dir); !s.Config.LastReloadOK || s.Config.Error != "" {
		t.Errorf("after a good reload: %+v", s.Config)
	}
}

// TestNoConfig: files that are no configuration at all.
func TestNoConfig(t *testing.T) {
	dir := t.TempDir()
	big := write(t, dir, "big.hcl", "%s", strings.Repeat("# nothing\n", 1<<18))
	tests := []struct{ path, want string }{
		{filepath.Join(dir, "nowhere.hcl"), `nowhere\.hcl: 1 error in it: the configuration file does not exist: name it with --config`},
		{dir, `this is a directory: name the configuration file in it`},
		{big, `big\.hcl: 1 error in it: the file is larger than \d+ bytes`},
		{write(t, dir, "empty.hcl", ""), `empty\.hcl: \d+ errors?`},
		{write(t, dir, "binary.hcl", "\x00\x01\x02\xff\xfe"), `binary\.hcl: \d+ errors?`},
		{write(t, dir, "deep.hcl", "x = %s", strings.Repeat("[", 100000)), `deep\.hcl: 1 error in it: line 1: nested more than 100 deep`},
		{write(t, dir, "deepdir.hcl", "state { dir = %s }", strings.Repeat("!", 100000)), `deepdir\.hcl: 1 error in it: line 1: nested more than 100 deep`},
	}
	for _, tt := range tests {
		for _, command := range []string{"run --allow-root", "check", "preview"} {
			args := strings.Fields(command)
			call(t, append(args, "--config", tt.path)...).one(t, exitError, "^taxii-forwarder "+args[0]+": .*"+tt.want)
		}
	}
	for _, path := range []string{tests[0].path, dir, filepath.Join(dir, "deepdir.hcl")} {
		call(t, "status", "--config", path).one(t, exitError, "^taxii-forwarder status: .*error in it")
	}
}

// TestBadTimes: points in time on the command line.
func TestBadTimes(t *testing.T) {
	for _, since := range []string{"yesterday", "2026-02-30T00:00:00Z", "2026-01-01", "-5h", "5"} {
		call(t, "replay", "--sink", "out", "--since", since, "--config", "nowhere").one(t, exitUsage,
			fmt.Sprintf("^taxii-forwarder replay: %q is neither a time such as 2026-01-31T00:00:00Z nor a duration such as 12h$", since))
	}
}
