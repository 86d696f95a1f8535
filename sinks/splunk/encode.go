package splunk

import (
	"strconv"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Defaults of [EncoderOptions].
const (
	DefaultSourceType = "stix:indicator"
	defaultWeight     = 60 // Enterprise Security's own default
)

// Bounds of an event, in bytes and items. Splunk's automatic field extraction
// reads the first 10,240 characters of an event and spath fewer, so what can be
// long is cut, and the pattern comes last.
const (
	maxPattern     = 2 << 10   // a pattern beside its observable
	maxSolePattern = 256 << 10 // a pattern that is all there is: it travels whole up to here
	maxName        = 256
	maxDescription = 1 << 10
	maxItem        = 256
	maxItems       = 50
	maxCondition   = 1 << 10
	maxConditions  = 64
)

// EncoderOptions is the metadata of every event; "" leaves it to the token,
// except where said otherwise.
type EncoderOptions struct {
	Index      string
	SourceType string // "" = [DefaultSourceType]
	Source     string // "" = "taxii:<feed>/<collection>"
	Host       string
}

// Encoder maps changes to HEC events. What it writes is a function of the
// options and the change alone. It is safe for concurrent use.
//
// An event of an upsert has, where known:
//
//	action                     "upsert"
//	item_key                   SHA-256 of feed, STIX id, observable type and value: what the event is about
//	version, seq               µs since 1970 of the indicator's modified time; its number in the replica
//	observable_type, _value    the STIX type and the value, whatever the type
//	ip, domain, url, …         the value again, under the name that Enterprise Security gives it
//	threat_collection          the ES collection that has this field; absent = none has
//	hash_type, md5, sha256, …  for files: which hash file_hash is, and the file's other hashes
//	fidelity                   "exact", or "superset": the pattern has conditions beyond the value
//	with_…, conditions         those conditions
//	feed, collection, stix_id, spec_version, name, description, labels, indicator_types, confidence,
//	weight, tlp, created_by, created_by_ref, created, modified, valid_from, valid_until,
//	first_forwarded            the indicator
//	malware, threat_actor, intrusion_set, campaign, tool, attack_pattern, infrastructure, attack_id
//	                           names of what it indicates; technique ids of ATT&CK
//	kill_chain_phases, references, external_ids, sightings, first_seen, last_seen
//	threat_key, threat_group, threat_category
//	                           feed and collection; the producer; the kind of threat: as in ES
//	pattern, pattern_type, pattern_truncated, fidelity_reason
//
// An event of a withdrawal has action "withdraw" and withdraw_reason, and of
// the rest what identifies the item and its indicator.
type Encoder struct {
	head []byte // the envelope between time and event, without source
	src  []byte // `,"source":…` when it is fixed
	pool sync.Pool
}

// NewEncoder returns an Encoder.
func NewEncoder(o EncoderOptions) *Encoder {
	e := &Encoder{}
	if o.SourceType == "" {
		o.SourceType = DefaultSourceType
	}
	e.head = appendMember(e.head, "host", o.Host)
	e.head = appendMember(e.head, "sourcetype", o.SourceType)
	e.head = appendMember(e.head, "index", o.Index)
	e.src = appendMember(nil, "source", o.Source)
	e.pool.New = func() any { return &events{encoder: e} }
	return e
}

// Append appends the events for c to dst, one a line, each in its HEC envelope.
// The outcome is Skipped when the indicator has neither an observable nor a
// pattern (the withdrawals of c.Remove are appended all the same), Delivered
// otherwise, with Held as in [Sink.Deliver].
func (e *Encoder) Append(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	it := e.start(c)
	defer it.release()
	for {
		out, _, ok := it.next(dst)
		if !ok {
			break
		}
		dst = append(out, '\n')
	}
	return dst, it.outcome()
}

// appendEnvelope appends the HEC envelope of c's events up to and including the
// opening brace of the event. time is decimal text, as a float64 in between
// would round it.
func (e *Encoder) appendEnvelope(dst []byte, c *intel.Change) []byte {
	dst = append(dst, '{')
	if ms := c.At.UnixMilli(); !c.At.IsZero() && ms >= 0 {
		dst = append(dst, `"time":"`...)
		dst = strconv.AppendInt(dst, ms/1000, 10)
		ms %= 1000
		dst = append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), '"')
		dst = append(dst, e.head...)
	} else {
		dst = append(dst, e.head[1:]...) // without its comma
	}
	if e.src != nil {
		dst = append(dst, e.src...)
	} else {
		dst = append(dst, `,"source":"taxii:`...)
		dst = appendText(dst, c.Indicator.Feed)
		dst = append(dst, '/')
		dst = appendText(dst, c.Indicator.Collection)
		dst = append(dst, '"')
	}
	return append(dst, `,"event":{"action":`...)
}

