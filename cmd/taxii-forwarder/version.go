package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the release build: -ldflags "-X main.version=… -X main.commit=… -X main.date=…".
var (
	version = ""
	commit  = ""
	date    = ""
)

// build returns version, commit and commit date, from the release build or from
// what the go command recorded.
func build() (v, c, d string) {
	v, c, d = version, commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && c == "":
				c = s.Value
			case s.Key == "vcs.time" && d == "":
				d = s.Value
			}
		}
	}
	if v == "" {
		v = "devel"
	}
	return v, c, d
}

var versionCommand = &command{
	name: "version", args: "[--json]", short: "print version, commit and platform",
	long: "Prints the version of this program, the commit it was built from and the platform.",
}

func init() {
	versionCommand.run = func(_ context.Context, e *environment, args []string) error {
		fs := versionCommand.flags()
		asJSON := fs.Bool("json", false, "print JSON")
		operands, err := versionCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		v, c, d := build()
		if *asJSON {
			return json.NewEncoder(e.stdout).Encode(map[string]string{
				"version": v, "commit": c, "date": d, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			})
		}
		fmt.Fprintf(e.stdout, "taxii-forwarder %s", v)
		if c != "" {
			fmt.Fprintf(e.stdout, " (%.12s, %s)", c, d)
		}
		fmt.Fprintf(e.stdout, " %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	}
}
