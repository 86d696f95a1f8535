package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// Verdict is the result of trying one feed or sink.
type Verdict struct {
	What   string        `json:"what"` // "feed" or "sink"
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Detail string        `json:"detail"`
	Kind   string        `json:"failure_kind,omitempty"`
	Took   time.Duration `json:"-"`
}

// onlineTimeout bounds each check of a feed or sink.
const onlineTimeout = 45 * time.Second

// CheckOnline logs in to every feed and sink of cfg and reports each verdict as
// it is known. Nothing is sent to a sink that would stay there.
func CheckOnline(ctx context.Context, cfg *config.Config, log hclog.Logger, version string, report func(Verdict)) {
	for _, f := range cfg.Feeds {
		report(try(ctx, "feed", f.Name, func(ctx context.Context) (string, error) {
			return checkFeed(ctx, f, log, version)
		}))
	}
	for _, s := range cfg.Sinks {
		report(try(ctx, "sink", s.Kind+"."+s.Name, func(ctx context.Context) (string, error) {
			sink, err := Sink(s, log, version)
			if err != nil {
				return "", err
			}
			return "accepts a batch", errors.Join(sink.Check(ctx), sink.Close())
		}))
	}
}

func try(ctx context.Context, what, name string, check func(context.Context) (string, error)) Verdict {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	started := time.Now()
	v := Verdict{What: what, Name: name, OK: true}
	detail, err := check(ctx)
	v.Detail, v.Took = detail, time.Since(started)
	if err != nil {
		v.OK, v.Detail = false, err.Error()
		v.Kind = string(intel.AsFailure(err).Kind)
	}
	return v
}

func checkFeed(ctx context.Context, f config.Feed, log hclog.Logger, version string) (string, error) {
	client, err := Client(f, log, version)
	if err != nil {
		return "", err
	}
	all, err := ListCollections(ctx, client, f.DiscoveryURL, f.APIRootURL)
	if err != nil {
		return "", err
	}
	picked, problems := taxii.Select(all, f.Collections)
	if len(problems) > 0 {
		return "", intel.Fail(intel.FailConfig, "%s", problems[0])
	}
	return fmt.Sprintf("follows %d of the %d collections served", len(picked), len(all)), nil
}

// ListCollections returns the collections of one API root, or of all roots that
// discovery names. Roots that can not be read are left out unless all are so.
func ListCollections(ctx context.Context, c *taxii.Client, discovery, root string) ([]taxii.Collection, error) {
	roots := []string{root}
	if root == "" {
		d, err := c.Discover(ctx, discovery)
		if err != nil {
			return nil, err
		}
		if roots = d.APIRoots; len(roots) == 0 {
			return nil, intel.Fail(intel.FailProtocol, "discovery at %s names no API root", discovery)
		}
	}
	var all []taxii.Collection
	var errs []error
	for _, r := range roots {
		cs, err := c.Collections(ctx, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, cs...)
	}
	if len(errs) == len(roots) {
		return nil, errors.Join(errs...)
	}
	return all, nil
}
