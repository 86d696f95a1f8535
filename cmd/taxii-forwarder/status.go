package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder"
	"taxii-forwarder/forwarder/status"
)

var statusCommand = &command{
	name: "status", args: "[--config FILE] [--json] [--watch]", short: "show feeds, cursors, lag and errors",
	long: `Prints what the running forwarder says of itself; when none is running, what its
state tells. The exit status is 0 when all is well, 1 when a feed or a sink is
failing or a loop is stuck, 3 when the forwarder is not running.`,
}

func init() {
	statusCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := statusCommand.flags()
		path := configFlag(fs)
		asJSON := fs.Bool("json", false, "print JSON")
		watch := fs.Bool("watch", false, "print again every 2 seconds until interrupted")
		operands, err := statusCommand.parse(e, fs, args)
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
		for {
			s, err := currentStatus(ctx, l)
			if err != nil {
				return err
			}
			if *watch && colour(e.stdout) {
				fmt.Fprint(e.stdout, "\x1b[H\x1b[2J")
			}
			if *asJSON {
				out := json.NewEncoder(e.stdout)
				if !*watch {
					out.SetIndent("", "  ")
				}
				if err := out.Encode(s); err != nil {
					return err
				}
			} else {
				width, _ := terminal(e.stdout)
				status.WriteTable(e.stdout, s, width, colour(e.stdout))
			}
			if !*watch {
				return verdict(s)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(2 * time.Second):
			}
		}
	}
}

func currentStatus(ctx context.Context, l app.Location) (status.Status, error) {
	c, err := running(ctx, l.StateDir)
	if err != nil {
		return status.Status{}, err
	}
	if c != nil {
		return c.Status(ctx)
	}
	store, err := openState(ctx, l.StateDir, true)
	if errors.Is(err, fs.ErrNotExist) {
		return status.Status{}, coded(exitNotRunning, err)
	}
	if err != nil {
		return status.Status{}, err
	}
	defer store.Close()
	s := forwarder.StoredStatus(ctx, store)
	s.Version, _, _ = build()
	s.Config.Path = l.Path
	s.Config.LastReloadOK = true
	return s, nil
}

func verdict(s status.Status) error {
	if !s.Running {
		return exitCode(exitNotRunning)
	}
	if len(s.Stalled) > 0 {
		return exitCode(exitError)
	}
	for _, f := range s.Feeds {
		if f.State == status.StateFailing {
			return exitCode(exitError)
		}
	}
	for _, k := range s.Sinks {
		if k.State == status.StateFailing {
			return exitCode(exitError)
		}
	}
	return nil
}
