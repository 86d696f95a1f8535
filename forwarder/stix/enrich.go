package stix

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Enrich adds to ind what other objects of its feed say about it: the
// producer's name, the level of its markings, what it indicates, its sightings.
// context holds raw objects in any order; those of no use are ignored, and of
// several versions of one id the newest counts. A revoked relationship, sighting
// or target says nothing any more. Enrich replaces what it set before, so it can
// be called again when the context has changed.
func Enrich(ind *intel.Indicator, context [][]byte) {
	ind.TLP = fixedTLP(ind)
	ind.CreatedBy, ind.Related, ind.Sightings = "", nil, nil
	objects := gather(context)
	for i := range objects {
		switch c := &objects[i]; c.typ {
		case "identity":
			if c.id == ind.CreatedByRef {
				ind.CreatedBy = c.name
			}
		case "marking-definition":
			if marks(ind, c.id) {
				ind.TLP = ind.TLP.Stricter(c.level())
			}
		case "relationship":
			if !c.revoked && c.source == ind.ID {
				relate(ind, c.target, objects)
			}
		case "sighting":
			if !c.revoked && c.sightingOf == ind.ID {
				sight(ind, c)
			}
		}
	}
	slices.SortFunc(ind.Related, func(a, b intel.Related) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
}

// gather decodes the objects of use, one version of each.
func gather(context [][]byte) []contextObject {
	if len(context) == 0 {
		return nil
	}
	objects := make([]contextObject, 0, len(context))
	var at map[string]int
	if len(context) > 16 {
		at = make(map[string]int, len(context))
	}
	for _, raw := range context {
		c, ok := decodeContext(raw)
		if !ok {
			continue
		}
		i, known := -1, false
		if at != nil {
			i, known = at[c.id]
		} else {
			i = slices.IndexFunc(objects, func(o contextObject) bool { return o.id == c.id })
			known = i >= 0
		}
		switch {
		case !known:
			if at != nil {
				at[c.id] = len(objects)
			}
			objects = append(objects, c)
		case c.modified.After(objects[i].modified),
			c.modified.Equal(objects[i].modified) && c.digest() > objects[i].digest():
			// Two contents of one version: any choice will do that is always the same.
			objects[i] = c
		}
	}
	return objects
}

func marks(ind *intel.Indicator, id string) bool {
	return slices.Contains(ind.MarkingRefs, id) ||
		slices.ContainsFunc(ind.GranularMarkings, func(g intel.GranularMarking) bool { return g.MarkingRef == id })
}

func relate(ind *intel.Indicator, target string, objects []contextObject) {
	if slices.ContainsFunc(ind.Related, func(r intel.Related) bool { return r.ID == target }) {
		return
	}
	typ, _, _ := strings.Cut(target, "--")
	related := intel.Related{Type: typ, ID: target}
	for i := range objects {
		if c := &objects[i]; c.id == target {
			if c.revoked {
				return
			}
			related.Type, related.Name = c.typ, c.name
			related.ExternalID, related.URL = c.reference.ExternalID, c.reference.URL
			break
		}
	}
	ind.Related = append(ind.Related, related)
}

func sight(ind *intel.Indicator, c *contextObject) {
	if ind.Sightings == nil {
		ind.Sightings = &intel.Sightings{}
	}
	s := ind.Sightings
	s.Count += max(c.count, 0)
	first, last := c.first, c.last
	if last.IsZero() {
		last = first
	}
	if !first.IsZero() && (s.First.IsZero() || first.Before(s.First)) {
		s.First = first
	}
	if last.After(s.Last) {
		s.Last = last
	}
}

// DigestContext condenses what [Enrich] would use of context: it changes when
// the enrichment may, does not depend on the order, and is 0 if there is nothing
// to use. The value is the same in every process.
func DigestContext(context [][]byte) uint64 {
	var sum uint64
	objects := gather(context)
	for i := range objects {
		sum += objects[i].digest()
	}
	if sum == 0 && len(objects) > 0 {
		return 1
	}
	return sum
}

func (c *contextObject) digest() uint64 {
	h := fnv.New64a()
	var buf []byte
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	instant := func(t time.Time) {
		buf = binary.AppendVarint(buf, t.Unix())
		buf = binary.AppendVarint(buf, int64(t.Nanosecond()))
	}
	text(c.typ)
	text(c.id)
	if c.revoked {
		buf = append(buf, 1)
	}
	switch c.typ {
	case "relationship":
		text(c.source)
		text(c.target)
	case "sighting":
		text(c.sightingOf)
		buf = binary.AppendVarint(buf, c.count)
		instant(c.first)
		instant(c.last)
	case "marking-definition":
		text(string(c.level()))
	default:
		text(c.name)
		text(c.reference.ExternalID)
		text(c.reference.URL)
	}
	h.Write(buf)
	return h.Sum64()
}
