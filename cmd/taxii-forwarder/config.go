package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/replica"
)

// configFlag adds --config.
func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", defaultConfig(), "configuration `FILE`")
}

// load reads the configuration; when it has errors, everything that is wrong
// with it is printed.
func load(e *environment, path string) (*config.Config, error) {
	cfg, report := app.Load(path)
	return cfg, refuse(e, path, report)
}

// locate finds out where a forwarder has its state.
func locate(e *environment, path string) (app.Location, error) {
	l, report := app.Locate(path)
	return l, refuse(e, path, report)
}

// refuse prints a report that has errors, and returns the error that sums it
// up.
func refuse(e *environment, path string, report *config.Report) error {
	if !report.HasErrors() {
		return nil
	}
	printReport(e, report)
	return fmt.Errorf("%s: %s", path, report.Summary())
}

func printReport(e *environment, report *config.Report) {
	width, _ := terminal(e.stderr)
	report.WriteTo(e.stderr, colour(e.stderr), width)
}

// explainError prints the full report of a configuration error.
func explainError(e *environment, err error) error {
	var c *app.ConfigError
	if errors.As(err, &c) {
		printReport(e, c.Report)
	}
	return err
}

// running finds the forwarder that runs on a state directory; nil when none
// does.
func running(ctx context.Context, stateDir string) (*control.Client, error) {
	c, err := control.Dial(ctx, stateDir)
	if errors.Is(err, control.ErrNotRunning) {
		return nil, nil
	}
	return c, err
}

// openState opens the state of a forwarder that is not running.
func openState(ctx context.Context, dir string, readOnly bool) (*replica.Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("no state in %s yet: the forwarder has not run with this configuration (%w)", dir, err)
	}
	v, _, _ := build()
	return replica.Open(ctx, replica.Options{Dir: dir, ReadOnly: readOnly, Program: v})
}
