package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// Verdict is the result of trying one feed or sink.
type Verdict struct {
	What     string        `json:"what"` // "feed" or "sink"
	Name     string        `json:"name"`
	OK       bool          `json:"ok"`
	Detail   string        `json:"detail"` // what was found, or what is wrong and what to do
	Kind     string        `json:"failure_kind,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Took     time.Duration `json:"-"`
}

// MarshalJSON writes a verdict with its time in milliseconds.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	return json.Marshal(struct {
		plain
		Milliseconds int64 `json:"milliseconds"`
	}{plain(v), v.Took.Milliseconds()})
}

const (
	// onlineTimeout bounds each check of a feed or sink.
	onlineTimeout = 45 * time.Second
	// onlineAtOnce is how many are checked at the same time: one that does not
	// answer must not make the others wait for its timeout.
	onlineAtOnce = 4
	// readsAtMost bounds the collections that are tried one by one; servers with
	// hundreds of them limit the requests of an account.
	readsAtMost = 10
	// clockSkew is how far clocks may be apart without a remark.
	clockSkew = 2 * time.Minute
)

// CheckOnline logs in to every feed and sink of cfg and reports each verdict, in
// the order of the configuration. Nothing is sent to a sink that would stay
// there.
func CheckOnline(ctx context.Context, cfg *config.Config, log hclog.Logger, version string, report func(Verdict)) {
	var checks []func() Verdict
	for _, f := range cfg.Feeds {
		checks = append(checks, func() Verdict {
			return try(ctx, Verdict{What: "feed", Name: f.Name}, func(ctx context.Context, v *Verdict) error {
				return checkFeed(ctx, f, log, version, v)
			})
		})
	}
	for _, s := range cfg.Sinks {
		checks = append(checks, func() Verdict {
			return try(ctx, Verdict{What: "sink", Name: s.Kind + "." + s.Name}, func(ctx context.Context, v *Verdict) error {
				sink, err := Sink(s, log, version)
				if err != nil {
					return err
				}
				v.Detail = "accepts a batch"
				return errors.Join(sink.Check(ctx), sink.Close())
			})
		})
	}
	slots := make(chan struct{}, onlineAtOnce)
	results := make([]chan Verdict, len(checks))
	for i, check := range checks {
		results[i] = make(chan Verdict, 1)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] <- check()
		}()
	}
	for _, r := range results {
		report(<-r)
	}
}

func try(ctx context.Context, v Verdict, check func(context.Context, *Verdict) error) Verdict {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	started := time.Now()
	err := check(ctx, &v)
	v.OK, v.Took = err == nil, time.Since(started)
	if err != nil {
		v.Detail = err.Error()
		v.Kind = string(intel.AsFailure(err).Kind)
	}
	return v
}

// checkFeed lists the collections that the feed follows and reads one object
// of each: servers let some accounts list what they may not read.
func checkFeed(ctx context.Context, f config.Feed, log hclog.Logger, version string, v *Verdict) error {
	f.PageSize = 1
	client, err := Client(f, log, version)
	if err != nil {
		return err
	}
	all, err := List(ctx, client, f.DiscoveryURL, f.APIRootURL)
	v.Warnings = all.Warnings
	if err != nil {
		return err
	}
	picked, problems := taxii.Select(all.Collections, f.Collections)
	if len(problems) > 0 {
		return intel.Fail(intel.FailConfig, "%s", strings.Join(problems, "; "))
	}
	var denied []error
	for i, col := range picked {
		if i == readsAtMost {
			break
		}
		res, err := readOne(ctx, client, f, col)
		if !res.ServerTime.IsZero() {
			all.ServerTime = res.ServerTime
		}
		for _, w := range res.Warnings {
			v.Warnings = append(v.Warnings, fmt.Sprintf("collection %s: %s", label(col), w))
		}
		if err != nil {
			denied = append(denied, fmt.Errorf("collection %s is listed but can not be read: %w", label(col), err))
			if k := intel.AsFailure(err).Kind; k != intel.FailAuth && k != intel.FailNotFound {
				break // the others would fail alike
			}
		}
	}
	if w := skew(time.Now(), all.ServerTime); w != "" {
		v.Warnings = append(v.Warnings, w)
	}
	if len(denied) > 0 {
		return errors.Join(denied...)
	}
	v.Detail = fmt.Sprintf("follows %d of the %d collections served", len(picked), len(all.Collections))
	if len(picked) <= 4 {
		var names []string
		for _, col := range picked {
			names = append(names, label(col))
		}
		v.Detail += ": " + strings.Join(names, ", ")
	}
	return nil
}

// readOne asks for one object of a collection.
func readOne(ctx context.Context, c *taxii.Client, f config.Feed, col taxii.Collection) (taxii.WalkResult, error) {
	res, err := c.Walk(ctx, taxii.Walk{
		Root: col.Root, Collection: col.ID, From: start(f, time.Now()),
		Filter: taxii.Filter{Types: f.MatchTypes, SpecVersions: f.MatchSpecVersions},
		Visit:  func(context.Context, taxii.Chunk) error { return errEnough },
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return res, err
}

func label(c taxii.Collection) string {
	switch {
	case c.Title != "":
		return c.Title
	case c.Alias != "":
		return c.Alias
	}
	return c.ID
}

// skew remarks on clocks that are apart; a wrong clock here expires indicators
// too early or too late and makes good certificates look bad.
func skew(here, there time.Time) string {
	if there.IsZero() {
		return ""
	}
	d := here.Sub(there).Round(time.Second)
	way := "ahead of"
	if d < 0 {
		d, way = -d, "behind"
	}
	if d <= clockSkew {
		return ""
	}
	return fmt.Sprintf("this machine's clock is %s %s the server's: check both; indicators expire by this machine's", d, way)
}
