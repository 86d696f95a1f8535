package main

import (
	"path/filepath"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestExitStatus: the numbers that help lists.
func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	server, _ := serve(t, taxiitest.Options{}, 0, 1)
	config := plainConfig(t, dir, server.URL(), filepath.Join(dir, "out.ndjson"))
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"status", "--config", config}, exitNotRunning, `^taxii-forwarder status: no state in .*state yet: the forwarder has not run with this configuration`},
		{[]string{"status", "--json", "--config", config}, exitNotRunning, `no state in`},
		{[]string{"reload", "--config", config}, exitNotRunning, `^taxii-forwarder reload: no forwarder is running on this state directory: .*state$`},
		{[]string{"replay", "--sink", "out", "--config", config}, exitError, `no state in`},
		{[]string{"dead-letters", "list", "--config", config}, exitError, `no state in`},
		{[]string{"discover", "http://127.0.0.1:1/"}, exitError, `nothing listens there; check host and port`},
		{[]string{"frobnicate"}, exitUsage, `unknown command "frobnicate"`},
		{[]string{"status", "--no-such-flag"}, exitUsage, `'taxii-forwarder help status' shows what it takes`},
		{[]string{"explain"}, exitUsage, `want one pattern`},
		{[]string{"explain", "--json-input", "-"}, exitOK, ``}, // no input, no output
		{[]string{"preview", "--limit", "0", "--config", config}, exitUsage, `--limit wants a number above 0`},
		{[]string{"preview", "--sink", "nobody", "--config", config}, exitError, `no route leads to sink "nobody"`},
	}
	for _, tt := range tests {
		r := call(t, tt.args...)
		if tt.code == exitOK {
			if r != (result{}) {
				t.Errorf("%v: %+v", tt.args, r)
			}
			continue
		}
		r.one(t, tt.code, tt.want)
		if r.stdout != "" {
			t.Errorf("%v prints %s", tt.args, r.stdout)
		}
	}
	help := call(t, "help").stdout
	for _, want := range []string{"exit status:", "  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  130 "} {
		if !strings.Contains(help, want) {
			t.Errorf("help does not tell of %q", want)
		}
	}
	for _, c := range commands() {
		if r := call(t, "help", c.name); r.code != exitOK || !strings.HasPrefix(r.stdout, "usage: taxii-forwarder "+c.name) || r.stderr != "" {
			t.Errorf("help %s: %+v", c.name, r)
		}
	}
}

// TestDiscoverTables: what a server names its things can neither move the
// cursor nor break a table; roots that fail do not hide those that do not.
func TestDiscoverTables(t *testing.T) {
	s := taxiitest.New(taxiitest.Options{})
	t.Cleanup(s.Close)
	s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001", Title: "evil\x1b[2J\ttitle\r\nwith \u202e lines"})
	s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000002", Alias: "täglich", Title: "Tägliche Indikatoren", NoRead: true})
	s.AddRoot("/other/", "other")
	s.Inject(taxiitest.Fault{Match: "/other/", Status: 403, Body: "not \x1b[31m yours", Times: -1})
	r := call(t, "discover", s.URL())
	if r.code != exitOK || strings.ContainsAny(r.stdout, "\x1b\r\t\u202e") {
		t.Errorf("%d: %q\n%s", r.code, r.stdout, r.stderr)
	}
	var table []string
	for _, l := range strings.Split(r.stdout, "\n") {
		if strings.HasPrefix(l, "  ID") || strings.HasPrefix(l, "  c0de") {
			table = append(table, l)
		}
	}
	if len(table) != 3 {
		t.Fatalf("%q", table)
	}
	at := func(line, what string) int { return len([]rune(line[:strings.Index(line, what)])) }
	if at(table[0], "READ") != at(table[1], "yes") || at(table[0], "READ") != at(table[2], "no ") || at(table[0], "TITLE") != at(table[2], "Tägliche") || at(table[0], "TITLE") != at(table[1], "evil") {
		t.Errorf("the columns are not aligned:\n%s", strings.Join(table, "\n"))
	}
	for _, want := range []string{"other/", "can not be read: GET http://", "403", "2 API roots, 2 collections, 1 readable"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("does not say %q:\n%s", want, r.stdout)
		}
	}
	s.Inject(taxiitest.Fault{Match: "/api/", Status: 403, Times: -1})
	r = call(t, "discover", s.URL())
	r.one(t, exitError, "none of the 2 API roots can be read with these credentials")
}
