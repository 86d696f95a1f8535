package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// wantTools makes the tests of completions and the manual fail instead of
// skipping themselves where a shell or a formatter is not installed.
const wantTools = "TAXII_FORWARDER_TEST_TOOLS"

// tool finds a program that a test needs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv(wantTools) != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

func page(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	manual(&b, time.Date(2026, 3, 9, 23, 0, 0, 0, time.UTC))
	file := filepath.Join(t.TempDir(), "taxii-forwarder.1")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestManualIsWellFormed: no formatter has anything to say against it.
func TestManualIsWellFormed(t *testing.T) {
	t.Run("mandoc", func(t *testing.T) {
		out, _ := exec.Command(tool(t, "mandoc"), "-T", "lint", page(t)).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// What other manuals are installed says nothing of this one.
			if !strings.Contains(line, "referenced manual not found") && !strings.Contains(line, "outdated mandoc.db") {
				t.Error(line)
			}
		}
	})
	t.Run("groff", func(t *testing.T) {
		out, err := exec.Command(tool(t, "groff"), "-mdoc", "-Tutf8", "-Kutf8", "-ww", "-z", page(t)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestManualIsComplete reads the page as a reader sees it.
func TestManualIsComplete(t *testing.T) {
	out, err := exec.Command(tool(t, "mandoc"), "-T", "ascii", "-O", "width=400", page(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	// Bold is a character over itself, underlined one over a line.
	text := plain(string(out))
	for _, want := range []string{"March 9, 2026", "EXIT STATUS", "SIGHUP", "/etc/taxii-forwarder/config.hcl", "CREDENTIALS_DIRECTORY", "EXAMPLES"} {
		if !strings.Contains(text, want) {
			t.Errorf("the manual lacks %q", want)
		}
	}
	for _, x := range exitStatuses {
		if !regexp.MustCompile(fmt.Sprintf(`(?mi)^ +%d +%s\.$`, x.code, regexp.QuoteMeta(x.meaning))).MatchString(text) {
			t.Errorf("the manual lacks exit status %d", x.code)
		}
	}
	for _, c := range commands() {
		if !strings.Contains(text, "\n     "+c.name) {
			t.Errorf("the manual lacks the command %s", c.name)
		}
		// The help is there in its own words, wherever its lines are broken.
		words := func(s string) string {
			return strings.Join(strings.Fields(strings.ReplaceAll(s, "…", "...")), " ")
		}
		for paragraph := range strings.SplitSeq(c.long, "\n\n") {
			if !strings.Contains(words(text), words(paragraph)) {
				t.Errorf("the manual lacks what help says of %s:\n%s", c.name, paragraph)
			}
		}
		for _, f := range c.flagList() {
			if !strings.Contains(text, "--"+f.name) || f.usage == "" {
				t.Errorf("the manual does not explain --%s of %s", f.name, c.name)
			}
		}
	}
}

// plain removes overstrikes, which stand for bold and underlined.
func plain(s string) string {
	var out []rune
	for _, r := range s {
		if r == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}
