package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/config"
)

var checkCommand = &command{
	name: "check", args: "--config FILE [--online] [--json]", short: "validate the configuration; --online also tries every feed and sink",
	long: `Validates the configuration and prints all that is wrong with it at once. With
--online it also logs in to every feed, reads an object of each collection that
it follows, tries every sink, and prints a verdict for each; nothing is left
behind in a destination.

With --json it prints an object a line: {"what": "config", …} for each error and
warning and for the whole, {"what": "feed" or "sink", …} for each verdict.
Everything is well when each has "ok": true; the exit status is then 0.`,
}

func init() {
	checkCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := checkCommand.flags()
		path := configFlag(fs)
		online := fs.Bool("online", false, "log in to every feed and sink")
		asJSON := fs.Bool("json", false, "print JSON, an object a line")
		operands, err := checkCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		out := json.NewEncoder(e.stdout)
		out.SetEscapeHTML(false)
		cfg, report := app.Load(*path)
		if *asJSON {
			for _, d := range report.Diagnostics {
				out.Encode(newDiagnosis(d))
			}
		} else {
			printReport(e, report)
		}
		if report.HasErrors() {
			return fmt.Errorf("%s: %s", *path, report.Summary())
		}
		if *asJSON {
			out.Encode(map[string]any{"what": "config", "name": *path, "ok": true, "feeds": len(cfg.Feeds), "sinks": len(cfg.Sinks), "routes": len(cfg.Routes)})
		} else {
			fmt.Fprintf(e.stdout, "%s is valid: %s, %s, %s\n", *path,
				count(len(cfg.Feeds), "feed"), count(len(cfg.Sinks), "sink"), count(len(cfg.Routes), "route"))
		}
		if !*online {
			return nil
		}
		show := verdicts(e, cfg)
		if *asJSON {
			show = func(v app.Verdict) { out.Encode(v) }
		}
		total, done, failed := len(cfg.Feeds)+len(cfg.Sinks), 0, 0
		p := newProgress(e.stderr)
		p.say("trying %d feeds and sinks …", total)
		v, _, _ := build()
		app.CheckOnline(ctx, cfg, hclog.NewNullLogger(), v, func(v app.Verdict) {
			if done++; !v.OK {
				failed++
			}
			p.clear()
			show(v)
			if done < total {
				p.say("tried %d of %d feeds and sinks …", done, total)
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d can not be used as configured", failed, total)
		}
		return nil
	}
}

// diagnosis is a diagnostic in the form --json prints.
type diagnosis struct {
	What     string `json:"what"`
	OK       bool   `json:"ok"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Block    string `json:"block,omitempty"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
}

func newDiagnosis(d config.Diagnostic) diagnosis {
	return diagnosis{
		What: "config", OK: d.Severity != config.Error, Severity: d.Severity.String(),
		File: d.File, Line: d.Line, Column: d.Column, Block: d.Block, Summary: d.Summary, Detail: d.Detail,
	}
}

// verdicts returns what prints verdicts as rows of one table.
func verdicts(e *environment, cfg *config.Config) func(app.Verdict) {
	names := 0
	for _, f := range cfg.Feeds {
		names = max(names, len(f.Name))
	}
	for _, s := range cfg.Sinks {
		names = max(names, len(s.Kind)+1+len(s.Name))
	}
	col := colour(e.stdout)
	width, _ := terminal(e.stdout)
	row := func(word, code string, v app.Verdict, text string) {
		lead := fmt.Sprintf("  %-4s  %-*s  ", v.What, names, v.Name)
		fmt.Fprintf(e.stdout, "%s%s%s\n", paint(col, code, fmt.Sprintf("%-7s", word)), lead, hang(text, 7+len(lead), width))
	}
	return func(v app.Verdict) {
		text := fmt.Sprintf("%s (%s)", oneLine(v.Detail), v.Took.Round(time.Millisecond))
		if v.OK {
			row("ok", green, v, text)
		} else {
			row("FAILED", red, v, text)
		}
		for _, w := range v.Warnings {
			row("warning", yellow, v, oneLine(w))
		}
	}
}
