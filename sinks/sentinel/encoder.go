package sentinel

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// EncoderOptions says how an [Encoder] maps. The zero value is the default
// configuration.
type EncoderOptions struct {
	// SourceSystem is named as source of split objects; empty = the feed.
	SourceSystem string
	// Compound is "forward" (also ""), "split" or "skip".
	Compound string
	// DefaultValidity is the validity of what has no end; 0 = [DefaultValidity].
	DefaultValidity time.Duration
	// PatternTypes are the pattern languages to send; empty = all.
	PatternTypes []string
}

// Encoder maps changes to the STIX objects that the upload API accepts. It is
// a pure function of the change, and safe for use by several goroutines.
type Encoder struct {
	options EncoderOptions
}

// NewEncoder returns an Encoder.
func NewEncoder(o EncoderOptions) *Encoder {
	if o.DefaultValidity <= 0 {
		o.DefaultValidity = DefaultValidity
	}
	types := make([]string, len(o.PatternTypes))
	for i, t := range o.PatternTypes {
		types[i] = patternType(t)
	}
	o.PatternTypes = types
	return &Encoder{options: o}
}

// Append appends the objects that c becomes to dst, one a line. The outcome is
// Delivered when there is anything to send, else Skipped with its reason.
func (e *Encoder) Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	dst, _, outcome := e.encode(dst, nil, c, 0)
	return dst, outcome
}

// document is one STIX object within an encoded buffer.
type document struct {
	change     int    // index of its change
	id         string // STIX id
	source     string // source system it is uploaded under
	modified   int64  // ms since 1970
	start, end int    // its bytes, without the newline
	compound   bool   // the pattern is more than Sentinel is known to match

	fate   intel.Status
	reason string // with fate Rejected, as is detail
	detail string
}

// encode appends the objects of c, which is change number n, and a document
// for each.
func (e *Encoder) encode(dst []byte, docs []document, c *intel.Change, n int) ([]byte, []document, intel.Outcome) {
	p := e.plan(c)
	if p.skip.Status == intel.Skipped {
		return dst, docs, p.skip
	}
	add := func(o *object) {
		start := len(dst)
		dst = o.append(dst)
		docs = append(docs, document{
			change: n, id: o.id, source: e.source(c.Indicator.Feed), modified: o.modified.UnixMilli(),
			start: start, end: len(dst), compound: p.compound,
		})
		dst = append(dst, '\n')
	}
	o := p.object
	if !p.split {
		add(&o)
		return dst, docs, intel.Outcome{Status: intel.Delivered}
	}
	if p.entire {
		add(&o)
	}
	o.splitFrom, o.splitSource = c.Indicator.ID, e.source(c.Indicator.Feed)
	o.patternType, o.patternVersion = "stix", ""
	if c.Action == intel.Upsert && !c.Indicator.Revoked {
		for i := range c.Indicator.Observables {
			ob := &c.Indicator.Observables[i]
			o.id, o.pattern = derivedID(c.Indicator.ID, ob.Ref()), observablePattern(ob)
			add(&o)
		}
	}
	o.revoke(c.At)
	for _, ref := range p.revoke {
		o.id, o.pattern = derivedID(c.Indicator.ID, ref), refPattern(ref)
		add(&o)
	}
	if p.replaced {
		o = p.object
		o.revoke(c.At)
		add(&o)
	}
	return dst, docs, intel.Outcome{Status: intel.Delivered}
}

// source is the source system for a feed's objects.
func (e *Encoder) source(feed string) string {
	switch {
	case e.options.SourceSystem != "":
		return e.options.SourceSystem
	case feed == "" || strings.EqualFold(strings.TrimSpace(feed), reservedSourceSystem):
		return fallbackSourceSystem
	}
	return feed
}

