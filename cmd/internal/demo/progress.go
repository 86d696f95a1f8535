package demo

import (
	"fmt"
	"io"
	"strings"

	"taxii-forwarder/forwarder/status"
)

// progress draws one line over and over on a terminal; elsewhere it writes one
// line per stage of the demo.
type progress struct {
	out  io.Writer
	draw bool
	what string
}

const barWidth = 30

func (p *progress) show(what string, f status.Feed, routes []status.Route) {
	if !p.draw {
		if p.what != what {
			fmt.Fprintf(p.out, "%s ...\n", what)
		}
		p.what = what
		return
	}
	if p.what != "" && p.what != what {
		fmt.Fprintln(p.out)
	}
	p.what = what
	total, done := int64(0), int64(0)
	for _, r := range routes {
		total += f.Indicators
		done += f.Indicators - min(r.Pending, f.Indicators)
	}
	filled := 0
	if total > 0 {
		filled = int(done * barWidth / total)
	}
	fmt.Fprintf(p.out, "\r%-32s %s%s %6d indicators", what, strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled), f.Indicators)
}

func (p *progress) done() {
	if p.draw && p.what != "" {
		fmt.Fprintln(p.out)
	}
}
