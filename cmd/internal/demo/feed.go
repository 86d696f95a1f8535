package demo

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Indicators is how many indicators the demo's feed has at first.
const Indicators = 2400

// The feed's fixed ids.
const (
	producerID = "identity--6f1c0de0-0000-4000-8000-000000000001"
	tlpGreen   = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb" // TLP 2
	tlpAmber1  = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82" // TLP 1
	tlpRed     = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1" // TLP 2
)

// A feed is the truth that the demo's server serves and its sinks must end up
// with: every object in the order in which it was added.
type feed struct {
	epoch   time.Time
	objects []json.RawMessage
	ids     []string // of the indicators, in order
	newest  map[string]object
	broken  int // entries that are no usable STIX object
}

// object is a STIX object under construction.
type object map[string]any

// newFeed makes the first state of the feed. Everything in it is from address
// ranges and domains reserved for documentation, and a function of epoch alone.
func newFeed(epoch time.Time) *feed {
	f := &feed{epoch: epoch.UTC().Truncate(time.Millisecond), newest: map[string]object{}}
	f.add(object{
		"type": "identity", "spec_version": "2.1", "id": producerID, "created": stamp(f.epoch, 0), "modified": stamp(f.epoch, 0),
		"name": "Example Threat Research", "identity_class": "organization",
	})
	for i, m := range malware {
		f.add(m.object(f.epoch, i))
	}
	for n := range Indicators {
		f.add(f.indicator(n))
		switch {
		case n%40 == 7: // attribution that comes after what it is about
			f.add(f.relationship(n, malware[n/40%len(malware)].id(n/40%len(malware))))
		case n%60 == 11:
			f.add(f.sighting(n))
		case n == 500:
			f.addRaw(`{"type":"indicator","spec_version":"2.1","name":"an object without an id"}`)
		case n == 1000:
			f.addRaw(`"not an object at all"`)
		}
	}
	return f
}

// add appends a version of an object.
func (f *feed) add(o object) {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // the demo's own objects always encode
	}
	f.objects = append(f.objects, b)
	id := o["id"].(string)
	if o["type"] == "indicator" {
		if _, ok := f.newest[id]; !ok {
			f.ids = append(f.ids, id)
		}
		f.newest[id] = o
	}
}

func (f *feed) addRaw(s string) {
	f.objects = append(f.objects, json.RawMessage(s))
	f.broken++
}

// current returns the ids of the indicators that a destination should hold at
// an instant.
func (f *feed) current(at time.Time) map[string]bool {
	out := map[string]bool{}
	for id, o := range f.newest {
		if o["revoked"] == true {
			continue
		}
		if until, ok := o["valid_until"].(string); ok {
			if t, err := time.Parse(time.RFC3339Nano, until); err == nil && !t.After(at) {
				continue
			}
		}
		if types, ok := o["indicator_types"].([]string); ok && types[0] == "benign" {
			continue
		}
		out[id] = true
	}
	return out
}

func indicatorID(n int) string {
	return fmt.Sprintf("indicator--6f1c0de0-0000-4000-8000-%012x", 0x100000+n)
}

// indicator makes indicator number n.
func (f *feed) indicator(n int) object {
	s := shapes[n%len(shapes)]
	o := object{
		"type": "indicator", "spec_version": "2.1", "id": indicatorID(n),
		"created": stamp(f.epoch, n), "modified": stamp(f.epoch, n), "valid_from": stamp(f.epoch, n),
		"created_by_ref": producerID, "name": fmt.Sprintf("%s %d", s.name, n), "pattern_type": "stix",
		"pattern": s.pattern(n), "indicator_types": []string{"malicious-activity"}, "confidence": n % 101,
		"labels": []string{"demo", s.name},
	}
	if s.language != "" {
		o["pattern_type"] = s.language
	}
	switch n % 7 {
	case 1:
		o["object_marking_refs"] = []string{tlpGreen}
	case 2:
		o["object_marking_refs"] = []string{tlpAmber1}
	case 3:
		o["granular_markings"] = []object{{"marking_ref": tlpRed, "selectors": []string{"pattern"}}}
	case 4:
		o["valid_until"] = stamp(f.epoch.AddDate(1, 0, 0), n)
	}
	switch {
	case n%400 == 399:
		o["indicator_types"] = []string{"benign"}
	case n%400 == 398:
		o["revoked"] = true
	case n%400 == 397:
		o["valid_until"] = stamp(f.epoch.AddDate(0, 0, -1), n)
	}
	return o
}