// plan is what a change becomes.
type plan struct {
	skip   intel.Outcome // Skipped when nothing is sent
	object object        // the object, or the common part of those it is split into
	split  bool
	// compound is set when a pattern is forwarded that is not a single value.
	compound bool
	revoke   []intel.Ref // with split: observables whose objects are revoked
	// With split: whether the indicator is forwarded under its own id, as its
	// pattern is not STIX, and whether what was so forwarded is revoked.
	entire, replaced bool
}

func (e *Encoder) plan(c *intel.Change) plan {
	ind := c.Indicator
	if !validID(ind.ID) {
		return skip("bad_id", "the id is not indicator-- and a UUID")
	}
	withdraw := c.Action == intel.Withdraw || ind.Revoked
	var p plan
	if withdraw {
		// What was sent is revoked, whatever would be sent now.
		p.object = newObject(c, e.options.DefaultValidity)
		p.object.pattern = withdrawnPattern(ind, c.Remove)
		p.object.revoke(c.At)
		p.split, p.revoke, p.replaced = e.options.Compound == "split" && len(c.Remove) > 0, c.Remove, c.Whole
		return p
	}
	if out := e.refuse(c); out.Status == intel.Skipped {
		return plan{skip: out}
	}
	p.object = newObject(c, e.options.DefaultValidity)
	if !p.object.validUntil.After(p.object.validFrom) {
		return skip("validity", "valid_until is not after valid_from")
	}
	if p.object.patternType != "stix" {
		p.split, p.revoke, p.entire = e.options.Compound == "split" && len(c.Remove) > 0, c.Remove, true
		return p
	}
	single, isSingle := singlePattern(ind)
	switch {
	case e.options.Compound == "split":
		// Single values are split as well: were they sent under the indicator's own
		// id, a new version with one value more would leave that object behind.
		p.split, p.revoke, p.replaced = true, c.Remove, c.Whole
	case isSingle:
		p.object.pattern, p.object.patternVersion = single, ""
	default:
		p.compound = true
	}
	return p
}

// refuse says why an upsert can not or shall not be sent.
func (e *Encoder) refuse(c *intel.Change) intel.Outcome {
	ind := c.Indicator
	kind := patternType(ind.PatternType)
	switch {
	case ind.Pattern == "":
		return skipped("missing_required", "pattern")
	case ind.Created.IsZero() && ind.Modified.IsZero():
		return skipped("missing_required", "created and modified")
	case len(e.options.PatternTypes) > 0 && !slices.Contains(e.options.PatternTypes, kind):
		return skipped("pattern_type", "pattern_type "+kind+" is not among pattern_types")
	case !ind.ValidUntil.IsZero() && !ind.ValidUntil.After(c.At):
		return skipped("expired", "")
	}
	if kind != "stix" {
		return intel.Outcome{}
	}
	if ind.FidelityReason == "invalid_pattern" {
		return skipped("invalid_pattern", "Sentinel would hold it without ever matching")
	}
	switch e.options.Compound {
	case "split":
		if len(ind.Observables) == 0 {
			return skipped(or(ind.FidelityReason, "no_observable"), "there is nothing to split into")
		}
	case "skip":
		if _, ok := singlePattern(ind); !ok {
			if len(ind.Observables) == 0 {
				return skipped(or(ind.FidelityReason, "no_observable"), "")
			}
			return skipped("compound", "")
		}
	}
	return intel.Outcome{}
}

func skipped(reason, detail string) intel.Outcome {
	return intel.Outcome{Status: intel.Skipped, Reason: reason, Detail: detail}
}

func skip(reason, detail string) plan { return plan{skip: skipped(reason, detail)} }

// patternType returns the pattern language's name as Sentinel knows it.
func patternType(s string) string {
	switch s = strings.ToLower(strings.TrimSpace(s)); s {
	case "", "stix2", "stix2.0", "stix2.1":
		return "stix"
	}
	return s
}

// line returns a document's bytes for a message or a dead letter.
func (d *document) line(buf []byte) []byte { return bytes.Clone(buf[d.start:d.end]) }
