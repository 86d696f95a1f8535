package main

import (
	"context"
	"fmt"

	"taxii-forwarder/cmd/internal/svc"
)

var serviceCommand = &command{
	name: "service", args: "install|uninstall|start|stop|restart|status [--config FILE]", short: "install and control the system service",
	long: `  install     register the service (systemd, or the Windows service manager) to run
              with FILE at every start of the machine; the configuration is
              validated first
  uninstall   stop and remove it; configuration and state stay
  start, stop, restart
  status      exit status 0 running, 3 stopped, 4 not installed

All but status need root, or an elevated prompt on Windows.`,
}

func init() {
	serviceCommand.run = func(_ context.Context, e *environment, args []string) error {
		fs := serviceCommand.flags()
		path := configFlag(fs)
		operands, err := serviceCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) != 1 {
			return usagef("want install, uninstall, start, stop, restart or status")
		}
		switch verb := operands[0]; verb {
		case "install":
			cfg, err := load(e, *path)
			if err != nil {
				return err
			}
			return svc.Install(svc.Installation{ConfigPath: *path, Config: cfg, Out: e.stdout})
		case "uninstall":
			return svc.Uninstall(e.stdout)
		case "start", "stop", "restart":
			return svc.Control(verb, e.stdout)
		case "status":
			code, word, err := svc.State()
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "service %q is %s\n", svc.DefaultName, word)
			return exitCode(code)
		default:
			return usagef("unknown verb %q; want install, uninstall, start, stop, restart or status", verb)
		}
	}
}
