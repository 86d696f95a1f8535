package status

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// table is rows under titled columns, with notes under rows.
type table struct {
	columns []column
	rows    []row
}

type column struct {
	title  string
	right  bool // aligned right
	shrink bool // its text may be cut
	drop   int  // order of leaving out when there is no room: 1 goes last; 0 = never
}

type row struct {
	color string // of the STATE cell
	cells []string
	notes []note
}

type note struct {
	failure Failure
	color   string
	text    string
}

func (t *table) add(color string, cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	t.rows = append(t.rows, row{color: color, cells: cells})
}

// note puts a failure under the last row.
func (t *table) note(f Failure) {
	if f.Error != "" {
		t.put(note{failure: f})
	}
}

// warn puts a warning under the last row, remark a mere remark.
func (t *table) warn(text string)   { t.put(note{color: yellow, text: clean(text)}) }
func (t *table) remark(text string) { t.put(note{color: dim, text: clean(text)}) }

func (t *table) put(n note) {
	if len(t.rows) > 0 {
		last := &t.rows[len(t.rows)-1]
		last.notes = append(last.notes, n)
	}
}

const (
	gap       = 2
	minShrink = 8
)

// fit returns the columns that fit into width, by index, and their widths.
func (t *table) fit(width int) (shown []int, widths []int) {
	widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		shown = append(shown, i)
		widths[i] = utf8.RuneCountInString(c.title)
		for _, r := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r.cells[i]))
		}
	}
	if width <= 0 {
		return shown, widths
	}
	excess := func() int {
		total := -gap
		for _, i := range shown {
			total += widths[i] + gap
		}
		return total - width
	}
	// First long texts are cut, but stay readable; then columns go.
	shrink := func(least int) {
		for _, i := range shown {
			if over := excess(); t.columns[i].shrink && over > 0 {
				widths[i] = max(widths[i]-over, min(widths[i], least))
			}
		}
	}
	shrink(24)
	for excess() > 0 {
		victim := -1
		for at, i := range shown {
			if d := t.columns[i].drop; d > 0 && (victim < 0 || d > t.columns[shown[victim]].drop) {
				victim = at
			}
		}
		if victim < 0 {
			break
		}
		shown = slices.Delete(shown, victim, victim+1)
	}
	shrink(minShrink)
	return shown, widths
}

// table writes t after an empty line.
func (p *printer) table(t *table, now time.Time) {
	shown, widths := t.fit(p.width)
	p.out.WriteByte('\n')
	var titles []string
	for _, c := range t.columns {
		titles = append(titles, c.title)
	}
	p.row(t, shown, widths, titles, func(int) string { return bold })
	for _, r := range t.rows {
		p.row(t, shown, widths, r.cells, func(i int) string {
			if t.columns[i].title == "STATE" {
				return r.color
			}
			return ""
		})
		for _, n := range r.notes {
			if n.failure.Error == "" {
				p.wrapped("    ", n.color, n.text)
				continue
			}
			f := n.failure
			if !f.FailingSince.IsZero() {
				f.Error += "; failing for " + Span(now.Sub(f.FailingSince))
			}
			if f.RetryAt.After(now) {
				f.Error += "; next try " + Ago(f.RetryAt, now)
			}
			p.trouble("    ", f)
		}
	}
}

func (p *printer) row(t *table, shown, widths []int, cells []string, color func(column int) string) {
	var line strings.Builder
	for at, i := range shown {
		text := cut(cells[i], widths[i])
		pad := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(text), 0))
		if at > 0 {
			line.WriteString(strings.Repeat(" ", gap))
		}
		if t.columns[i].right {
			line.WriteString(pad + p.paint(color(i), text))
		} else {
			line.WriteString(p.paint(color(i), text))
			if at < len(shown)-1 {
				line.WriteString(pad)
			}
		}
	}
	p.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}