// change adds new versions of some indicators: other text, one observable more
// and one less, a revocation, and an end of validity that is about to come. It
// returns the number of objects added.
func (f *feed) change(now time.Time, expiry time.Duration) int {
	before := len(f.objects)
	version := func(n int, edit func(object)) {
		o := object{}
		for k, v := range f.newest[indicatorID(n)] {
			o[k] = v
		}
		o["modified"] = now.UTC().Format("2006-01-02T15:04:05.000Z")
		edit(o)
		f.add(o)
	}
	for n := 30; n < 50; n++ {
		version(n, func(o object) { o["name"] = o["name"].(string) + " (reviewed)" })
	}
	version(50, func(o object) {
		o["pattern"] = "[ipv4-addr:value = '192.0.2.250'] OR [ipv4-addr:value = '192.0.2.251']"
	})
	for n := 60; n < 70; n++ {
		version(n, func(o object) { o["revoked"] = true })
	}
	for n := 70; n < 80; n++ {
		version(n, func(o object) { o["valid_until"] = now.Add(expiry).UTC().Format("2006-01-02T15:04:05.000Z") })
	}
	// An old version that arrives late must change nothing.
	late := f.indicator(60)
	b, err := json.Marshal(late)
	if err != nil {
		panic(err)
	}
	f.objects = append(f.objects, b)
	return len(f.objects) - before
}

func (f *feed) relationship(n int, target string) object {
	return object{
		"type": "relationship", "spec_version": "2.1", "id": fmt.Sprintf("relationship--6f1c0de0-0000-4000-8000-%012x", n),
		"created": stamp(f.epoch, n), "modified": stamp(f.epoch, n), "relationship_type": "indicates",
		"source_ref": indicatorID(n), "target_ref": target,
	}
}

func (f *feed) sighting(n int) object {
	return object{
		"type": "sighting", "spec_version": "2.1", "id": fmt.Sprintf("sighting--6f1c0de0-0000-4000-8000-%012x", n),
		"created": stamp(f.epoch, n), "modified": stamp(f.epoch, n), "sighting_of_ref": indicatorID(n), "count": n % 9,
		"first_seen": stamp(f.epoch, n), "last_seen": stamp(f.epoch, n+60),
	}
}

// stamp returns epoch plus n seconds as a STIX time stamp.
func stamp(epoch time.Time, n int) string {
	return epoch.Add(time.Duration(n) * time.Second).UTC().Format("2006-01-02T15:04:05.000Z")
}

// related is a malware, actor or technique that indicators point to.
type related struct{ kind, name, attack string }

var malware = []related{
	{"malware", "ExampleLoader", ""}, {"threat-actor", "Example Bear", ""}, {"campaign", "Operation Example", ""},
	{"tool", "exampletool", ""}, {"attack-pattern", "Spearphishing Link", "T1566.002"},
}

func (r related) id(i int) string {
	return fmt.Sprintf("%s--6f1c0de0-0000-4000-8000-%012x", r.kind, 0x10+i)
}

func (r related) object(epoch time.Time, i int) object {
	o := object{
		"type": r.kind, "spec_version": "2.1", "id": r.id(i), "created": stamp(epoch, 0), "modified": stamp(epoch, 0), "name": r.name,
	}
	if r.kind == "malware" {
		o["is_family"] = true
	}
	if r.attack != "" {
		o["external_references"] = []object{{"source_name": "mitre-attack", "external_id": r.attack}}
	}
	return o
}

// shape is one way in which feeds write an indicator.
type shape struct {
	name     string
	language string // pattern_type; "" = stix
	pattern  func(n int) string
}

func pattern(format string, value func(n int) string) func(int) string {
	return func(n int) string { return strings.ReplaceAll(format, "%", value(n)) }
}

