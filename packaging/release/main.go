// Command release builds everything that a release of taxii-forwarder consists
// of: archives, deb and rpm packages, an MSI, a bill of materials for each
// binary and SHA256SUMS. Run it at the root of the source:
//
//	go run ./packaging/release
//
// The same source, version and Go release give the same bytes, wherever and
// whenever: nothing of the machine, the directory or the clock gets in. The
// date that everything carries is the commit's.
//
// It needs Linux and Go; for the MSI also wixl and msitools. The go command
// fetches the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	version := fs.String("version", "", "version, such as 1.2.0 or 1.2.0-rc.1; the tag of the commit unless set, else 0.0.0-dev+COMMIT")
	commit := fs.String("commit", "", "hash of the commit; git's HEAD unless set")
	date := fs.String("date", "", "time of the commit, RFC 3339; git's unless set")
	out := fs.String("out", "dist", "directory to write to; must not exist or be empty")
	only := fs.String("only", "", "comma-separated parts and platforms to build: "+choices())
	skip := fs.String("skip", "", "comma-separated parts and platforms to leave out")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; --help shows what there is", fs.Arg(0))
	}
	plan, err := choose(*only, *skip)
	if err != nil {
		return err
	}
	o, err := describe(ctx, ".", origin{*version, *commit, *date})
	if err != nil {
		return err
	}
	r := &release{root: ".", origin: o, plan: plan, log: log}
	if r.version, err = parseVersion(o.version); err != nil {
		return err
	}
	if r.date, err = time.Parse(time.RFC3339, o.date); err != nil {
		return fmt.Errorf("--date %q is not a time as RFC 3339 has it, such as 2026-01-31T12:00:00Z", o.date)
	}
	r.date = r.date.UTC()
	if err := r.ready(); err != nil {
		return err
	}
	if r.out, err = freshDir(*out); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "taxii-forwarder-release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	return r.build(ctx)
}

// freshDir makes dir and returns its absolute path. One that holds something
// is refused: what an earlier run left would get into the checksums.
func freshDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%s is not empty; remove it or choose another directory with --out", dir)
	}
	return filepath.Abs(dir)
}

func choices() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	for _, p := range platforms {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
