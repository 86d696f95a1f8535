package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"taxii-forwarder/cmd/internal/svc"
)

// environment is what a command may touch of the outside.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	describe       func(*flag.FlagSet) // if set, gets a command's flags when its help is asked for
}

// command is one verb of the command line.
type command struct {
	name  string
	args  string // for the usage line
	short string
	long  string // printed by help, after the usage line and before the flags
	verbs []verb // what the first operand has to be one of, if there are such
	run   func(ctx context.Context, e *environment, args []string) error
}

// verb is a first operand that says what a command does.
type verb struct {
	name string
	file bool // its own operand is a file
}

// commands is the list, in the order that help shows.
func commands() []*command {
	return []*command{
		runCommand, demoCommand, checkCommand, discoverCommand, previewCommand, explainCommand,
		statusCommand, healthCommand, replayCommand, deadLettersCommand, reloadCommand, stateCommand, serviceCommand,
		completionCommand, manCommand, versionCommand,
	}
}

func find(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return c
		}
	}
	return nil
}

// usageError is an error in how the program was called.
type usageError struct{ msg string }

func (u *usageError) Error() string { return u.msg }

func usagef(format string, args ...any) error {
	return &usageError{msg: fmt.Sprintf(format, args...)}
}

// exitCode ends the program without a message of its own: the command has said
// what there is to say.
type exitCode int

func (x exitCode) Error() string { return fmt.Sprintf("exit status %d", int(x)) }

// codedError is an error that ends the program with a status of its own.
type codedError struct {
	code int
	err  error
}

func (c *codedError) Error() string { return c.err.Error() }
func (c *codedError) Unwrap() error { return c.err }

func coded(code int, err error) error { return &codedError{code: code, err: err} }

// flags returns a flag set that reports errors as usage errors.
func (c *command) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse parses args; flags may stand before or after the operands.
func (c *command) parse(e *environment, fs *flag.FlagSet, args []string) (operands []string, err error) {
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			if e.describe != nil {
				e.describe(fs)
			} else {
				c.help(e.stdout, fs)
			}
			return nil, exitCode(exitOK)
		case err != nil:
			return nil, usagef("%v; 'taxii-forwarder help %s' shows what it takes", err, c.name)
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return operands, nil
		}
		if consumed := len(args) - len(rest); consumed > 0 && args[consumed-1] == "--" {
			return append(operands, rest...), nil
		}
		operands = append(operands, rest[0])
		args = rest[1:]
	}
}

// none refuses operands for a command that takes none.
func none(operands []string) error {
	if len(operands) > 0 {
		return usagef("unexpected argument %q", operands[0])
	}
	return nil
}

func (c *command) help(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "usage: taxii-forwarder %s %s\n\n%s\n", c.name, c.args, strings.TrimSpace(c.long))
	first := true
	fs.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(w, "\nflags:\n")
			first = false
		}
		name, text := flag.UnquoteUsage(f)
		left := "--" + f.Name
		if name != "" {
			left += " " + name
		}
		fmt.Fprintf(w, "  %-24s %s", left, text)
		if worthTelling(f) {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}

// exitStatuses is what the numbers mean.
var exitStatuses = []struct {
	code    int
	meaning string
}{
	{exitOK, "done, and all is well"},
	{exitError, "it did not succeed; standard error says what, where and what to do"},
	{exitUsage, "the command line is wrong"},
	{exitNotRunning, "no forwarder is running (status, reload) or the service is stopped (service status)"},
	{svc.StatusNotInstalled, "the service is not installed or not known (service status)"},
	{exitInterrupted, "interrupted; run itself ends with 0 when it is told to stop"},
}

func usage() string {
	var b strings.Builder
	b.WriteString("taxii-forwarder keeps Splunk, Microsoft Sentinel and Elasticsearch in step with TAXII 2.1 feeds.\n\n" +
		"usage: taxii-forwarder COMMAND [arguments]\n\ncommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-14s %s\n", c.name, c.short)
	}
	b.WriteString("\nexit status:\n")
	for _, x := range exitStatuses {
		fmt.Fprintf(&b, "  %-3d  %s\n", x.code, x.meaning)
	}
	b.WriteString("\n'taxii-forwarder help COMMAND' explains one; 'taxii-forwarder demo' shows it all at work without any set-up.\n")
	return b.String()
}

func help(e *environment, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(e.stdout, usage())
		return nil
	}
	c := find(args[0])
	if c == nil {
		return usagef("unknown command %q; 'taxii-forwarder help' lists them", args[0])
	}
	// Every command prints its own help when asked, flags included.
	return c.run(context.Background(), e, []string{"--help"})
}
