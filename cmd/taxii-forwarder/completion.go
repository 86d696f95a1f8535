package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

var completionCommand = &command{
	name: "completion", args: "bash|zsh|fish|powershell", short: "print a script that completes command lines in a shell",
	long: `Prints a script that makes a shell complete this program's commands, flags and
file names. The packages for Linux install it. By hand, for every new shell:

  bash         source <(taxii-forwarder completion bash)            in ~/.bashrc
  zsh          source <(taxii-forwarder completion zsh)             in ~/.zshrc, after compinit
  fish         taxii-forwarder completion fish | source             in ~/.config/fish/config.fish
  powershell   taxii-forwarder completion powershell | Out-String | Invoke-Expression   in $PROFILE`,
	verbs: []verb{{name: "bash"}, {name: "zsh"}, {name: "fish"}, {name: "powershell"}},
}

// completionScripts has what writes the script of each shell.
var completionScripts = map[string]func(io.Writer, []subject){
	"bash": completeBash, "zsh": completeZsh, "fish": completeFish, "powershell": completePowerShell,
}

func init() {
	completionCommand.run = func(_ context.Context, e *environment, args []string) error {
		operands, err := completionCommand.parse(e, completionCommand.flags(), args)
		if err != nil {
			return err
		}
		if len(operands) != 1 || completionScripts[operands[0]] == nil {
			return usagef("want one shell: bash, zsh, fish or powershell")
		}
		completionScripts[operands[0]](e.stdout, subjects())
		return nil
	}
}

// subject is what can be completed after a command's name.
type subject struct {
	name, short string
	verbs       []string
	fileVerbs   []string // those of the verbs that want a file
	flags       []flagInfo
}

// subjects has every command, and help.
func subjects() []subject {
	help := subject{name: "help", short: "explain a command"}
	var list []subject
	for _, c := range commands() {
		list = append(list, subject{c.name, c.short, c.verbNames(), c.fileVerbs(), c.flagList()})
		help.verbs = append(help.verbs, c.name)
	}
	return append(list, help)
}

// Kinds of values that a flag can want.
const (
	wantsNothing = iota
	wantsFile
	wantsDirectory
	wantsText
)

// wants tells what value a flag wants, by what its usage calls it.
func (f flagInfo) wants() int {
	switch f.argument {
	case "":
		return wantsNothing
	case "FILE":
		return wantsFile
	case "DIR":
		return wantsDirectory
	}
	return wantsText
}

// flagNames returns the flags that want one of kinds, as they are typed.
func (s subject) flagNames(kinds ...int) []string {
	var names []string
	for _, f := range s.flags {
		for _, k := range kinds {
			if f.wants() == k {
				names = append(names, "--"+f.name)
			}
		}
	}
	return names
}

// single quotes text for a POSIX shell, and for zsh.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func writeLines(w io.Writer, lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}
