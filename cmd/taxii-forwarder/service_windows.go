package main

import (
	"path/filepath"
	"strings"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/cmd/internal/svc"
)

func init() {
	serviceCommand.args = strings.Replace(serviceCommand.args, "|status", "|status|repair", 1)
	serviceCommand.long += `

On Windows there is also:
  repair      set access lists, delayed start, recovery actions and the event log
              source again; the MSI runs it after every installation`
	serviceCommand.verbs = append(serviceCommand.verbs, verb{name: "repair"})
	serviceVerbs["repair"] = repair
}

// repair also works without a configuration that is whole: what an MSI installs
// is a template.
func repair(e *environment, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	l, _ := app.Locate(path)
	// To standard error: an MSI's program has no standard output, and that is no
	// failure here.
	return svc.Repair(l.Path, l.StateDir, e.stderr)
}
