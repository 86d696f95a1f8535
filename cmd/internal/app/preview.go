package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/stix"
	"taxii-forwarder/forwarder/taxii"
)

// PreviewOptions select what to show.
type PreviewOptions struct {
	Feed, Sink string // "" = all; a sink with or without its kind
	Limit      int    // indicators per feed
}

// PreviewCounts sum up a preview.
type PreviewCounts struct {
	Routes []RoutePreview `json:"routes"`
	// Warnings name collections that are not followed, and what is odd about a server.
	Warnings []string `json:"warnings,omitempty"`
}

// RoutePreview sums up what one route would send.
type RoutePreview struct {
	Feed       string         `json:"feed"`
	Sink       string         `json:"sink"`
	Indicators int            `json:"read"`          // from the feed
	Sent       int            `json:"would_be_sent"` // of those, what the sink would be sent
	Documents  int            `json:"documents"`     // that they make
	Filtered   int            `json:"filtered_out"`  // kept back by the route's where
	Skipped    map[string]int `json:"not_sent"`      // by reason: revoked, expired, benign, or what the sink can not hold
}

// errEnough ends a walk that has seen what it wanted.
var errEnough = errors.New("enough")

// Preview reads the first indicators of feeds and writes to w what sinks would
// be sent, one document a line. It sends and stores nothing. progress, if not
// nil, is told of each page.
func Preview(ctx context.Context, cfg *config.Config, o PreviewOptions, w io.Writer, log hclog.Logger, version string, progress func(feed string, indicators int)) (PreviewCounts, error) {
	var counts PreviewCounts
	matched := false
	for _, f := range cfg.Feeds {
		if o.Feed != "" && o.Feed != f.Name {
			continue
		}
		var routes []config.Route
		for _, r := range cfg.Routes {
			if r.Feed == f.Name && (o.Sink == "" || o.Sink == r.SinkName || o.Sink == r.SinkKind+"."+r.SinkName) {
				routes = append(routes, r)
			}
		}
		if len(routes) == 0 {
			continue
		}
		matched = true
		indicators, warnings, err := sample(ctx, f, o.Limit, log, version, progress)
		if err != nil {
			return counts, fmt.Errorf("preview feed %s: %w", f.Name, err)
		}
		counts.Warnings = append(counts.Warnings, warnings...)
		for _, r := range routes {
			n, err := show(cfg, r, indicators, w, log, version)
			if err != nil {
				return counts, err
			}
			counts.Routes = append(counts.Routes, n)
		}
	}
	if !matched {
		return counts, NoRoute(cfg.Routes, o.Sink, o.Feed)
	}
	return counts, nil
}

