package main

import (
	"fmt"
	"io"
	"strings"
)

// completeZsh writes a script that can be autoloaded from $fpath as
// _taxii-forwarder, or sourced.
func completeZsh(w io.Writer, list []subject) {
	writeLines(w,
		"#compdef taxii-forwarder",
		"# zsh completion for taxii-forwarder; made by 'taxii-forwarder completion zsh'",
		"_taxii_forwarder() {",
		"  local curcontext=$curcontext state line",
		"  typeset -A opt_args",
		"  _arguments -C '1:command:->command' '*::argument:->argument' && return",
		"  case $state in",
		"  command)",
		"    local -a commands=(")
	for _, s := range list {
		fmt.Fprintf(w, "      %s\n", single(s.name+":"+s.short))
	}
	writeLines(w,
		"    )",
		"    _describe -t commands command commands",
		"    ;;",
		"  argument)",
		"    case $words[1] in")
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	for _, s := range list {
		var specs []string
		for _, f := range s.flags {
			spec := "--" + f.name
			if f.argument != "" {
				spec += "="
			}
			spec += "[" + escape.Replace(f.usage) + "]"
			switch f.wants() {
			case wantsFile:
				spec += ":" + f.argument + ":_files"
			case wantsDirectory:
				spec += ":" + f.argument + ":_files -/"
			case wantsText:
				spec += ":" + f.argument + ": "
			}
			specs = append(specs, spec)
		}
		if len(s.verbs) > 0 {
			specs = append(specs, "1:what:("+strings.Join(s.verbs, " ")+")")
		}
		if len(s.fileVerbs) > 0 {
			specs = append(specs, "2:FILE:{ [[ $words[(r)("+strings.Join(s.fileVerbs, "|")+")] ]] && _files }")
		}
		if len(specs) == 0 {
			continue
		}
		fmt.Fprintf(w, "    %s)\n      _arguments", s.name)
		for _, spec := range specs {
			fmt.Fprintf(w, " \\\n        %s", single(spec))
		}
		fmt.Fprint(w, "\n      ;;\n")
	}
	writeLines(w,
		"    esac",
		"    ;;",
		"  esac",
		"}",
		"if [[ $funcstack[1] == _taxii-forwarder ]]; then",
		"  _taxii_forwarder \"$@\"",
		"else",
		"  compdef _taxii_forwarder taxii-forwarder",
		"fi")
}
