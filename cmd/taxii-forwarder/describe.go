package main

import (
	"context"
	"flag"
	"io"
	"strings"
)

// flagInfo is what completions and the manual say of a flag.
type flagInfo struct {
	name     string // without dashes
	argument string // what its value is called; empty for a switch
	usage    string
	fallback string // its default, if worth telling
}

// flagList returns a command's flags, by name. The command itself declares
// them when it is run; here it is asked for its help and not run any further.
func (c *command) flagList() []flagInfo {
	var list []flagInfo
	e := &environment{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	e.describe = func(fs *flag.FlagSet) {
		fs.VisitAll(func(f *flag.Flag) {
			i := flagInfo{name: f.Name}
			i.argument, i.usage = flag.UnquoteUsage(f)
			if worthTelling(f) {
				i.fallback = f.DefValue
			}
			list = append(list, i)
		})
	}
	// Help ends every command with an exit code of its own, which says nothing.
	_ = c.run(context.Background(), e, []string{"--help"})
	return list
}

// worthTelling reports whether a flag's default is more than "off".
func worthTelling(f *flag.Flag) bool {
	return f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0"
}

// verbNames returns the names of a command's verbs.
func (c *command) verbNames() []string {
	var names []string
	for _, v := range c.verbs {
		names = append(names, v.name)
	}
	return names
}

// fileVerbs returns those of the verbs that want a file.
func (c *command) fileVerbs() []string {
	var names []string
	for _, v := range c.verbs {
		if v.file {
			names = append(names, v.name)
		}
	}
	return names
}
