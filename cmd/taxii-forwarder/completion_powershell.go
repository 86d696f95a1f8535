package main

import (
	"fmt"
	"io"
	"strings"
)

// completePowerShell writes a script for PowerShell 5 or later. Where it offers
// nothing, PowerShell itself completes file names.
func completePowerShell(w io.Writer, list []subject) {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	writeLines(w,
		"# PowerShell completion for taxii-forwarder; made by 'taxii-forwarder completion powershell'",
		"Register-ArgumentCompleter -Native -CommandName 'taxii-forwarder', 'taxii-forwarder.exe' -ScriptBlock {",
		"    param($wordToComplete, $commandAst, $cursorPosition)",
		"    $commands = [ordered]@{")
	for _, s := range list {
		var verbs []string
		for _, v := range s.verbs {
			verbs = append(verbs, quote(v))
		}
		fmt.Fprintf(w, "        %s = @{\n            Short = %s\n            Verbs = @(%s)\n            Flags = [ordered]@{\n",
			quote(s.name), quote(s.short), strings.Join(verbs, ", "))
		for _, f := range s.flags {
			fmt.Fprintf(w, "                %s = %s\n", quote("--"+f.name), quote(f.usage))
		}
		fmt.Fprintf(w, "            }\n            Valued = @(%s)\n        }\n", quoted(quote, s.flagNames(wantsFile, wantsDirectory, wantsText)))
	}
	writeLines(w,
		"    }",
		"    # The words before the cursor, without the one that is being typed.",
		"    $words = @($commandAst.CommandElements |",
		"        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |",
		"        ForEach-Object { $_.ToString() })",
		"    $offers = [ordered]@{}",
		"    if ($words.Count -le 1) {",
		"        foreach ($name in $commands.Keys) { $offers[$name] = $commands[$name].Short }",
		"    } elseif ($commands.Contains($words[1])) {",
		"        $command = $commands[$words[1]]",
		"        if ($words.Count -gt 2 -and $command.Valued -contains $words[-1]) { return }",
		"        $verb = $words | Select-Object -Skip 2 | Where-Object { $command.Verbs -contains $_ }",
		"        if ($wordToComplete.StartsWith('-')) {",
		"            foreach ($flag in $command.Flags.Keys) { $offers[$flag] = $command.Flags[$flag] }",
		"        } elseif (-not $verb) {",
		"            foreach ($name in $command.Verbs) { $offers[$name] = $name }",
		"        }",
		"    }",
		"    foreach ($offer in $offers.Keys) {",
		"        if ($offer.StartsWith($wordToComplete, [StringComparison]::OrdinalIgnoreCase)) {",
		"            [System.Management.Automation.CompletionResult]::new($offer, $offer, 'ParameterValue', $offers[$offer])",
		"        }",
		"    }",
		"}")
}

func quoted(quote func(string) string, list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, quote(s))
	}
	return strings.Join(out, ", ")
}
