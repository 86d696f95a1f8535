package main

import (
	"fmt"
	"io"
	"strings"
)

// completeFish writes a script for fish 3 or later.
func completeFish(w io.Writer, list []subject) {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
	}
	writeLines(w,
		"# fish completion for taxii-forwarder; made by 'taxii-forwarder completion fish'",
		"",
		"# The command is the first word; what is called like it further on is not it.",
		"function __taxii_forwarder_command",
		"    set -l words (commandline -opc)",
		"    test (count $words) -ge 2; and test \"$words[2]\" = \"$argv[1]\"",
		"end",
		"",
		"# Whether one of the verbs stands behind the command.",
		"function __taxii_forwarder_verb",
		"    set -l words (commandline -opc)",
		"    for word in $words[3..-1]",
		"        contains -- $word $argv; and return 0",
		"    end",
		"    return 1",
		"end",
		"",
		"function __taxii_forwarder_first",
		"    test (count (commandline -opc)) -eq 1",
		"end",
		"",
		"complete -c taxii-forwarder -f")
	for _, s := range list {
		fmt.Fprintf(w, "complete -c taxii-forwarder -n __taxii_forwarder_first -a %s -d %s\n", s.name, quote(s.short))
	}
	for _, s := range list {
		in := "__taxii_forwarder_command " + s.name
		for _, f := range s.flags {
			fmt.Fprintf(w, "complete -c taxii-forwarder -n %s -l %s", quote(in), f.name)
			switch f.wants() {
			case wantsFile:
				fmt.Fprint(w, " -r -F")
			case wantsDirectory:
				fmt.Fprint(w, " -x -a '(__fish_complete_directories)'")
			case wantsText:
				fmt.Fprint(w, " -x")
			}
			fmt.Fprintf(w, " -d %s\n", quote(f.usage))
		}
		if len(s.verbs) > 0 {
			verbs := strings.Join(s.verbs, " ")
			fmt.Fprintf(w, "complete -c taxii-forwarder -n %s -a %s\n", quote(in+"; and not __taxii_forwarder_verb "+verbs), quote(verbs))
		}
		if len(s.fileVerbs) > 0 {
			fmt.Fprintf(w, "complete -c taxii-forwarder -n %s -F\n", quote(in+"; and __taxii_forwarder_verb "+strings.Join(s.fileVerbs, " ")))
		}
	}
}
