package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the release build (packaging/release) with -ldflags "-X main.version=…
// -X main.commit=… -X main.date=…".
var (
	version = ""
	commit  = ""
	date    = "" // of the commit, RFC 3339
)

// buildVersion is what is known of where this program comes from.
type buildVersion struct {
	Version  string `json:"version"`            // without a leading v; "devel" if unknown
	Commit   string `json:"commit,omitempty"`   // the whole hash
	Date     string `json:"date,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // built from a checkout with uncommitted changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// stamped completes what the release build set with what the go command
// recorded: the module's version for 'go install', the checkout for 'go build'.
func stamped(b buildVersion, info *debug.BuildInfo) buildVersion {
	if info == nil {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Commit == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Date = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version = strings.TrimPrefix(b.Version, "v"); b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func (b buildVersion) String() string {
	s := "taxii-forwarder " + b.Version
	var from []string
	if b.Commit != "" {
		from = append(from, fmt.Sprintf("%.12s", b.Commit))
	}
	if b.Date != "" {
		from = append(from, b.Date)
	}
	if b.Modified {
		from = append(from, "modified")
	}
	if from != nil {
		s += " (" + strings.Join(from, ", ") + ")"
	}
	return fmt.Sprintf("%s %s %s/%s", s, b.Go, b.OS, b.Arch)
}

// buildInfo describes this program.
func buildInfo() buildVersion {
	info, _ := debug.ReadBuildInfo()
	return stamped(buildVersion{
		Version: version, Commit: commit, Date: date,
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}, info)
}

// build returns version, commit and commit date.
func build() (v, c, d string) {
	b := buildInfo()
	return b.Version, b.Commit, b.Date
}

var versionCommand = &command{
	name: "version", args: "[--json]", short: "print version, commit and platform",
	long: "Prints the version of this program, the commit it was built from and its date, the\nversion of Go and the platform.",
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
		if *asJSON {
			return json.NewEncoder(e.stdout).Encode(buildInfo())
		}
		fmt.Fprintln(e.stdout, buildInfo())
		return nil
	}
}
