package main

import (
	"errors"
	"strings"
	"testing"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"plain":                        "plain",
		"  two\nlines \r\n\n":          "two; lines",
		"\x1b[2Jscreen\x07\x00":        "[2Jscreen",
		"a\tb":                         "a b",
		"right\u202eleft\u2028x\u0085": "rightleftx",
		"bad \xff":                     "bad \uFFFD",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestHang(t *testing.T) {
	text := "one two three four five six seven eight nine ten"
	if got := hang(text, 10, 0); got != text {
		t.Errorf("%q", got)
	}
	if got := hang(text, 10, 39); got != text {
		t.Errorf("no room: %q", got)
	}
	got := hang(text, 10, 42)
	for i, line := range strings.Split(got, "\n") {
		if i > 0 && !strings.HasPrefix(line, strings.Repeat(" ", 10)) || len(strings.TrimSpace(line)) > 32 {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if strings.Join(strings.Fields(got), " ") != text {
		t.Errorf("words were lost: %q", got)
	}
}

// TestProgress: a terminal gets a line that is replaced, all else nothing.
func TestProgress(t *testing.T) {
	var b strings.Builder
	p := newProgress(&b)
	p.say("reading")
	p.clear()
	if b.Len() != 0 {
		t.Errorf("a pipe gets %q", &b)
	}
	p = &progress{w: &b, width: 12}
	p.clear()
	p.say("reading %s", "a\nlong name")
	p.say("done")
	p.clear()
	p.clear()
	if want := "\r\x1b[Kreading a;…\r\x1b[Kdone\r\x1b[K"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

type failingWriter struct{ calls int }

func (f *failingWriter) Write([]byte) (int, error) { f.calls++; return 0, errors.New("no room") }

func TestOutputRemembers(t *testing.T) {
	w := &failingWriter{}
	o := &output{w: w}
	o.Write([]byte("x"))
	o.Write([]byte("y"))
	if w.calls != 1 {
		t.Errorf("%d writes after an error", w.calls)
	}
	if err := o.check(nil); err == nil || err.Error() != "write standard output: no room" {
		t.Errorf("%v", err)
	}
	good := &output{w: &strings.Builder{}}
	good.Write([]byte("x"))
	cause := errors.New("cause")
	if good.check(nil) != nil || good.check(cause) != cause {
		t.Error("check invents or hides an error")
	}
}
