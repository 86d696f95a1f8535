package main

import (
	"context"
	"errors"
	"fmt"

	"taxii-forwarder/cmd/internal/control"
)

var reloadCommand = &command{
	name: "reload", args: "[--config FILE]", short: "make the running forwarder read its configuration again",
	long: `Makes the running forwarder read its configuration again. Unless all of it is
good, the configuration in force stays, and what is wrong is printed. On Linux
SIGHUP does the same. Exit status 3: no forwarder is running.`,
}

func init() {
	reloadCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := reloadCommand.flags()
		path := configFlag(fs)
		operands, err := reloadCommand.parse(e, fs, args)
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
		c, err := running(ctx, l.StateDir)
		if err != nil {
			return err
		}
		if c == nil {
			return fmt.Errorf("%w: %s", control.ErrNotRunning, l.StateDir)
		}
		// The forwarder judges, as it has the secrets; this program may not.
		if err := c.Reload(ctx); err != nil {
			var r *control.Refusal
			if errors.As(err, &r) {
				fmt.Fprint(e.stderr, r.Details())
			}
			return err
		}
		fmt.Fprintln(e.stdout, "configuration reloaded")
		return nil
	}
}
