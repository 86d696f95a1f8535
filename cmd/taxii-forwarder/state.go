package main

import (
	"context"
	"fmt"
	"strings"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/replica"
)

var stateCommand = &command{
	name: "state", args: "check | backup FILE | prune [--config FILE]", short: "look after the state directory",
	long: `  check         verify the database from end to end
  backup FILE   write a consistent copy to FILE, which must not exist; works while
                the forwarder runs
  prune         delete the state of feeds and routes that are no longer configured;
                the forwarder must be stopped`,
	verbs: []verb{{name: "check"}, {name: "backup", file: true}, {name: "prune"}},
}

func init() {
	stateCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := stateCommand.flags()
		path := configFlag(fs)
		operands, err := stateCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) == 0 {
			return usagef("want check, backup FILE or prune")
		}
		verb, operands := operands[0], operands[1:]
		file := ""
		switch verb {
		case "backup":
			if len(operands) != 1 {
				return usagef("backup wants one file name")
			}
			file = operands[0]
		case "check", "prune":
			if err := none(operands); err != nil {
				return err
			}
		default:
			return usagef("unknown verb %q; want check, backup FILE or prune", verb)
		}
		l, err := locate(e, *path)
		if err != nil {
			return err
		}
		var cfg *config.Config
		if verb == "prune" {
			// What is no longer configured is only known from a whole configuration.
			if cfg, err = load(e, *path); err != nil {
				return err
			}
		}
		store, err := openState(ctx, l.StateDir, verb != "prune")
		if err != nil {
			return err
		}
		defer store.Close()
		switch verb {
		case "check":
			if err := store.Check(ctx); err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s is sound\n", store.Path())
		case "backup":
			if err := store.Backup(ctx, file); err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s copied to %s\n", store.Path(), file)
		case "prune":
			var feeds []string
			var routes [][2]string
			for _, f := range cfg.Feeds {
				feeds = append(feeds, f.Name)
			}
			for _, r := range cfg.Routes {
				routes = append(routes, [2]string{r.Feed, r.SinkKind + "." + r.SinkName})
			}
			report, err := store.Prune(ctx, feeds, routes)
			if err != nil {
				return err
			}
			fmt.Fprintln(e.stdout, pruned(report))
		}
		return nil
	}
}

func pruned(r replica.PruneReport) string {
	if len(r.Feeds) == 0 && len(r.Routes) == 0 {
		return "nothing to prune: every feed and route in the state is configured"
	}
	var parts []string
	if len(r.Feeds) > 0 {
		parts = append(parts, fmt.Sprintf("feeds %s (%d objects)", strings.Join(r.Feeds, ", "), r.Objects))
	}
	if len(r.Routes) > 0 {
		parts = append(parts, fmt.Sprintf("routes %s (%d deliveries, %d dead letters)", strings.Join(r.Routes, ", "), r.Ledger, r.DeadRows))
	}
	return "pruned " + strings.Join(parts, " and ")
}
