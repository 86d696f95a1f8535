package forwarder

import (
	"bytes"
	"encoding/json"
	"time"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/stix"
)

// convert reads from each object what the replica needs of it. It adds to broken
// why an object can not be used, and returns what was tolerated in the others.
// With byContent set indicators are known by what they say, not by their ids.
func convert(raws []json.RawMessage, byContent bool, broken []string) (objects []replica.Object, failed, odd []string) {
	objects = make([]replica.Object, 0, len(raws))
	for _, raw := range raws {
		o, issues, err := convertOne(raw, byContent)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		odd = append(odd, issues...)
		objects = append(objects, o)
	}
	return objects, broken, odd
}

func convertObject(raw json.RawMessage, byContent bool) (_ replica.Object, odd []string, err error) {
	if byContent {
		raw = stix.ByContent(raw)
	}
	o, err := stix.DecodeObject(raw)
	if err != nil {
		return replica.Object{}, nil, err
	}
	for _, issue := range o.Issues {
		odd = append(odd, o.ID+": "+issue)
	}
	return object(&o, raw), odd, nil
}

// object maps a STIX object to its row.
func object(o *stix.Object, raw []byte) replica.Object {
	r := replica.Object{ID: o.ID, Type: o.Type, Version: o.Version(), Revoked: o.Revoked, Raw: raw}
	switch o.Type {
	case "indicator":
		r.Shared = stix.Named(raw)
		r.Expires = expires(o.ValidUntil)
		if bytes.Contains(raw, []byte("STOP")) {
			// A START … STOP qualifier can end the validity before valid_until does.
			if ind, _, err := stix.DecodeIndicator(raw); err == nil {
				stix.Derive(ind)
				r.Expires = expires(ind.ValidUntil)
			}
		}
		if o.CreatedByRef != "" {
			r.Refs = append(r.Refs, o.CreatedByRef)
		}
		for _, ref := range o.MarkingRefs {
			if _, fixed := stix.TLPOf(ref); !fixed {
				r.Refs = append(r.Refs, ref)
			}
		}
	case "relationship":
		if o.RelationshipType == "indicates" {
			r.About, r.Target = o.SourceRef, o.TargetRef
		}
	case "sighting":
		r.About = o.SightingOfRef
	}
	return r
}

func expires(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMicro(), 1)
}