// sample reads up to limit indicators of a feed, enriched by whatever came with
// them.
func sample(ctx context.Context, f config.Feed, limit int, log hclog.Logger, version string, progress func(string, int)) (_ []*intel.Indicator, warnings []string, err error) {
	client, err := Client(f, log, version)
	if err != nil {
		return nil, nil, err
	}
	all, err := List(ctx, client, f.DiscoveryURL, f.APIRootURL)
	if err != nil {
		return nil, nil, err
	}
	picked, problems := taxii.Select(all.Collections, f.Collections)
	if len(picked) == 0 {
		return nil, nil, intel.Fail(intel.FailConfig, "%s", strings.Join(problems, "; "))
	}
	warnings = append(all.Warnings, problems...)
	from := start(f, time.Now())
	newest := map[string]*intel.Indicator{}
	var order []*intel.Indicator
	var other [][]byte
	for _, col := range picked {
		res, err := client.Walk(ctx, taxii.Walk{
			Root: col.Root, Collection: col.ID, From: from,
			Filter: taxii.Filter{Types: f.MatchTypes, SpecVersions: f.MatchSpecVersions},
			Visit: func(_ context.Context, c taxii.Chunk) error {
				for _, raw := range c.Objects {
					if f.Identity == config.IdentityContent {
						raw = stix.ByContent(raw)
					}
					o, err := stix.DecodeObject(raw)
					if err != nil {
						continue
					}
					if o.Type != "indicator" {
						if len(other) < 10*limit {
							other = append(other, raw)
						}
						continue
					}
					ind, _, err := stix.DecodeIndicator(raw)
					if err != nil {
						continue
					}
					ind.Feed, ind.Collection = f.Name, col.ID
					if before := newest[ind.ID]; before != nil {
						if ind.Version() >= before.Version() {
							*before = *ind
						}
						continue
					}
					if len(order) < limit {
						newest[ind.ID] = ind
						order = append(order, ind)
					}
				}
				if progress != nil {
					progress(f.Name, len(order))
				}
				if len(order) >= limit && c.PageEnd {
					return errEnough
				}
				return nil
			},
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, nil, err
		}
		for _, w := range res.Warnings {
			warnings = append(warnings, fmt.Sprintf("collection %s: %s", label(col), w))
		}
		if len(order) >= limit {
			break
		}
	}
	for _, ind := range order {
		stix.Enrich(ind, concerning(ind, other))
		stix.Derive(ind)
	}
	return order, warnings, nil
}

// concerning returns the objects that say something about ind: Enrich takes
// every relationship it is given to be about its indicator.
func concerning(ind *intel.Indicator, others [][]byte) [][]byte {
	var out [][]byte
	targets := map[string]bool{ind.CreatedByRef: true}
	for _, ref := range ind.MarkingRefs {
		targets[ref] = true
	}
	for _, raw := range others {
		o, err := stix.DecodeObject(raw)
		if err != nil {
			continue
		}
		if o.SourceRef == ind.ID && o.RelationshipType == "indicates" {
			targets[o.TargetRef] = true
			out = append(out, raw)
		}
		if o.SightingOfRef == ind.ID {
			out = append(out, raw)
		}
	}
	for _, raw := range others {
		if o, err := stix.DecodeObject(raw); err == nil && targets[o.ID] {
			out = append(out, raw)
		}
	}
	return out
}

// show writes what one route's sink would be sent.
func show(cfg *config.Config, r config.Route, indicators []*intel.Indicator, w io.Writer, log hclog.Logger, version string) (RoutePreview, error) {
	n := RoutePreview{Feed: r.Feed, Sink: r.SinkKind + "." + r.SinkName, Indicators: len(indicators), Skipped: map[string]int{}}
	i := slices.IndexFunc(cfg.Sinks, func(s config.Sink) bool { return s.Kind == r.SinkKind && s.Name == r.SinkName })
	if i < 0 {
		return n, NoRoute(cfg.Routes, n.Sink, n.Feed)
	}
	sink, err := Sink(cfg.Sinks[i], log, version)
	if err != nil {
		return n, err
	}
	defer sink.Close()
	p, ok := sink.Sink.(intel.Previewer)
	if !ok {
		return n, fmt.Errorf("sink %s can not show what it would send", sink.ID())
	}
	now := time.Now()
	for seq, ind := range indicators {
		if reason := withheld(ind, now); reason != "" {
			n.Skipped[string(reason)]++
			continue
		}
		if r.Where != nil && !r.Where.Match(ind) {
			n.Filtered++
			continue
		}
		doc, out := p.Preview(nil, &intel.Change{Seq: int64(seq + 1), Action: intel.Upsert, Indicator: ind, At: now})
		if out.Status != intel.Delivered {
			n.Skipped[out.Reason]++
			continue
		}
		n.Sent++
		n.Documents += bytes.Count(doc, []byte{'\n'})
		if _, err := w.Write(doc); err != nil {
			return n, err
		}
	}
	return n, nil
}

// withheld says why no sink is sent an indicator, as the engine decides it;
// empty = it is sent.
func withheld(ind *intel.Indicator, now time.Time) intel.Reason {
	switch {
	case ind.Revoked:
		return intel.ReasonRevoked
	case !ind.ValidUntil.IsZero() && !ind.ValidUntil.After(now):
		return intel.ReasonExpired
	case slices.Contains(ind.IndicatorTypes, "benign"):
		return intel.ReasonBenign
	}
	return ""
}
