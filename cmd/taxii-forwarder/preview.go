package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
)

var previewCommand = &command{
	name: "preview", args: "--config FILE [--feed NAME] [--sink NAME] [--limit N] [--json]", short: "show what would be sent, as the sink would get it",
	long: `Reads the first indicators of the feeds and prints what their sinks would be sent,
one JSON document a line. It sends nothing to a sink and stores nothing. Standard
error gets a table of what each sink would be sent, what the route's where keeps
back, and what is not sent and why: revoked, expired, benign, or nothing that the
sink can hold. With --json that is the last line of standard output instead, an
object {"summary": {"routes": [...], "warnings": [...]}}.`,
}

func init() {
	previewCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := previewCommand.flags()
		path := configFlag(fs)
		var o app.PreviewOptions
		fs.StringVar(&o.Feed, "feed", "", "only this feed's `NAME`")
		fs.StringVar(&o.Sink, "sink", "", "only this sink's `NAME`, with or without its kind")
		fs.IntVar(&o.Limit, "limit", 10, "at most `N` indicators of each feed")
		asJSON := fs.Bool("json", false, "end with the counts as a JSON object, instead of a table on standard error")
		operands, err := previewCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		if o.Limit < 1 {
			return usagef("--limit wants a number above 0")
		}
		cfg, err := load(e, *path)
		if err != nil {
			return err
		}
		p := newProgress(e.stderr)
		p.say("asking the feeds …")
		v, _, _ := build()
		w := bufio.NewWriter(e.stdout)
		counts, err := app.Preview(ctx, cfg, o, w, hclog.NewNullLogger(), v, func(feed string, n int) {
			p.say("reading %s: %s", feed, count(n, "indicator"))
		})
		p.clear()
		if err == nil && *asJSON {
			err = json.NewEncoder(w).Encode(map[string]app.PreviewCounts{"summary": counts})
		}
		if ferr := w.Flush(); err == nil {
			err = ferr
		}
		if err != nil || *asJSON {
			return err
		}
		return printPreview(e.stderr, counts)
	}
}

// printPreview writes a row for each route.
func printPreview(w io.Writer, c app.PreviewCounts) error {
	for _, text := range c.Warnings {
		fmt.Fprintf(w, "warning: %s\n", oneLine(text))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FEED\tSINK\tREAD\tWOULD BE SENT\tDOCUMENTS\tFILTERED OUT\tNOT SENT")
	for _, r := range c.Routes {
		var skipped []string
		for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
			skipped = append(skipped, fmt.Sprintf("%s %d", reason, r.Skipped[reason]))
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", r.Feed, r.Sink, r.Indicators, r.Sent, r.Documents, r.Filtered, cell(strings.Join(skipped, ", ")))
	}
	return tw.Flush()
}
