package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/status"
)

// healthTimeout bounds the health command: a supervisor that asks every half
// minute must not pile up questions.
const healthTimeout = 5 * time.Second

var healthCommand = &command{
	name: "health", args: "[--config FILE]", short: "say whether the running forwarder works; for container health checks",
	long: `Exit status 0: the running forwarder's loops make progress, its configuration is
loaded and its state can be written. Exit status 1: not so, or it does not answer
within 5 seconds, or none is running. Feeds and sinks that fail do not count, as a
restart would not help them; 'taxii-forwarder status' tells of those.`,
}

func init() {
	healthCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := healthCommand.flags()
		path := configFlag(fs)
		operands, err := healthCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		l, err := locate(e, *path)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if err := healthy(ctx, l.StateDir); err != nil {
			// A health check knows 0 and 1 only.
			return coded(exitError, err)
		}
		fmt.Fprintln(e.stdout, "healthy")
		return nil
	}
}

// healthy returns why the forwarder on the state in dir does not work; nil when
// it does.
func healthy(ctx context.Context, dir string) error {
	c, err := running(ctx, dir)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("%w: %s", control.ErrNotRunning, dir)
	}
	alive, err := c.Alive(ctx)
	if err != nil {
		return err
	}
	if !alive {
		return errors.New("the forwarder's loops make no progress; restart it and report this")
	}
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	ready, reasons := s.Ready()
	if ready {
		return nil
	}
	var why []string
	for _, r := range reasons {
		if !r.OK && (r.Part == status.PartConfig || r.Part == status.PartState || r.Part == status.PartLoops) {
			why = append(why, fmt.Sprintf("%s: %s", r.Part, r.Message))
		}
	}
	return errors.New(strings.Join(why, "; "))
}
