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
		w := bufio.NewWriter(e.stdout)
		defer w.Flush()
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		if operands[0] != "-" {
			return out.Encode(stix.Explain(operands[0]))
		}
		in := bufio.NewReaderSize(e.stdin, 1<<20)
		for n := 1; ; n++ {
			line, rerr := in.ReadString('\n')
			line = strings.TrimRight(line, "\r\n")
			if line != "" {
				if *jsonInput {
					var s string
					if err := json.Unmarshal([]byte(line), &s); err != nil {
						return fmt.Errorf("line %d of standard input is not a JSON string: %w", n, err)
					}
					line = s
				}
				if err := out.Encode(stix.Explain(line)); err != nil {
					return err
				}
			}
			if rerr == io.EOF {
				return nil
			}
			if rerr != nil {
				return fmt.Errorf("read standard input: %w", rerr)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
}
