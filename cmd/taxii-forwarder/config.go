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

// load reads the configuration and prints everything that is wrong with it.
func load(e *environment, path string) (*config.Config, error) {
	cfg, report := app.Load(path)
	width, _ := terminal(e.stderr)
	if report.HasErrors() {
		report.WriteTo(e.stderr, colour(e.stderr), width)
		return nil, fmt.Errorf("%s: %s", path, report.Summary())
	}
	return cfg, nil
}

// explainError prints the full report of a configuration error.
func explainError(e *environment, err error) error {
	var c *app.ConfigError
	if errors.As(err, &c) {
		width, _ := terminal(e.stderr)
		c.Report.WriteTo(e.stderr, colour(e.stderr), width)
	}
	return err
}

// running finds the forwarder that runs on cfg's state; nil when none does.
func running(ctx context.Context, cfg *config.Config) (*control.Client, error) {
	c, err := control.Dial(ctx, cfg.State.Dir)
	if errors.Is(err, control.ErrNotRunning) {
		return nil, nil
	}
	return c, err
}

// openState opens the state of a forwarder that is not running.
func openState(ctx context.Context, cfg *config.Config, readOnly bool) (*replica.Store, error) {
	if _, err := os.Stat(cfg.State.Dir); err != nil {
		return nil, fmt.Errorf("no state in %s yet: the forwarder has not run with this configuration (%w)", cfg.State.Dir, err)
	}
	return replica.Open(ctx, replica.Options{Dir: cfg.State.Dir, ReadOnly: readOnly})
}
