package main

import (
	"bufio"
	"context"
	"fmt"
	"sort"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
)

var previewCommand = &command{
	name: "preview", args: "--config FILE [--feed NAME] [--sink NAME] [--limit N]", short: "show what would be sent, as the sink would get it",
	long: `Reads the first indicators of the feeds and prints what their sinks would be sent,
one JSON document a line. It sends nothing to a sink and stores nothing. What is
filtered or can not be held by a sink is counted on standard error.`,
}

func init() {
	previewCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := previewCommand.flags()
		path := configFlag(fs)
		var o app.PreviewOptions
		fs.StringVar(&o.Feed, "feed", "", "only this feed's `NAME`")
		fs.StringVar(&o.Sink, "sink", "", "only this sink's `NAME`, with or without its kind")
		fs.IntVar(&o.Limit, "limit", 10, "at most `N` indicators of each feed")
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
		var progress func(string, int)
		if _, ok := terminal(e.stderr); ok {
			progress = func(feed string, n int) { fmt.Fprintf(e.stderr, "\rreading %s: %d indicators", feed, n) }
		}
		v, _, _ := build()
		w := bufio.NewWriter(e.stdout)
		counts, err := app.Preview(ctx, cfg, o, w, hclog.NewNullLogger(), v, progress)
		if progress != nil {
			fmt.Fprint(e.stderr, "\r\x1b[K")
		}
		if ferr := w.Flush(); err == nil {
			err = ferr
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "%d indicators read: %d documents would be sent, %d filtered out\n", counts.Indicators, counts.Documents, counts.Filtered)
		var reasons []string
		for r := range counts.Skipped {
			reasons = append(reasons, r)
		}
		sort.Strings(reasons)
		for _, r := range reasons {
			fmt.Fprintf(e.stderr, "%d not sent: %s\n", counts.Skipped[r], r)
		}
		return nil
	}
}
