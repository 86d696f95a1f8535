package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
)

var checkCommand = &command{
	name: "check", args: "--config FILE [--online] [--json]", short: "validate the configuration; --online also tries every feed and sink",
	long: `Validates the configuration and prints all that is wrong with it at once. With
--online it also logs in to every feed and every sink and prints a verdict for
each; nothing is left behind in a destination.`,
}

func init() {
	checkCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := checkCommand.flags()
		path := configFlag(fs)
		online := fs.Bool("online", false, "log in to every feed and sink")
		asJSON := fs.Bool("json", false, "print a JSON object for each verdict")
		operands, err := checkCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		cfg, report := app.Load(*path)
		width, _ := terminal(e.stderr)
		report.WriteTo(e.stderr, colour(e.stderr), width)
		if report.HasErrors() {
			return fmt.Errorf("%s: %s", *path, report.Summary())
		}
		if !*asJSON {
			fmt.Fprintf(e.stdout, "%s is valid: %d feeds, %d sinks, %d routes\n", *path, len(cfg.Feeds), len(cfg.Sinks), len(cfg.Routes))
		}
		if !*online {
			return nil
		}
		failed := 0
		v, _, _ := build()
		app.CheckOnline(ctx, cfg, hclog.NewNullLogger(), v, func(v app.Verdict) {
			if !v.OK {
				failed++
			}
			if *asJSON {
				json.NewEncoder(e.stdout).Encode(v)
				return
			}
			word := "ok    "
			if !v.OK {
				word = "FAILED"
			}
			fmt.Fprintf(e.stdout, "%s  %-4s %-28s %s (%s)\n", word, v.What, v.Name, v.Detail, v.Took.Round(time.Millisecond))
		})
		if failed > 0 {
			return fmt.Errorf("%d of %d can not be used as configured", failed, len(cfg.Feeds)+len(cfg.Sinks))
		}
		return nil
	}
}
