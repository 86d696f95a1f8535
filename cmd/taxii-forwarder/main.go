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
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &environment{stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		return e.report("help", help(e, args[1:]))
	}
	c := find(args[0])
	if c == nil {
		return e.report(args[0], usagef("unknown command %q; 'taxii-forwarder help' lists them", args[0]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return e.report(c.name, c.run(ctx, e, args[1:]))
}

// report prints err in the one form errors have and returns the exit code.
func (e *environment) report(command string, err error) int {
	var u *usageError
	var x exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &x):
		return int(x)
	case errors.As(err, &u):
		fmt.Fprintf(e.stderr, "taxii-forwarder %s: %v\n", command, err)
		return exitUsage
	}
	fmt.Fprintf(e.stderr, "taxii-forwarder %s: %v\n", command, err)
	return exitError
}
