package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/cmd/internal/svc"
)

var runCommand = &command{
	name: "run", args: "--config FILE [--allow-root]", short: "run the forwarder in the foreground; also what the service runs",
	long: `Polls every collection of every feed, keeps the replica and delivers its changes,
until it is interrupted. Requests under way are finished first, for at most 15
seconds. SIGHUP (or 'taxii-forwarder reload') makes it read its configuration
again. The log goes to standard error. Told to stop by SIGINT or SIGTERM, it ends
with status 0; a second signal ends it at once.

It needs no privilege, reads what strangers publish, and so refuses to run as
root on Linux unless --allow-root says that this is meant.`,
}

// errRoot is the answer to root.
var errRoot = errors.New("this is no program to run as root: it needs no privilege. Run it as another user, such as one that only owns the state directory (sudo -u NAME taxii-forwarder run …), " +
	"or as a service with an account of its own ('taxii-forwarder service install'); --allow-root runs it all the same")

func init() {
	runCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := runCommand.flags()
		path := configFlag(fs)
		allowRoot := fs.Bool("allow-root", false, "run even as root (Linux)")
		operands, err := runCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		if runtime.GOOS == "linux" && os.Geteuid() == 0 && !*allowRoot {
			return errRoot
		}
		if os.Getenv("GOGC") == "" {
			// A service is a guest on its machine: a third less memory for a few per
			// cent more work.
			debug.SetGCPercent(50)
		}
		v, c, _ := build()
		return explainError(e, svc.Run(ctx, app.Options{ConfigPath: *path, Version: v, Commit: c}, e.stderr))
	}
}
