package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

var manCommand = &command{
	name: "man", args: "", short: "print the manual page",
	long: `Prints the manual page taxii-forwarder(1) in the mdoc language; the packages for
Linux install it. By hand:

  taxii-forwarder man > taxii-forwarder.1 && man ./taxii-forwarder.1`,
}

func init() {
	manCommand.run = func(_ context.Context, e *environment, args []string) error {
		operands, err := manCommand.parse(e, manCommand.flags(), args)
		if err != nil {
			return err
		}
		if err := none(operands); err != nil {
			return err
		}
		manual(e.stdout, manualDate())
		return nil
	}
}

// manualDate is the date of the commit that the program was built from; a
// build that does not know it is of today.
func manualDate() time.Time {
	_, _, d := build()
	if t, err := time.Parse(time.RFC3339, d); err == nil {
		return t.UTC()
	}
	return time.Now().UTC()
}

// manual writes the manual page (mdoc(7)).
func manual(w io.Writer, date time.Time) {
	fmt.Fprintf(w, ".Dd %s\n%s", date.Format("January 2, 2006"), manualHead)
	for _, c := range commands() {
		fmt.Fprintf(w, ".It Ic %s", c.name)
		if c.args != "" {
			fmt.Fprintf(w, " %s", mdocWord(c.args))
		}
		fmt.Fprintln(w)
		mdocText(w, c.long)
		flags := c.flagList()
		if len(flags) == 0 {
			continue
		}
		fmt.Fprintln(w, ".Bl -tag -width Ds")
		for _, f := range flags {
			// What Fl sets has one dash of its own.
			fmt.Fprintf(w, ".It Fl \\-%s", strings.ReplaceAll(f.name, "-", `\-`))
			if f.argument != "" {
				fmt.Fprintf(w, " Ar %s", f.argument)
			}
			fmt.Fprintln(w)
			usage := f.usage
			if usage != "" {
				usage = strings.ToUpper(usage[:1]) + usage[1:]
			}
			if f.fallback != "" {
				usage += " (default " + f.fallback + ")"
			}
			fmt.Fprintln(w, mdocLine(usage+"."))
		}
		fmt.Fprintln(w, ".El")
	}
	io.WriteString(w, manualMiddle)
	for _, x := range exitStatuses {
		fmt.Fprintf(w, ".It %d\n", x.code)
		mdocText(w, strings.ToUpper(x.meaning[:1])+x.meaning[1:]+".")
	}
	io.WriteString(w, manualTail)
}

// mdocColumns keeps the source within 80 columns; escapes add a few to a line.
const mdocColumns = 68

// sentence finds where one sentence ends and the next begins: each wants a line
// of its own in mdoc.
var sentence = regexp.MustCompile(`([.:;?!]\)?) +([A-Z(])`)

// mdocText writes text as a command's help has it: paragraphs, and indented
// lines that stay as they are.
func mdocText(w io.Writer, text string) {
	paragraphs := strings.Split(strings.Trim(text, "\n"), "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, "  ") {
			fmt.Fprintln(w, ".Bd -literal -offset indent")
			for line := range strings.Lines(p) {
				fmt.Fprintln(w, mdocLine(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")))
			}
			fmt.Fprintln(w, ".Ed")
			continue
		}
		if i > 0 {
			fmt.Fprintln(w, ".Pp")
		}
		flowing := strings.Join(strings.Fields(p), " ")
		for line := range strings.SplitSeq(sentence.ReplaceAllString(flowing, "$1\n$2"), "\n") {
			for part := range strings.SplitSeq(hang(line, 0, mdocColumns), "\n") {
				fmt.Fprintln(w, mdocLine(part))
			}
		}
	}
}

// mdocLine escapes a line of text: backslashes, dashes, which are hyphens
// otherwise, and what would be taken for a macro at its beginning.
func mdocLine(s string) string {
	s = mdocEscape(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}

func mdocEscape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
}

// mdocWord makes text one argument of a macro.
func mdocWord(s string) string {
	return `Ar "` + strings.ReplaceAll(mdocEscape(s), `"`, `""`) + `"`
}
