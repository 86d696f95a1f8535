package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// output is standard output. It remembers the first error, so that a command
// whose result did not arrive, on a full disk say, does not end as if it had.
type output struct {
	w io.Writer

	mu  sync.Mutex
	err error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

// check returns err, or else why standard output could not be written.
func (o *output) check(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		return err
	}
	return fmt.Errorf("write standard output: %w", o.err)
}

// terminal reports whether w is a terminal, and its width in columns.
func terminal(w io.Writer) (width int, ok bool) {
	if o, wrapped := w.(*output); wrapped {
		w = o.w
	}
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// colour reports whether output to w may use colour (https://no-color.org).
func colour(w io.Writer) bool {
	_, ok := terminal(w)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint wraps text in an ANSI colour where on is set.
func paint(on bool, code, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Colours of [paint].
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// progress is a line on a terminal that says what is being waited for. On
// anything else it writes nothing.
type progress struct {
	w     io.Writer
	width int
	shown bool
}

func newProgress(w io.Writer) *progress {
	width, _ := terminal(w)
	return &progress{w: w, width: width}
}

// say replaces the line.
func (p *progress) say(format string, args ...any) {
	if p.width == 0 {
		return
	}
	text := []rune(oneLine(fmt.Sprintf(format, args...)))
	if len(text) >= p.width {
		text = append(text[:max(p.width-2, 0)], '…')
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", string(text))
	p.shown = true
}

// clear removes the line, so that something else can be printed.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// oneLine makes text that came from a server or a file fit to be printed: its
// lines are joined, and what could move a terminal's cursor or forge a line is
// taken out.
func oneLine(s string) string {
	clean := func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(s, "\uFFFD")) {
		if line = strings.TrimSpace(strings.Map(clean, line)); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// hang breaks text into lines of width columns, of which all but the first are
// indented; where there is no room for that, and with width 0, it stays one line.
func hang(text string, indent, width int) string {
	room := width - indent
	if room < 30 {
		return text
	}
	var b strings.Builder
	col := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case col == 0:
		case col+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	return b.String()
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
