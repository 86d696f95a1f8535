package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// origin is where a release comes from.
type origin struct {
	version, commit, date string // date: of the commit, RFC 3339
}

// describe fills in what is not given from the git checkout in dir. A source
// without git needs all three.
func describe(ctx context.Context, dir string, o origin) (origin, error) {
	if o.version != "" && o.commit != "" && o.date != "" {
		return o, nil
	}
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
		}
		return strings.TrimSpace(string(out)), err
	}
	head, err := git("rev-parse", "HEAD")
	if err != nil {
		return o, fmt.Errorf("%w; outside of a git checkout give --version, --commit and --date", err)
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return o, err
	}
	if o.version == "" {
		o.version = "0.0.0-dev+" + head[:12]
		tag, err := git("describe", "--tags", "--exact-match", "--match", "v[0-9]*")
		switch {
		case changed != "":
			o.version += ".modified"
		case err == nil:
			o.version = strings.TrimPrefix(tag, "v")
		}
	}
	if o.commit == "" {
		o.commit = head
	}
	if o.date == "" {
		seconds, err := git("log", "-1", "--format=%ct", head)
		if err != nil {
			return o, err
		}
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return o, fmt.Errorf("git log: %q is not a time", seconds)
		}
		o.date = time.Unix(n, 0).UTC().Format(time.RFC3339)
	}
	return o, nil
}
