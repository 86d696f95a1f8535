package main

import (
	"context"
	"fmt"
	"strings"

	"taxii-forwarder/cmd/internal/svc"
)

var serviceCommand = &command{
	name: "service", args: "install|uninstall|start|stop|restart|status [--config FILE] [--user NAME]", short: "install and control the system service",
	long: `  install     register the service (systemd, or the Windows service manager) to run
              with FILE at every start of the machine; the configuration is
              validated first. On Linux it runs as the system user
              taxii-forwarder, which is made if need be, or as NAME
  uninstall   stop and remove it; configuration and state stay
  start, stop, restart
  status      exit status 0 running, 1 failed, 3 stopped, 4 not installed or not
              known, as where systemd does not run

All but status need root, or an elevated prompt on Windows.`,
	verbs: []verb{{name: "install"}, {name: "uninstall"}, {name: "start"}, {name: "stop"}, {name: "restart"}, {name: "status"}},
}

// serviceVerbs are those that only some systems have.
var serviceVerbs = map[string]func(e *environment, configPath string) error{}

func init() {
	serviceCommand.run = func(_ context.Context, e *environment, args []string) error {
		fs := serviceCommand.flags()
		path := configFlag(fs)
		user := fs.String("user", "", "run the service as `NAME` (install on Linux)")
		operands, err := serviceCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) != 1 {
			return usagef("want one of %s", strings.Join(serviceCommand.verbNames(), ", "))
		}
		if *user != "" && operands[0] != "install" {
			return usagef("--user goes with install")
		}
		switch verb := operands[0]; verb {
		case "install":
			cfg, err := load(e, *path)
			if err != nil {
				return err
			}
			return svc.Install(svc.Installation{ConfigPath: *path, Config: cfg, User: *user, Out: e.stdout})
		case "uninstall":
			return svc.Uninstall(e.stdout)
		case "start", "stop", "restart":
			return svc.Control(verb, e.stdout)
		case "status":
			code, word, err := svc.State()
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "service %q: %s\n", svc.DefaultName, word)
			return exitCode(code)
		default:
			if f := serviceVerbs[verb]; f != nil {
				return f(e, *path)
			}
			return usagef("unknown verb %q; want one of %s", verb, strings.Join(serviceCommand.verbNames(), ", "))
		}
	}
}
