package sentinel

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

// object is one STIX indicator object as it is uploaded: the indicator, and
// what differs from it.
type object struct {
	ind *intel.Indicator

	id             string
	pattern        string
	patternType    string
	patternVersion string
	created        time.Time
	modified       time.Time
	validFrom      time.Time
	validUntil     time.Time
	revoked        bool
	version        time.Time // the producer's modified

	splitFrom, splitSource string // with a derived id: the indicator's id and source system
}

// newObject returns the object that c's indicator becomes under its own id.
func newObject(c *intel.Change, validity time.Duration) object {
	ind := c.Indicator
	o := object{
		ind: ind, id: ind.ID,
		pattern: ind.Pattern, patternType: patternType(ind.PatternType), patternVersion: ind.PatternVersion,
	}
	// Required by the API; a producer that leaves them out is given the nearest
	// thing it did say.
	o.created = first(ind.Created, ind.Modified, ind.ValidFrom, c.At)
	o.version = first(ind.Modified, o.created)
	// In milliseconds, so that an order that holds here holds in what is written.
	o.validFrom = first(ind.ValidFrom, o.created).Truncate(time.Millisecond)
	o.validUntil = ind.ValidUntil.Truncate(time.Millisecond)
	if o.validUntil.IsZero() {
		o.validUntil = later(o.validFrom, c.At).Add(validity)
	}

	// The first delivery carries the producer's modified. A later one may follow
	// a revocation that was dated when it was forwarded, or repeat a version
	// whose context has changed: it is dated when it is forwarded too, so that no
	// upload is older than the one before.
	o.modified = o.version
	if !c.FirstDelivered.IsZero() {
		o.modified = later(o.version, c.At)
	}
	return o
}

// revoke makes o the revocation of what was uploaded under its id: newer than
// any version the producer had made, and no longer valid even to a query that
// looks at valid_until alone.
func (o *object) revoke(at time.Time) {
	o.revoked = true
	o.modified = later(o.version.Add(time.Millisecond), at)
	if end := later(at, o.validFrom.Add(time.Millisecond)); end.Before(o.validUntil) || !o.validUntil.After(o.validFrom) {
		o.validUntil = end
	}
}

func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// is20 reports whether o is an object of STIX 2.0. One with a derived id never
// is: STIX 2.0 knows random ids only (part 1, section 2.7).
func (o *object) is20() bool { return o.ind.SpecVersion == "2.0" && o.splitFrom == "" }

// append appends o as JSON. Only properties that the API documents are
// written, in the order of its reference.
func (o *object) append(dst []byte) []byte {
	ind := o.ind
	v2 := o.is20()
	dst = append(dst, `{"type":"indicator","spec_version":`...)
	// An object without it is taken for 2.0 by the API.
	if v2 {
		dst = append(dst, `"2.0"`...)
	} else {
		dst = append(dst, `"2.1"`...)
	}
	dst = appendString(dst, "id", o.id)
	dst = appendTime(dst, "created", o.created)
	dst = appendTime(dst, "modified", later(o.modified, o.created))
	if strings.HasPrefix(ind.CreatedByRef, "identity--") {
		dst = appendString(dst, "created_by_ref", ind.CreatedByRef)
	}
	if o.revoked {
		dst = append(dst, `,"revoked":true`...)
	} else {
		dst = append(dst, `,"revoked":false`...)
	}
	tags := labels(ind)
	dst = appendStrings(dst, "labels", tags)
	if c := ind.Confidence; c != nil && *c >= 0 && *c <= 100 {
		dst = append(dst, `,"confidence":`...)
		dst = appendInt(dst, *c)
	}
	dst = appendText(dst, "lang", ind.Lang)
	dst = o.appendReferences(dst)
	dst = appendMarkings(dst, ind)
	dst = o.appendGranular(dst, len(tags))
	dst = appendText(dst, "name", ind.Name)
	dst = appendText(dst, "description", ind.Description)
	if !v2 {
		dst = appendStrings(dst, "indicator_types", ind.IndicatorTypes)
	}
	dst = appendString(dst, "pattern", o.pattern)
	dst = appendString(dst, "pattern_type", o.patternType)
	dst = appendText(dst, "pattern_version", o.patternVersion)
	dst = appendTime(dst, "valid_from", o.validFrom)
	dst = appendTime(dst, "valid_until", o.validUntil)
	dst = appendPhases(dst, ind.KillChainPhases)
	return append(dst, '}')
}

