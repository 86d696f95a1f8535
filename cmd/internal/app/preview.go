package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	Indicators int            `json:"indicators"`
	Filtered   int            `json:"filtered"`
	Skipped    map[string]int `json:"skipped,omitempty"`
	Documents  int            `json:"documents"`
}

// errEnough ends a walk that has seen what it wanted.
var errEnough = errors.New("enough")

// Preview reads the first indicators of feeds and writes to w what sinks would
// be sent, one document a line. It sends and stores nothing. progress, if not
// nil, is told of each page.
func Preview(ctx context.Context, cfg *config.Config, o PreviewOptions, w io.Writer, log hclog.Logger, version string, progress func(feed string, indicators int)) (PreviewCounts, error) {
	counts := PreviewCounts{Skipped: map[string]int{}}
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
		indicators, err := sample(ctx, f, o.Limit, log, version, progress)
		if err != nil {
			return counts, fmt.Errorf("preview feed %s: %w", f.Name, err)
		}
		counts.Indicators += len(indicators)
		for _, r := range routes {
			if err := show(cfg, r, indicators, w, log, version, &counts); err != nil {
				return counts, err
			}
		}
	}
	if !matched {
		return counts, NoRoute(cfg.Routes, o.Sink, o.Feed)
	}
	return counts, nil
}

// sample reads up to limit indicators of a feed, enriched by whatever came with
// them.
func sample(ctx context.Context, f config.Feed, limit int, log hclog.Logger, version string, progress func(string, int)) ([]*intel.Indicator, error) {
	client, err := Client(f, log, version)
	if err != nil {
		return nil, err
	}
	all, err := ListCollections(ctx, client, f.DiscoveryURL, f.APIRootURL)
	if err != nil {
		return nil, err
	}
	picked, problems := taxii.Select(all, f.Collections)
	if len(picked) == 0 {
		return nil, fmt.Errorf("%v", problems)
	}
	var from taxii.Position
	switch {
	case !f.StartFrom.Time.IsZero():
		from = taxii.StartAt(f.StartFrom.Time)
	case f.StartFrom.Age > 0:
		from = taxii.StartAt(time.Now().Add(-f.StartFrom.Age))
	}
	newest := map[string]*intel.Indicator{}
	var order []*intel.Indicator
	var other [][]byte
	for _, col := range picked {
		_, err := client.Walk(ctx, taxii.Walk{
			Root: col.Root, Collection: col.ID, From: from,
			Filter: taxii.Filter{Types: f.MatchTypes, SpecVersions: f.MatchSpecVersions},
			Visit: func(_ context.Context, c taxii.Chunk) error {
				for _, raw := range c.Objects {
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
			return nil, err
		}
	}
	for _, ind := range order {
		stix.Enrich(ind, concerning(ind, other))
		stix.Derive(ind)
	}
	return order, nil
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
func show(cfg *config.Config, r config.Route, indicators []*intel.Indicator, w io.Writer, log hclog.Logger, version string, counts *PreviewCounts) error {
	for _, s := range cfg.Sinks {
		if s.Kind != r.SinkKind || s.Name != r.SinkName {
			continue
		}
		sink, err := Sink(s, log, version)
		if err != nil {
			return err
		}
		defer sink.Close()
		p, ok := sink.Sink.(intel.Previewer)
		if !ok {
			return fmt.Errorf("sink %s can not show what it would send", sink.ID())
		}
		now := time.Now()
		for n, ind := range indicators {
			c := intel.Change{Seq: int64(n + 1), Action: intel.Upsert, Indicator: ind, At: now}
			if r.Where != nil && !r.Where.Match(ind) {
				counts.Filtered++
				continue
			}
			doc, out := p.Preview(nil, &c)
			if out.Status != intel.Delivered {
				counts.Skipped[out.Reason]++
				continue
			}
			counts.Documents += lines(doc)
			if _, err := w.Write(doc); err != nil {
				return err
			}
		}
	}
	return nil
}

func lines(b []byte) int {
	n := 0
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// MarshalJSON writes a verdict with its time in milliseconds.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	return json.Marshal(struct {
		plain
		Milliseconds int64 `json:"milliseconds"`
	}{plain(v), v.Took.Milliseconds()})
}