var shapes = []shape{
	{name: "ipv4", pattern: pattern("[ipv4-addr:value = '%']", ipv4)},
	{name: "ipv6", pattern: pattern("[ipv6-addr:value = '%']", func(n int) string { return fmt.Sprintf("2001:db8::%x", n) })},
	{name: "cidr", pattern: pattern("[ipv4-addr:value = '%/28']", ipv4)},
	{name: "domain", pattern: pattern("[domain-name:value = '%']", domain)},
	{name: "url", pattern: pattern("[url:value = 'https://%/login?id=7']", domain)},
	{name: "sha256", pattern: pattern("[file:hashes.'SHA-256' = '%']", sha256Hex)},
	{name: "file", pattern: func(n int) string {
		return fmt.Sprintf("[file:hashes.MD5 = '%s' AND file:hashes.'SHA-1' = '%s' AND file:hashes.'SHA-256' = '%s' AND file:name = 'invoice-%d.exe']",
			hexOf(md5.Sum(seed(n))), hexOf(sha1.Sum(seed(n))), sha256Hex(n), n)
	}},
	{name: "email", pattern: pattern("[email-addr:value = 'sender@%']", domain)},
	{name: "traffic", pattern: pattern("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '%' AND network-traffic:dst_port = 443]", ipv4)},
	{name: "registry", pattern: func(n int) string {
		return fmt.Sprintf(`[windows-registry-key:key = 'HKLM\\Software\\Example\\Run%d']`, n)
	}},
	{name: "either", pattern: pattern("[domain-name:value = '%'] OR [url:value = 'http://%/']", domain)},
	{name: "mutex", pattern: func(n int) string { return fmt.Sprintf(`[mutex:name = 'Global\\example-%d']`, n) }},
	{name: "certificate", pattern: func(n int) string { return fmt.Sprintf("[x509-certificate:serial_number = '%016x']", n) }},
	{name: "asn", pattern: func(n int) string { return fmt.Sprintf("[autonomous-system:number = %d]", 64496+n%16) }},
	{name: "mac", pattern: func(n int) string {
		return fmt.Sprintf("[mac-addr:value = '00:00:5e:00:%02x:%02x']", n>>8&0xff, n&0xff)
	}},
	{name: "process", pattern: func(n int) string { return fmt.Sprintf("[process:command_line = 'example.exe -n %d']", n) }},
	{name: "account", pattern: func(n int) string { return fmt.Sprintf("[user-account:account_login = 'example%d']", n) }},
	{name: "software", pattern: func(n int) string { return fmt.Sprintf("[software:name = 'Example Suite %d']", n) }},
	{name: "directory", pattern: func(n int) string { return fmt.Sprintf(`[directory:path = 'C:\\Example\\%d']`, n) }},
	{name: "agent", pattern: func(n int) string {
		return fmt.Sprintf("[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'example/%d']", n)
	}},
	{name: "subject", pattern: func(n int) string { return fmt.Sprintf("[email-message:subject = 'Invoice %d']", n) }},
	{name: "sequence", pattern: func(n int) string {
		return fmt.Sprintf("[domain-name:value = '%s'] FOLLOWEDBY [ipv4-addr:value = '%s'] WITHIN 300 SECONDS", domain(n), ipv4(n))
	}},
	{name: "negation", pattern: pattern("[ipv4-addr:value != '%']", ipv4)},
	{name: "yara", language: "yara", pattern: func(n int) string {
		return fmt.Sprintf("rule example_%d { strings: $a = \"example %d\" condition: $a }", n, n)
	}},
}

func ipv4(n int) string {
	nets := []string{"192.0.2", "198.51.100", "203.0.113"}
	return fmt.Sprintf("%s.%d", nets[n%3], n/3%256)
}

func domain(n int) string { return fmt.Sprintf("host-%d.example.com", n) }

func seed(n int) []byte { return fmt.Appendf(nil, "taxii-forwarder demo %d", n) }

func sha256Hex(n int) string { return hexOf(sha256.Sum256(seed(n))) }

func hexOf[T [16]byte | [20]byte | [32]byte](sum T) string {
	switch v := any(sum).(type) {
	case [16]byte:
		return hex.EncodeToString(v[:])
	case [20]byte:
		return hex.EncodeToString(v[:])
	case [32]byte:
		return hex.EncodeToString(v[:])
	}
	return ""
}