func appendMarkings(dst []byte, ind *intel.Indicator) []byte {
	// One TLP level at most, the strictest, as Sentinel shows one.
	tlp := sentinelTLP[level(ind)]
	if tlp == "" && len(ind.MarkingRefs) == 0 {
		return dst
	}
	refs := make([]string, 0, len(ind.MarkingRefs)+1)
	if tlp != "" {
		refs = append(refs, tlp)
	}
	for _, ref := range ind.MarkingRefs {
		if _, isTLP := knownTLP[ref]; !isTLP && strings.HasPrefix(ref, markingPrefix) && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return appendStrings(dst, "object_marking_refs", refs)
}

// appendReferences writes the external references; source_name is required of
// each (STIX 2.1 §2.8). A split object refers to the indicator it is part of.
func (o *object) appendReferences(dst []byte) []byte {
	refs := o.ind.ExternalReferences
	before := len(dst)
	dst = append(dst, `,"external_references":[`...)
	empty := len(dst)
	if o.splitFrom != "" {
		dst = append(dst, `{"source_name":`...)
		dst = quote(dst, o.splitSource)
		dst = appendString(dst, "external_id", o.splitFrom)
		dst = append(dst, '}', ',')
	}
	for i := range refs {
		r := &refs[i]
		if r.Description == "" && r.URL == "" && r.ExternalID == "" && r.SourceName == "" {
			continue
		}
		dst = append(dst, `{"source_name":`...)
		dst = quote(dst, or(r.SourceName, "reference"))
		dst = appendText(dst, "description", r.Description)
		dst = appendText(dst, "url", r.URL)
		dst = appendText(dst, "external_id", r.ExternalID)
		dst = appendHashes(dst, r.Hashes)
		dst = append(dst, '}', ',')
	}
	if len(dst) == empty {
		return dst[:before]
	}
	return closeList(dst)
}

func appendHashes(dst []byte, hashes map[string]string) []byte {
	if len(hashes) == 0 {
		return dst
	}
	names := make([]string, 0, len(hashes))
	for name := range hashes {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, `,"hashes":{`...)
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(dst, name)
		dst = append(dst, ':')
		dst = quote(dst, hashes[name])
	}
	return append(dst, '}')
}

func appendPhases(dst []byte, phases []intel.KillChainPhase) []byte {
	before := len(dst)
	dst = append(dst, `,"kill_chain_phases":[`...)
	empty := len(dst)
	for _, p := range phases {
		if p.KillChain == "" || p.Phase == "" {
			continue
		}
		dst = append(dst, `{"kill_chain_name":`...)
		dst = quote(dst, p.KillChain)
		dst = appendString(dst, "phase_name", p.Phase)
		dst = append(dst, '}', ',')
	}
	if len(dst) == empty {
		return dst[:before]
	}
	return closeList(dst)
}

// closeList ends a list whose every element has a comma behind it.
func closeList(dst []byte) []byte {
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, ']')
}

// appendString appends a member with a comma before it.
func appendString(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return quote(dst, value)
}

// appendText is appendString for a member that is left out when empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(dst, name, value)
}

// appendStrings appends a list of strings, without empty ones; an empty list
// is left out, as STIX has none (STIX 2.1 §2.6).
func appendStrings(dst []byte, name string, values []string) []byte {
	before := len(dst)
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':', '[')
	empty := len(dst)
	for _, v := range values {
		if v != "" {
			dst = quote(dst, v)
			dst = append(dst, ',')
		}
	}
	if len(dst) == empty {
		return dst[:before]
	}
	return closeList(dst)
}

// timestamp is STIX's (STIX 2.1 §3.3) in the milliseconds that all its readers
// agree on.
const timestamp = "2006-01-02T15:04:05.000Z"

func appendTime(dst []byte, name string, t time.Time) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':', '"')
	dst = t.UTC().AppendFormat(dst, timestamp)
	return append(dst, '"')
}

func appendInt(dst []byte, n int) []byte {
	if n >= 100 {
		dst = append(dst, byte('0'+n/100))
	}
	if n >= 10 {
		dst = append(dst, byte('0'+n/10%10))
	}
	return append(dst, byte('0'+n%10))
}

// quote appends s as a JSON string; invalid UTF-8 becomes U+FFFD, which is all
// that the error would say.
func quote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
