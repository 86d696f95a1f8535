// Command taxii-forwarder follows TAXII 2.1 collections and keeps Splunk,
// Microsoft Sentinel and Elasticsearch in step with them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"taxii-forwarder/cmd/internal/control"
)

// Exit codes; 'taxii-forwarder help' lists them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotRunning  = 3
	exitInterrupted = 130 // as of a shell: 128 + SIGINT
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	e := &environment{stdin: stdin, stdout: out, stderr: stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return e.report("help", out.check(help(e, args[1:])))
	}
	c := find(args[0])
	if c == nil {
		return e.report(args[0], usagef("unknown command %q; 'taxii-forwarder help' lists them", args[0]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once, whatever it still wants to finish.
	context.AfterFunc(ctx, stop)
	err := out.check(c.run(ctx, e, args[1:]))
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = coded(exitInterrupted, errors.New("interrupted"))
	}
	return e.report(c.name, err)
}

// report prints err in the one form errors have and returns the exit code.
func (e *environment) report(command string, err error) int {
	var (
		u    *usageError
		x    exitCode
		c    *codedError
		code = exitError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &x):
		return int(x)
	case errors.As(err, &u):
		code = exitUsage
	case errors.As(err, &c):
		code = c.code
	case errors.Is(err, control.ErrNotRunning):
		code = exitNotRunning
	}
	fmt.Fprintf(e.stderr, "taxii-forwarder %s: %s\n", command, oneLine(err.Error()))
	return code
}
