package forwarder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// origin says what part of a collection is followed; it is stored beside the
// position. A position reached under another origin is not ours.
type origin struct {
	Types        []string  `json:"types,omitempty"`
	SpecVersions []string  `json:"spec_versions,omitempty"`
	StartFrom    string    `json:"start_from"`
	ByContent    bool      `json:"by_content,omitempty"`
	Start        time.Time `json:"start,omitzero"` // what StartFrom came to at the first poll
}

func (f *feedLoop) origin() origin {
	o := origin{Types: f.Filter.Types, SpecVersions: f.Filter.SpecVersions, StartFrom: f.StartFrom.String(), ByContent: f.ByContent}
	switch {
	case !f.StartFrom.Time.IsZero():
		o.Start = f.StartFrom.Time.UTC()
	case f.StartFrom.Age > 0:
		o.Start = f.now().Add(-f.StartFrom.Age).UTC()
	}
	return o
}

// same reports whether p asks for what o asks for, apart from what a relative
// start came to.
func (o origin) same(p origin) bool {
	return slices.Equal(o.Types, p.Types) && slices.Equal(o.SpecVersions, p.SpecVersions) && o.StartFrom == p.StartFrom && o.ByContent == p.ByContent
}

// position returns where a walk of everything followed begins.
func (o origin) position() taxii.Position {
	if o.Start.IsZero() {
		return taxii.Position{}
	}
	return taxii.StartAt(o.Start)
}

// load reads the collection's position. A collection seen for the first time
// starts where start_from says. It reports whether the stored position was
// reached under another match, start_from or identity.
func (c *collectionLoop) load(ctx context.Context) (stale bool, err error) {
	raw, stored, err := c.feed.store.Position(ctx, c.key)
	if err != nil {
		return false, err
	}
	c.origin = c.feed.origin()
	c.position = c.origin.position()
	if stored == "" {
		return false, c.confirm(ctx)
	}
	var before origin
	if err := json.Unmarshal([]byte(stored), &before); err != nil {
		return false, intel.Fail(intel.FailLocal, "stored origin of collection %s: %v", c.ID, err)
	}
	if !before.same(c.origin) {
		// Polled from the new start right away; the stored origin is only replaced
		// when a resync has withdrawn what no longer belongs to the feed.
		c.log.Info("match, start_from or identity changed; the collection is walked again")
		return true, nil
	}
	c.origin = before
	if len(raw) == 0 {
		c.position = c.origin.position()
	} else if c.position, err = taxii.ParsePosition(raw); err != nil {
		return false, intel.Fail(intel.FailLocal, "stored state of collection %s: %v", c.ID, err)
	}
	return false, nil
}

// confirm stores the position together with the origin in force.
func (c *collectionLoop) confirm(ctx context.Context) error {
	c.walking.Lock() // no poll moves the position meanwhile
	defer c.walking.Unlock()
	c.mu.Lock()
	pos := c.position
	c.mu.Unlock()
	raw, err := json.Marshal(pos)
	if err != nil {
		return fmt.Errorf("encode position of %s: %w", c.ID, err)
	}
	org, err := json.Marshal(c.origin)
	if err != nil {
		return fmt.Errorf("encode origin of %s: %w", c.ID, err)
	}
	return c.feed.store.SetPosition(ctx, c.key, raw, string(org))
}
