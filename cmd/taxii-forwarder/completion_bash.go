package main

import (
	"fmt"
	"io"
	"strings"
)

// completeBash writes a script for bash 4 or later. It does without the
// functions of the bash-completion project, which may not be there.
func completeBash(w io.Writer, list []subject) {
	words := func(s ...string) string { return single(strings.Join(s, " ")) }
	var names []string
	for _, s := range list {
		names = append(names, s.name)
	}
	writeLines(w,
		"# bash completion for taxii-forwarder; made by 'taxii-forwarder completion bash'",
		"_taxii_forwarder() {",
		"    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
		"    # Bash takes --flag=value for three words.",
		"    if [[ $cur == '=' ]]; then",
		"        cur=",
		"    elif [[ $prev == '=' ]]; then",
		"        prev=${COMP_WORDS[COMP_CWORD-2]}",
		"    fi",
		"    COMPREPLY=()",
		"    if ((COMP_CWORD == 1)); then",
		"        mapfile -t COMPREPLY < <(compgen -W "+words(names...)+" -- \"$cur\")",
		"        return",
		"    fi",
		"    local verbs= file_verbs= flags= files= directories= values=",
		"    case ${COMP_WORDS[1]} in")
	for _, s := range list {
		fmt.Fprintf(w, "    %s)\n", s.name)
		for _, v := range []struct {
			name  string
			words []string
		}{
			{"verbs", s.verbs}, {"file_verbs", s.fileVerbs},
			{"flags", s.flagNames(wantsNothing, wantsFile, wantsDirectory, wantsText)},
			{"files", s.flagNames(wantsFile)}, {"directories", s.flagNames(wantsDirectory)}, {"values", s.flagNames(wantsText)},
		} {
			if len(v.words) > 0 {
				fmt.Fprintf(w, "        %s=%s\n", v.name, words(v.words...))
			}
		}
		fmt.Fprint(w, "        ;;\n")
	}
	writeLines(w,
		"    *) return ;;",
		"    esac",
		"    # The value of a flag.",
		"    if [[ -n $prev && \" $files \" == *\" $prev \"* ]]; then",
		"        compopt -o filenames",
		"        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")",
		"        return",
		"    elif [[ -n $prev && \" $directories \" == *\" $prev \"* ]]; then",
		"        compopt -o filenames",
		"        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")",
		"        return",
		"    elif [[ -n $prev && \" $values \" == *\" $prev \"* ]]; then",
		"        return",
		"    fi",
		"    if [[ $cur == -* ]]; then",
		"        mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")",
		"        return",
		"    fi",
		"    # The verb is the first word that is neither a flag nor the value of one.",
		"    local i word verb=",
		"    for ((i = 2; i < COMP_CWORD; i++)); do",
		"        word=${COMP_WORDS[i]}",
		"        if [[ \" $files $directories $values \" == *\" $word \"* ]]; then",
		"            i=$((i + 1))",
		"            [[ ${COMP_WORDS[i]} == '=' ]] && i=$((i + 1))",
		"        elif [[ $word != -* ]]; then",
		"            verb=$word",
		"            break",
		"        fi",
		"    done",
		"    if [[ -z $verb ]]; then",
		"        mapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$cur\")",
		"    elif [[ \" $file_verbs \" == *\" $verb \"* ]]; then",
		"        compopt -o filenames",
		"        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")",
		"    fi",
		"}",
		"complete -F _taxii_forwarder taxii-forwarder")
}
