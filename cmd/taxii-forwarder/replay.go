package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/replica"
)

var replayCommand = &command{
	name: "replay", args: "--sink NAME [--feed NAME] [--since TIME] [--config FILE]", short: "send a sink again what it was sent before",
	long: `Forgets that a sink was sent the indicators of its feeds, so that it is sent all
that is current once more: after an index was lost, say. With --since only what
was last sent from that time on (an RFC 3339 time, or a duration such as 12h
before now). Works on the running forwarder; when none is running, the next start
sends.`,
}

func init() {
	replayCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := replayCommand.flags()
		path := configFlag(fs)
		sink := fs.String("sink", "", "`NAME` of the sink, with or without its kind (required)")
		feed := fs.String("feed", "", "only this feed's `NAME`")
		sinceText := fs.String("since", "", "only what was sent since `TIME`")
		operands, err := replayCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		if *sink == "" {
			return usagef("--sink is required")
		}
		since, err := parseSince(*sinceText, time.Now())
		if err != nil {
			return err
		}
		l, err := locate(e, *path)
		if err != nil {
			return err
		}
		c, err := running(ctx, l.StateDir)
		if err != nil {
			return err
		}
		var n int
		if c != nil {
			n, err = c.Replay(ctx, *sink, *feed, since)
		} else {
			cfg, lerr := load(e, *path)
			if lerr != nil {
				return lerr
			}
			n, err = replayStopped(ctx, cfg, *sink, *feed, since)
		}
		if err != nil {
			return err
		}
		when := "now"
		if c == nil {
			when = "at the next start"
		}
		fmt.Fprintf(e.stdout, "%d routes to %s are sent again %s\n", n, *sink, when)
		return nil
	}
}

// replayStopped moves the cursors of a forwarder that is not running.
func replayStopped(ctx context.Context, cfg *config.Config, sink, feed string, since time.Time) (int, error) {
	store, err := openState(ctx, cfg.State.Dir, false)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	stats, err := store.Stats(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range stats.Routes {
		_, name, _ := strings.Cut(r.Sink, ".")
		if (r.Sink != sink && name != sink) || (feed != "" && r.Feed != feed) {
			continue
		}
		if err := store.Replay(ctx, replica.Route{ID: r.ID, Feed: r.Feed, Sink: r.Sink}, since); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, app.NoRoute(cfg.Routes, sink, feed)
	}
	return n, nil
}
