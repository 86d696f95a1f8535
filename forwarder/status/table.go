package status

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// WriteTable writes s for a reader: what runs, one row per collection, one per
// route, and under each what is wrong with it. Lines are kept within width
// columns by leaving out what matters least; 0 = as wide as needed. With color,
// states are coloured by ANSI escapes. What servers and files say is written
// without control characters.
func WriteTable(w io.Writer, s Status, width int, color bool) error {
	p := &printer{width: width, color: color}
	p.head(&s)
	p.feeds(&s)
	p.routes(&s)
	_, err := io.WriteString(w, p.out.String())
	return err
}

type printer struct {
	out   strings.Builder
	width int
	color bool
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	dim    = "2"
)

// paint wraps text in an ANSI colour.
func (p *printer) paint(code, text string) string {
	if !p.color || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) head(s *Status) {
	running := p.paint(green, "running for "+Span(time.Duration(s.Uptime)*time.Second))
	if !s.Running {
		running = p.paint(yellow, "not running")
	} else if s.PID > 0 {
		running += " (pid " + strconv.Itoa(s.PID) + ")"
	}
	p.line(p.paint(bold, clean(strings.TrimSpace("taxii-forwarder "+s.Version))) + "  " + running)
	state := Bytes(s.State.Bytes)
	if s.State.Path != "" {
		state += " in " + clean(s.State.Path)
	}
	p.line("state    " + state)
	p.trouble("         ", Failure{Error: s.State.Error})
	if s.Config.Path != "" {
		text := clean(s.Config.Path)
		if !s.Config.LoadedAt.IsZero() {
			text += ", loaded " + Ago(s.Config.LoadedAt, s.Time)
		}
		p.line("config   " + text)
	}
	for _, loop := range s.Stalled {
		p.trouble("         ", Failure{Error: "stuck: " + loop})
	}
	if s.Config.Error != "" {
		p.trouble("         ", Failure{Error: "the last reload was refused: " + s.Config.Error})
	}
}

func (p *printer) feeds(s *Status) {
	if len(s.Feeds) == 0 {
		return
	}
	t := table{columns: []column{
		{title: "FEED"}, {title: "COLLECTION", shrink: true}, {title: "STATE"},
		{title: "ADDED AFTER", drop: 3}, {title: "LAG", right: true}, {title: "LAST POLL", drop: 2},
		{title: "NEXT", drop: 4}, {title: "RECEIVED", right: true, drop: 1}, {title: "CURRENT", right: true},
	}}
	for i := range s.Feeds {
		f := &s.Feeds[i]
		name, current := f.Name, Count(f.Current)
		if len(f.Collections) == 0 {
			t.add(state(f.State), name, "-", string(f.State), "-", "-", Ago(f.LastPoll, s.Time), soon(f.NextPoll, s.Time), "-", current)
		}
		shown := f.Error == ""
		for j := range f.Collections {
			c := &f.Collections[j]
			t.add(state(c.State), name, c.label(), string(c.State), stamp(c.AddedAfter), Lag(c.LagSeconds),
				Ago(c.LastPoll, s.Time), soon(c.NextPoll, s.Time), Count(c.Objects), current)
			t.note(c.Failure)
			shown = shown || c.Error == f.Error
			for _, warning := range c.Warnings {
				t.warn(warning)
			}
			name, current = "", ""
		}
		if !shown {
			t.note(f.Failure)
		}
	}
	p.table(&t, s.Time)
}

func (p *printer) routes(s *Status) {
	if len(s.Routes) == 0 {
		return
	}
	t := table{columns: []column{
		{title: "FEED"}, {title: "SINK", shrink: true}, {title: "STATE"}, {title: "PENDING", right: true},
		{title: "DELIVERED", right: true}, {title: "SKIPPED", right: true, drop: 2},
		{title: "DEAD LETTERS", right: true, drop: 1}, {title: "LAST SUCCESS", drop: 3},
	}}
	for i := range s.Routes {
		r := &s.Routes[i]
		t.add(state(r.State), r.Feed, r.Sink, string(r.State), Count(r.Pending), Count(r.Delivered),
			Count(r.Skips()), Count(r.DeadLetters), Ago(r.LastSuccess, s.Time))
		t.note(r.Failure)
		if len(r.Skipped) > 0 {
			var parts []string
			for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
				parts = append(parts, reason+" "+Count(r.Skipped[reason]))
			}
			t.remark("skipped: " + strings.Join(parts, ", "))
		}
	}
	p.table(&t, s.Time)
}

// label is what an admin knows a collection by.
func (c *Collection) label() string {
	switch {
	case c.Title != "":
		return c.Title
	case c.Alias != "":
		return c.Alias
	}
	return c.ID
}

func state(s State) string {
	switch s {
	case StateFailing:
		return red
	case StateStarting, StateStopped:
		return yellow
	}
	return green
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func soon(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case !t.After(now):
		return "now"
	}
	return Ago(t, now)
}

// line writes one line, cut to the width unless it is coloured.
func (p *printer) line(s string) {
	if !strings.Contains(s, "\x1b") {
		s = cut(s, p.width)
	}
	p.out.WriteString(strings.TrimRight(s, " "))
	p.out.WriteByte('\n')
}

// trouble writes a failure under what it belongs to, wrapped to the width.
func (p *printer) trouble(indent string, f Failure) {
	if f.Error == "" {
		return
	}
	text := clean(f.Error)
	if f.FailureKind != "" {
		text = string(f.FailureKind) + ": " + text
	}
	p.wrapped(indent, red, text)
}

// wrapped writes text in lines that fit, broken at spaces where possible.
func (p *printer) wrapped(indent, color, text string) {
	room := p.width - len(indent)
	for text != "" {
		part := text
		if p.width > 0 && utf8.RuneCountInString(text) > max(room, 20) {
			part = cut(text, max(room, 20)+1)
			part = part[:len(part)-len("…")]
			if i := strings.LastIndexByte(part, ' '); i > 0 {
				part = part[:i]
			}
		}
		p.out.WriteString(indent + p.paint(color, part) + "\n")
		text = strings.TrimLeft(text[len(part):], " ")
	}
}

// cut shortens s to n runes, the last an ellipsis; n 0 = no limit.
func cut(s string, n int) string {
	if n <= 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}
