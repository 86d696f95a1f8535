package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"taxii-forwarder/forwarder/stix"
)

var explainCommand = &command{
	name: "explain", args: "[--json-input] PATTERN | -", short: "show what a STIX pattern means, as JSON",
	long: `Parses a STIX pattern and prints one JSON object: pattern, valid, error and
offset (in bytes) where it is not, ast, the observables it yields, and fidelity
(exact, superset or unsupported).

With - it reads one pattern per line from standard input and prints one line for
each; empty lines are skipped. With --json-input each line is a JSON string, for
patterns that contain line breaks.`,
}

func init() {
	explainCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := explainCommand.flags()
		jsonInput := fs.Bool("json-input", false, "each input line is a JSON string")
		operands, err := explainCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) != 1 {
			return usagef("want one pattern (in quotes), or - to read patterns from standard input")
		}
		if operands[0] != "-" {
			out := json.NewEncoder(e.stdout)
			out.SetEscapeHTML(false)
			return out.Encode(stix.Explain(operands[0]))
		}
		// A read from a terminal can not be called off: the program then ends
		// without it.
		done := make(chan error, 1)
		go func() { done <- explainLines(ctx, e, *jsonInput) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// explainLines explains each line of standard input.
func explainLines(ctx context.Context, e *environment, jsonInput bool) (err error) {
	w := bufio.NewWriter(e.stdout)
	defer func() {
		if ferr := w.Flush(); err == nil {
			err = ferr
		}
	}()
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	in := bufio.NewReaderSize(e.stdin, 1<<20)
	for n := 1; ctx.Err() == nil; n++ {
		line, rerr := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if line != "" {
			if jsonInput {
				var s string
				if err := json.Unmarshal([]byte(line), &s); err != nil {
					return fmt.Errorf("line %d of standard input is not a JSON string: %w", n, err)
				}
				line = s
			}
			if err := out.Encode(stix.Explain(line)); err != nil {
				return err
			}
			if in.Buffered() == 0 {
				// Whoever types, or feeds a pipe line by line, waits for this one.
				if err := w.Flush(); err != nil {
					return err
				}
			}
		}
		if rerr == io.EOF {
			return nil
		}
		if rerr != nil {
			return fmt.Errorf("read standard input: %w", rerr)
		}
	}
	return ctx.Err()
}
