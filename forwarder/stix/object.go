package stix

import (
	"errors"
	"fmt"
	"time"
)

// Object is what the replica needs to know of any STIX object.
type Object struct {
	Type        string
	ID          string
	SpecVersion string // "2.0" or "2.1"; an object that does not say is 2.0
	Created     time.Time
	Modified    time.Time
	Revoked     bool
	ValidUntil  time.Time // indicators; exclusive

	CreatedByRef string
	MarkingRefs  []string // object_marking_refs, then those of granular_markings

	RelationshipType string // relationships
	SourceRef        string
	TargetRef        string
	SightingOfRef    string // sightings

	// Issues names odd members that were tolerated, as "member: what".
	Issues []string
}

// Version orders the versions of an object: its modified time, else its created
// time, in microseconds since 1970 and never negative; 0 if it has neither.
func (o *Object) Version() int64 {
	t := o.Modified
	if t.IsZero() {
		t = o.Created
	}
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMicro(), 0)
}

var (
	errNoType = errors.New("the object has no type")
	errNoID   = errors.New("the object has no id")
)

// DecodeObject reads raw in one pass. It fails only if raw is not a JSON object,
// or has no usable type or id; whatever else is odd is named in Issues.
func DecodeObject(raw []byte) (Object, error) {
	r := reader{scanner: scanner{buf: raw}}
	var o Object
	for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
		switch string(name) {
		case "type":
			r.typeName(&o.Type)
		case "id":
			r.str("id", &o.ID)
		case "spec_version":
			r.specVersion(&o.SpecVersion)
		case "created":
			r.timestamp("created", &o.Created)
		case "modified":
			r.timestamp("modified", &o.Modified)
		case "revoked":
			r.boolean("revoked", &o.Revoked)
		case "valid_until":
			r.timestamp("valid_until", &o.ValidUntil)
		case "created_by_ref":
			r.str("created_by_ref", &o.CreatedByRef)
		case "object_marking_refs":
			r.markingRefs(&o.MarkingRefs)
		case "granular_markings":
			r.each("granular_markings", func() {
				for name, ok := r.firstMember(); ok; name, ok = r.nextMember() {
					if string(name) != "marking_ref" {
						r.skip()
						continue
					}
					var ref string
					if r.str("granular_markings", &ref); ref != "" {
						o.MarkingRefs = append(o.MarkingRefs, ref)
					}
				}
			})
		case "relationship_type":
			r.str("relationship_type", &o.RelationshipType)
		case "source_ref":
			r.str("source_ref", &o.SourceRef)
		case "target_ref":
			r.str("target_ref", &o.TargetRef)
		case "sighting_of_ref":
			r.str("sighting_of_ref", &o.SightingOfRef)
		default:
			r.skip()
		}
	}
	if err := r.end(); err != nil {
		return Object{}, fmt.Errorf("decode object: %w", err)
	}
	if o.Type == "" {
		return Object{}, fmt.Errorf("decode object %.80q: %w", o.ID, errNoType)
	}
	if o.ID == "" {
		return Object{}, fmt.Errorf("decode object of type %.80q: %w", o.Type, errNoID)
	}
	if o.SpecVersion == "" {
		o.SpecVersion = "2.0"
	}
	o.Issues = r.issues
	return o, nil
}

// markingRefs reads object_marking_refs; what granular_markings gave before
// stays.
func (r *reader) markingRefs(into *[]string) {
	var refs []string
	r.list("object_marking_refs", &refs)
	*into = append(refs, *into...)
}

// typeName reads the type, without an allocation for the common ones.
func (r *reader) typeName(into *string) {
	if r.peek() != '"' {
		r.skip()
		r.note("type", oddType)
		return
	}
	from, to, escaped := r.stringSpan()
	switch string(r.buf[from:to]) {
	case "indicator":
		*into = "indicator"
	case "relationship":
		*into = "relationship"
	case "malware":
		*into = "malware"
	case "identity":
		*into = "identity"
	case "sighting":
		*into = "sighting"
	case "marking-definition":
		*into = "marking-definition"
	case "attack-pattern":
		*into = "attack-pattern"
	default:
		*into = r.string(from, to, escaped)
	}
}

// specVersion reads spec_version; the number 2.1 is as good as the string.
func (r *reader) specVersion(into *string) {
	v := "2.1"
	if r.peek() == '"' {
		from, to, escaped := r.stringSpan()
		if string(r.buf[from:to]) != "2.1" {
			v = r.string(from, to, escaped)
		}
	} else {
		v = ""
		r.str("spec_version", &v)
	}
	switch v {
	case "":
	case "2.0", "2.1":
		*into = v
	default:
		// An object that says its version at all is 2.1: in 2.0 the bundle does.
		r.note("spec_version", oddValue)
		*into = "2.1"
	}
}
