package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// completions are what a shell offers for a line, in a directory that holds the
// file feed.hcl and the directory feeds.
var completions = []struct {
	line string
	want []string
}{
	{"taxii-forwarder de", []string{"dead-letters", "demo"}},
	{"taxii-forwarder help ex", []string{"explain"}},
	{"taxii-forwarder dead-letters ", []string{"drop", "list", "retry", "show"}},
	{"taxii-forwarder dead-letters --sink soc sh", []string{"show"}},
	{"taxii-forwarder dead-letters show dr", nil}, // one verb is enough
	{"taxii-forwarder service st", []string{"start", "status", "stop"}},
	{"taxii-forwarder service status --w", nil}, // a flag of the command status
	{"taxii-forwarder status --w", []string{"--watch"}},
	{"taxii-forwarder run --c", []string{"--config"}},
	{"taxii-forwarder run --config fe", []string{"feed.hcl", "feeds"}},
	{"taxii-forwarder run --config=fe", []string{"feed.hcl", "feeds"}},
	{"taxii-forwarder demo --dir fe", []string{"feeds"}},
	{"taxii-forwarder replay --sink ", nil},
	{"taxii-forwarder state ", []string{"backup", "check", "prune"}},
	{"taxii-forwarder state backup fe", []string{"feed.hcl", "feeds"}},
	{"taxii-forwarder state prune fe", nil},
	{"taxii-forwarder completion z", []string{"zsh"}},
}

// TestCompletionInShells asks the shells themselves.
func TestCompletionInShells(t *testing.T) {
	for shell, driver := range map[string]string{"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish"} {
		t.Run(shell, func(t *testing.T) {
			interpreter := tool(t, shell)
			driver, err := filepath.Abs(filepath.Join("testdata/completion", driver))
			if err != nil {
				t.Fatal(err)
			}
			dir, scripts := t.TempDir(), t.TempDir()
			write(t, dir, "feed.hcl", "")
			if err := os.Mkdir(filepath.Join(dir, "feeds"), 0o700); err != nil {
				t.Fatal(err)
			}
			// Autoloaded by zsh under this name.
			script := write(t, scripts, "_taxii-forwarder", "%s", script(t, shell))
			if shell == "zsh" {
				script = scripts
			}
			var lines strings.Builder
			for _, c := range completions {
				lines.WriteString(c.line + "\n")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var log bytes.Buffer
			cmd := exec.CommandContext(ctx, interpreter, driver, script, t.TempDir())
			cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(lines.String()), &log
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+scripts, "XDG_DATA_HOME="+scripts, "TERM=xterm")
			out, err := cmd.Output()
			if err != nil || log.Len() > 0 {
				t.Fatalf("%v\n%s", err, &log)
			}
			answers := regexp.MustCompile(`(?m)^\.\n`).Split(string(out), -1)
			if len(answers) != len(completions)+1 {
				t.Fatalf("%d answers to %d lines:\n%s", len(answers)-1, len(completions), out)
			}
			for i, c := range completions {
				if got := offers(answers[i]); !slices.Equal(got, c.want) {
					t.Errorf("%q offers %q, want %q", c.line, got, c.want)
				}
			}
		})
	}
}

// offers reads a shell's answer. Fish adds a description after a tab, some end
// directories with a slash, and some repeat the flag before an equals sign.
func offers(answer string) []string {
	var list []string
	for line := range strings.Lines(answer) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		word = strings.TrimPrefix(strings.TrimSuffix(word, "/"), "--config=")
		if word != "" {
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func script(t *testing.T, shell string) string {
	t.Helper()
	var b bytes.Buffer
	if code := run([]string{"completion", shell}, strings.NewReader(""), &b, os.Stderr); code != exitOK {
		t.Fatalf("completion %s: exit status %d", shell, code)
	}
	return b.String()
}

// TestCompletionPowerShell checks the script's form: its brackets are balanced
// outside of strings and comments, and every command is there with its flags.
func TestCompletionPowerShell(t *testing.T) {
	text := script(t, "powershell")
	code := regexp.MustCompile(`'(?:[^'\n]|'')*'|(?m:#.*$)`).ReplaceAllString(text, "")
	if strings.Contains(code, "'") {
		t.Error("a string is not closed")
	}
	closes := map[rune]rune{')': '(', ']': '[', '}': '{'}
	var open []rune
	for _, r := range code {
		switch r {
		case '(', '[', '{':
			open = append(open, r)
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				t.Fatalf("unbalanced %q", r)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%q is not closed", open)
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^        '([a-z-]+)' = @\{\n(.*?)^        \}$`).FindAllStringSubmatch(text, -1) {
		blocks[m[1]] = m[2]
	}
	for _, s := range subjects() {
		block := blocks[s.name]
		if !strings.Contains(block, strings.ReplaceAll(s.short, "'", "''")) {
			t.Errorf("%s: no description:\n%s", s.name, block)
		}
		for _, v := range s.verbs {
			if !strings.Contains(block, "'"+v+"'") {
				t.Errorf("%s lacks %s", s.name, v)
			}
		}
		for _, f := range s.flags {
			if !strings.Contains(block, "'--"+f.name+"' = '"+strings.ReplaceAll(f.usage, "'", "''")+"'") {
				t.Errorf("%s lacks --%s", s.name, f.name)
			}
		}
	}
}

// TestVerbs: the verbs that completions offer are those that the commands take
// and their help tells of.
func TestVerbs(t *testing.T) {
	config := plainConfig(t, t.TempDir(), "http://127.0.0.1:1/", filepath.Join(t.TempDir(), "out.ndjson"))
	for _, c := range commands() {
		if len(c.verbs) == 0 {
			continue
		}
		for _, v := range c.verbs {
			if !strings.Contains(c.long, v.name) || !strings.Contains(c.args, v.name) {
				t.Errorf("help of %s does not tell of %s", c.name, v.name)
			}
		}
		args := []string{c.name, "no-such-verb"}
		if c != completionCommand {
			args = append(args, "--config", config)
		}
		r := call(t, args...)
		if r.code != exitUsage {
			t.Errorf("%s takes no-such-verb: %+v", c.name, r)
		}
		for _, v := range c.verbNames() {
			if !strings.Contains(r.stderr, v) {
				t.Errorf("%s does not take %s: %s", c.name, v, r.stderr)
			}
		}
	}
	call(t, "completion").one(t, exitUsage, "want one shell: bash, zsh, fish or powershell")
	call(t, "man", "surplus").one(t, exitUsage, `unexpected argument "surplus"`)
}
