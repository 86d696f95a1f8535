package main

import (
	"context"

	"taxii-forwarder/cmd/internal/demo"
)

var demoCommand = &command{
	name: "demo", args: "[--dir DIR]", short: "show it all at work on this machine, without any set-up",
	long: `Starts a TAXII server with some thousand indicators and stand-ins for Splunk,
Microsoft Sentinel and Elasticsearch on loopback, runs the real forwarder with a
real configuration between them, changes the feed while it runs, and prints what
arrived where and what was refused and why. It ends by itself within 30 seconds;
the exit status is 0 only if nothing is missing anywhere.`,
}

func init() {
	demoCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := demoCommand.flags()
		dir := fs.String("dir", "", "keep configuration, state and log in `DIR`")
		operands, err := demoCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		v, _, _ := build()
		_, tty := terminal(e.stdout)
		return demo.Run(ctx, demo.Options{Dir: *dir, Out: e.stdout, Terminal: tty, Version: v})
	}
}
