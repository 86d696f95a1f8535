package stix

import (
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// A contextObject is what Enrich uses of another object.
type contextObject struct {
	typ, id  string
	modified time.Time
	revoked  bool
	name     string
	// reference is the ATT&CK reference, else the first one with an external id.
	reference intel.ExternalReference

	definitionType string // marking-definition
	tlp            string
	tlpExtension   string // from the TLP 2 extension

	relationship, source, target string // relationship

	sightingOf  string // sighting
	count       int64
	first, last time.Time
}

// decodeContext reads an object that says something about indicators; ok is
// false for any other, and for what can not be read.
func decodeContext(raw []byte) (c contextObject, ok bool) {
	r := reader{scanner: scanner{buf: raw}}
	c.count = 1
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		switch string(name) {
		case "type":
			r.typeName(&c.typ)
		case "id":
			r.str("id", &c.id)
		case "modified":
			r.timestamp("modified", &c.modified)
		case "revoked":
			r.boolean("revoked", &c.revoked)
		case "name":
			r.str("name", &c.name)
		case "external_references":
			var refs []intel.ExternalReference
			r.externalReferences(&refs)
			c.reference = bestReference(refs)
		case "definition_type":
			r.str("definition_type", &c.definitionType)
		case "definition":
			r.definition(&c)
		case "extensions":
			r.markingExtensions(&c)
		case "tlp_2_0":
			r.str("tlp_2_0", &c.tlpExtension)
		case "relationship_type":
			r.str("relationship_type", &c.relationship)
		case "source_ref":
			r.str("source_ref", &c.source)
		case "target_ref":
			r.str("target_ref", &c.target)
		case "sighting_of_ref":
			r.str("sighting_of_ref", &c.sightingOf)
		case "count":
			r.integer("count", &c.count)
		case "first_seen":
			r.timestamp("first_seen", &c.first)
		case "last_seen":
			r.timestamp("last_seen", &c.last)
		default:
			r.skip()
		}
	}
	if r.end() != nil || c.typ == "" || c.id == "" {
		return contextObject{}, false
	}
	return c, c.relevant()
}

// relevant reports whether c can enrich any indicator at all.
func (c *contextObject) relevant() bool {
	switch c.typ {
	case "relationship":
		return c.relationship == "indicates" && c.source != "" && c.target != ""
	case "sighting":
		return c.sightingOf != ""
	case "marking-definition":
		return c.level() != intel.TLPNone
	case "indicator":
		return false
	}
	return c.name != "" || c.reference.ExternalID != ""
}

// level returns the TLP level that a marking-definition stands for.
func (c *contextObject) level() intel.TLP {
	if c.typ != "marking-definition" {
		return intel.TLPNone
	}
	level, _ := TLPOf(c.id)
	if t, ok := tlpNamed(c.tlpExtension); ok {
		level = level.Stricter(t)
	}
	if t, ok := tlpNamed(c.tlp); ok {
		level = level.Stricter(t)
	}
	// TLP 2 was long sent as a statement or as a mere name, for want of the extension.
	if len(c.name) > 4 && strings.EqualFold(c.name[:4], "TLP:") {
		if t, ok := tlpNamed(c.name); ok {
			level = level.Stricter(t)
		}
	}
	return level
}

// definition reads a marking's definition member: {"tlp": …} or
// {"statement": "TLP:AMBER"}.
func (r *reader) definition(c *contextObject) {
	if r.peek() != '{' {
		r.skip()
		return
	}
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		switch string(name) {
		case "tlp", "TLP":
			r.str("definition", &c.tlp)
		case "statement":
			var text string
			r.str("definition", &text)
			if len(text) > 4 && strings.EqualFold(text[:4], "TLP:") {
				c.tlp = text
			}
		default:
			r.skip()
		}
	}
}

// markingExtensions finds tlp_2_0 in whatever extension has it.
func (r *reader) markingExtensions(c *contextObject) {
	if r.peek() != '{' {
		r.skip()
		return
	}
	for _, ok := r.firstMember(); ok; _, ok = r.nextMember() {
		if r.peek() != '{' {
			r.skip()
			continue
		}
		for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
			if string(name) == "tlp_2_0" {
				r.str("tlp_2_0", &c.tlpExtension)
				continue
			}
			r.skip()
		}
	}
}

// bestReference prefers ATT&CK, whose sources are mitre-attack,
// mitre-mobile-attack and mitre-ics-attack.
func bestReference(refs []intel.ExternalReference) intel.ExternalReference {
	var best intel.ExternalReference
	for _, e := range refs {
		if e.ExternalID == "" {
			continue
		}
		if strings.HasPrefix(e.SourceName, "mitre-") {
			return e
		}
		if best.ExternalID == "" {
			best = e
		}
	}
	return best
}
