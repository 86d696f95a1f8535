package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"taxii-forwarder/forwarder/replica"
)

var deadLettersCommand = &command{
	name: "dead-letters", args: "list|show ID|retry|drop [ID …] [flags]", short: "see, retry or drop what a destination refused",
	long: `A dead letter is a change that a destination refused for good: which indicator,
when, why and what was sent.

  list            a line each (--json: an object each)
  show ID         one whole, as JSON
  retry [ID …]    offer them again: those named, or all that the flags select
  drop  [ID …]    delete them: those named, or all that the flags select

retry and drop without an ID, --feed, --sink or --reason want --all.`,
	verbs: []verb{{name: "list"}, {name: "show"}, {name: "retry"}, {name: "drop"}},
}

func init() {
	deadLettersCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := deadLettersCommand.flags()
		path := configFlag(fs)
		var f replica.DeadFilter
		fs.StringVar(&f.Feed, "feed", "", "only those of this feed's `NAME`")
		fs.StringVar(&f.Sink, "sink", "", "only those of this sink's `NAME`, with or without its kind")
		fs.StringVar(&f.Reason, "reason", "", "only those with this `REASON`")
		fs.IntVar(&f.Limit, "limit", 0, "list at most `N`")
		all := fs.Bool("all", false, "retry or drop every dead letter")
		asJSON := fs.Bool("json", false, "print JSON, one object a line")
		operands, err := deadLettersCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) == 0 {
			return usagef("want list, show, retry or drop")
		}
		verb := operands[0]
		for _, s := range operands[1:] {
			id, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return usagef("%q is no dead letter's number; 'dead-letters list' shows them", s)
			}
			f.IDs = append(f.IDs, id)
		}
		l, err := locate(e, *path)
		if err != nil {
			return err
		}
		if f.Sink, err = sinkID(l.Sinks, f.Sink); err != nil {
			return err
		}
		switch verb {
		case "list":
			return listDead(ctx, e, l.StateDir, f, *asJSON)
		case "show":
			if len(f.IDs) != 1 {
				return usagef("show wants one dead letter's number")
			}
			return showDead(ctx, e, l.StateDir, f.IDs[0])
		case "retry", "drop":
			if !*all && !selects(fs) && len(f.IDs) == 0 {
				return usagef("%s wants the numbers of dead letters, --feed, --sink or --reason to select some, or --all", verb)
			}
			return changeDead(ctx, e, l.StateDir, verb, f)
		}
		return usagef("unknown verb %q; want list, show, retry or drop", verb)
	}
}

// selects reports whether a flag that narrows the choice was given.
func selects(fs *flag.FlagSet) bool {
	found := false
	fs.Visit(func(f *flag.Flag) {
		found = found || f.Name == "feed" || f.Name == "sink" || f.Name == "reason"
	})
	return found
}

// sinkID completes a sink's name with its kind.
func sinkID(sinks []string, name string) (string, error) {
	if name == "" || strings.Contains(name, ".") {
		return name, nil
	}
	var found []string
	for _, id := range sinks {
		if strings.HasSuffix(id, "."+name) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", usagef("no sink is named %q; the sinks are %s", name, strings.Join(sinks, ", "))
	case 1:
		return found[0], nil
	}
	return "", usagef("several sinks are named %q; use one of %s", name, strings.Join(found, ", "))
}

// pageOfDead is how many dead letters are read at once.
const pageOfDead = 500

func listDead(ctx context.Context, e *environment, dir string, f replica.DeadFilter, asJSON bool) error {
	store, err := openState(ctx, dir, true)
	if err != nil {
		return err
	}
	defer store.Close()
	out := json.NewEncoder(e.stdout)
	tw := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	want := f.Limit
	n := 0
	for {
		f.Limit = pageOfDead
		if want > 0 {
			f.Limit = min(pageOfDead, want-n)
		}
		letters, err := store.DeadLetters(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range letters {
			if asJSON {
				if err := out.Encode(letter(d, false)); err != nil {
					return err
				}
				continue
			}
			if n == 0 {
				fmt.Fprintln(tw, "NUMBER\tTIME\tFEED\tSINK\tINDICATOR\tREASON\tTRIES")
			}
			n++
			tries := strconv.Itoa(d.Attempts)
			if d.Retry {
				tries += " (queued)"
			}
			fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.Time.UTC().Format("2006-01-02 15:04:05"), cell(d.Feed), cell(d.Sink), cell(d.STIXID), cell(d.Reason), tries)
		}
		if len(letters) < f.Limit || (want > 0 && n >= want) {
			break
		}
		f.After = letters[len(letters)-1].ID
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(e.stdout, "no dead letters")
	}
	return tw.Flush()
}

func showDead(ctx context.Context, e *environment, dir string, id int64) error {
	store, err := openState(ctx, dir, true)
	if err != nil {
		return err
	}
	defer store.Close()
	d, err := store.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	out := json.NewEncoder(e.stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(letter(d, true))
}

// letter is a dead letter's JSON; with whole set the bodies too.
func letter(d replica.DeadLetter, whole bool) any {
	m := map[string]any{
		"id": d.ID, "feed": d.Feed, "sink": d.Sink, "indicator": d.STIXID, "time": d.Time.UTC(),
		"reason": d.Reason, "detail": d.Detail, "attempts": d.Attempts, "retry": d.Retry,
	}
	if whole {
		m["sent"] = text(d.Sent)
		m["object"] = text(d.Raw)
	}
	return m
}

// text shows bytes as the JSON they are, else as a string.
func text(b []byte) any {
	if json.Valid(b) {
		return json.RawMessage(b)
	}
	return string(b)
}

func changeDead(ctx context.Context, e *environment, dir string, verb string, f replica.DeadFilter) error {
	c, err := running(ctx, dir)
	if err != nil {
		return err
	}
	retry, drop := (func(context.Context, replica.DeadFilter) (int, error))(nil), (func(context.Context, replica.DeadFilter) (int, error))(nil)
	if c != nil {
		retry, drop = c.RetryDead, c.DropDead
	} else {
		store, err := openState(ctx, dir, false)
		if err != nil {
			return err
		}
		defer store.Close()
		retry, drop = store.RetryDead, store.DropDead
	}
	if verb == "drop" {
		n, err := drop(ctx, f)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s dropped\n", count(n, "dead letter"))
		return nil
	}
	n, err := retry(ctx, f)
	if err != nil {
		return err
	}
	when := "now"
	if c == nil {
		when = "at the next start"
	}
	fmt.Fprintf(e.stdout, "%s %s offered again %s\n", count(n, "dead letter"), isAre(n), when)
	return nil
}
