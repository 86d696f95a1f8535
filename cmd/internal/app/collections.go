package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// Listing is what a feed's server offers.
type Listing struct {
	Collections []taxii.Collection
	ServerTime  time.Time // the server's clock; zero = it did not say
	Warnings    []string  // API roots that could not be read beside others that could
}

// List returns the collections of one API root, or of all roots that discovery
// names. Roots that can not be read are left out unless all are so.
func List(ctx context.Context, c *taxii.Client, discovery, root string) (Listing, error) {
	var l Listing
	roots := []string{root}
	if root == "" {
		d, err := c.Discover(ctx, discovery)
		if err != nil {
			return l, err
		}
		roots, l.ServerTime = d.APIRoots, d.ServerTime
	}
	var errs []error
	for _, r := range roots {
		cs, err := Collections(ctx, c, r)
		if err != nil {
			errs = append(errs, err)
			l.Warnings = append(l.Warnings, fmt.Sprintf("API root %s can not be read: %v", r, err))
			continue
		}
		l.Collections = append(l.Collections, cs...)
	}
	if len(errs) == len(roots) {
		return l, errors.Join(errs...)
	}
	return l, nil
}

// Collections lists the collections of an API root. When that does not work,
// the root itself is asked what it is: a wrong URL is then named as such.
func Collections(ctx context.Context, c *taxii.Client, root string) ([]taxii.Collection, error) {
	cs, err := c.Collections(ctx, root)
	if err == nil || ctx.Err() != nil {
		return cs, err
	}
	if k := intel.AsFailure(err).Kind; k != intel.FailNotFound && k != intel.FailProtocol {
		return nil, err
	}
	if _, rerr := c.APIRoot(ctx, root); rerr != nil && intel.AsFailure(rerr).Kind == intel.FailProtocol {
		return nil, rerr
	}
	return nil, err
}

// start returns where the first poll of a feed begins.
func start(f config.Feed, now time.Time) taxii.Position {
	switch {
	case !f.StartFrom.Time.IsZero():
		return taxii.StartAt(f.StartFrom.Time)
	case f.StartFrom.Age > 0:
		return taxii.StartAt(now.Add(-f.StartFrom.Age))
	}
	return taxii.Position{}
}