// appendIdentity appends the members that tell which version of which indicator
// an event is about.
func appendIdentity(dst []byte, c *intel.Change) []byte {
	ind := c.Indicator
	dst = appendInt(dst, "version", ind.Version())
	dst = appendInt(dst, "seq", c.Seq)
	dst = appendMember(dst, "feed", ind.Feed)
	dst = appendMember(dst, "collection", ind.Collection)
	dst = appendMember(dst, "stix_id", ind.ID)
	dst = appendMember(dst, "name", clip(ind.Name, maxName))
	dst = appendTime(dst, "modified", ind.Modified)
	dst = appendTime(dst, "valid_until", ind.ValidUntil)
	if ind.Revoked {
		dst = append(dst, `,"revoked":true`...)
	}
	return dst
}

// appendIndicator appends the members that all events of an upsert share.
func appendIndicator(dst []byte, c *intel.Change) []byte {
	ind := c.Indicator
	dst = appendIdentity(dst, c)
	dst = appendMember(dst, "spec_version", ind.SpecVersion)
	dst = appendTime(dst, "created", ind.Created)
	dst = appendTime(dst, "valid_from", ind.ValidFrom)
	dst = appendTime(dst, "first_forwarded", firstForwarded(c))
	weight := int64(defaultWeight)
	if ind.Confidence != nil {
		dst = appendInt(dst, "confidence", int64(*ind.Confidence))
		weight = int64(min(max(*ind.Confidence, 1), 100))
	}
	dst = appendInt(dst, "weight", weight)
	dst = appendMember(dst, "tlp", string(ind.TLP))
	dst = appendMember(dst, "created_by", clip(ind.CreatedBy, maxName))
	dst = appendMember(dst, "created_by_ref", ind.CreatedByRef)

	dst = append(dst, `,"threat_key":"`...)
	dst = appendText(dst, ind.Feed)
	dst = append(dst, '|')
	dst = appendText(dst, ind.Collection)
	dst = append(dst, '"')
	group := ind.CreatedBy
	if group == "" {
		group = ind.Feed
	}
	dst = appendMember(dst, "threat_group", clip(group, maxName))
	if len(ind.IndicatorTypes) > 0 {
		dst = appendMember(dst, "threat_category", clip(ind.IndicatorTypes[0], maxName))
	}

	dst = appendStrings(dst, "indicator_types", ind.IndicatorTypes)
	dst = appendStrings(dst, "labels", ind.Labels)
	dst = appendList(dst, "kill_chain_phases", len(ind.KillChainPhases), func(i int) string {
		p := &ind.KillChainPhases[i]
		if p.KillChain == "" || p.Phase == "" {
			return p.Phase
		}
		return p.KillChain + ":" + p.Phase
	})
	dst = appendRelated(dst, ind.Related)
	dst = appendList(dst, "references", len(ind.ExternalReferences), func(i int) string { return ind.ExternalReferences[i].URL })
	dst = appendList(dst, "external_ids", len(ind.ExternalReferences), func(i int) string { return ind.ExternalReferences[i].ExternalID })
	if s := ind.Sightings; s != nil {
		dst = appendInt(dst, "sightings", s.Count)
		dst = appendTime(dst, "first_seen", s.First)
		dst = appendTime(dst, "last_seen", s.Last)
	}
	dst = appendMember(dst, "description", clip(ind.Description, maxDescription))
	dst = appendMember(dst, "fidelity_reason", ind.FidelityReason)
	dst = appendMember(dst, "pattern_type", clip(ind.PatternType, maxName))
	limit := maxPattern
	if len(ind.Observables) == 0 {
		limit = maxSolePattern
	}
	if len(ind.Pattern) > limit {
		dst = append(dst, `,"pattern_truncated":true`...)
	}
	return appendMember(dst, "pattern", clip(ind.Pattern, limit))
}

func appendStrings(dst []byte, name string, values []string) []byte {
	return appendList(dst, name, len(values), func(i int) string { return values[i] })
}

// relatedNames are the types that an indicator can indicate (STIX 2.1 §4.7.2).
var relatedNames = [...]struct{ stix, name string }{
	{"malware", "malware"}, {"threat-actor", "threat_actor"}, {"intrusion-set", "intrusion_set"},
	{"campaign", "campaign"}, {"tool", "tool"}, {"attack-pattern", "attack_pattern"},
	{"infrastructure", "infrastructure"},
}

func appendRelated(dst []byte, related []intel.Related) []byte {
	if len(related) == 0 {
		return dst
	}
	for _, t := range relatedNames {
		dst = appendList(dst, t.name, len(related), func(i int) string {
			if related[i].Type != t.stix {
				return ""
			}
			return related[i].Name
		})
	}
	return appendList(dst, "attack_id", len(related), func(i int) string {
		if related[i].Type != "attack-pattern" {
			return ""
		}
		return related[i].ExternalID
	})
}

func firstForwarded(c *intel.Change) time.Time {
	if !c.FirstDelivered.IsZero() {
		return c.FirstDelivered
	}
	return c.At
}
