package e2e

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// object is a STIX object under construction.
type object map[string]any

// raw encodes the object as the server serves it.
func (o object) raw() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // nothing here can not be encoded
	}
	return b
}

// with returns a copy with other members.
func (o object) with(members object) object {
	c := maps.Clone(o)
	maps.Copy(c, members)
	return c
}

// id returns the id of object number n of a type.
func id(kind string, n int) string {
	return fmt.Sprintf("%s--e2e00000-0000-4000-8000-%012x", kind, n)
}

// stamp writes a time as STIX does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// indicator returns indicator number n in its first version.
func indicator(n int, at time.Time, pattern string) object {
	return object{
		"type": "indicator", "spec_version": "2.1", "id": id("indicator", n), "created": stamp(at), "modified": stamp(at),
		"valid_from": stamp(at), "name": fmt.Sprintf("indicator %d", n), "indicator_types": []string{"malicious-activity"},
		"pattern_type": "stix", "pattern": pattern,
	}
}

// indicates returns the relationship from indicator n to a target.
func indicates(n int, at time.Time, target string) object {
	return object{
		"type": "relationship", "spec_version": "2.1", "id": id("relationship", n), "created": stamp(at), "modified": stamp(at),
		"relationship_type": "indicates", "source_ref": id("indicator", n), "target_ref": target,
	}
}

// malware returns malware number n.
func malware(n int, at time.Time, name string) object {
	return object{
		"type": "malware", "spec_version": "2.1", "id": id("malware", n), "created": stamp(at), "modified": stamp(at),
		"name": name, "is_family": true,
	}
}

// shapes are ways to write a pattern; each stands for a kind of observable, or
// for something that has none.
var shapes = []func(n int) string{
	func(n int) string { return "[ipv4-addr:value = '" + address(n) + "']" },
	func(n int) string { return fmt.Sprintf("[ipv6-addr:value = '2001:db8::%x']", n) },
	func(n int) string { return fmt.Sprintf("[ipv4-addr:value = '198.51.100.%d/28']", n%16*16) },
	func(n int) string { return "[domain-name:value = '" + host(n) + "']" },
	func(n int) string { return "[url:value = 'https://" + host(n) + "/a?b=1']" },
	func(n int) string { return "[email-addr:value = 'sender@" + host(n) + "']" },
	func(n int) string { return fmt.Sprintf("[file:hashes.'SHA-256' = '%x']", sha256.Sum256(seed(n))) },
	func(n int) string {
		return fmt.Sprintf("[file:hashes.MD5 = '%x' AND file:hashes.'SHA-1' = '%x' AND file:hashes.'SHA-256' = '%x' AND file:name = 'a%d.exe']",
			md5.Sum(seed(n)), sha1.Sum(seed(n)), sha256.Sum256(seed(n)), n)
	},
	func(n int) string {
		return "[domain-name:value = '" + host(n) + "' OR ipv4-addr:value = '" + address(n) + "']"
	},
	func(n int) string {
		return "[domain-name:value = '" + host(n) + "'] OR [url:value = 'http://" + host(n) + "/']"
	},
	func(n int) string {
		return "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '" + address(n) + "' AND network-traffic:dst_port = 8443]"
	},
	func(n int) string {
		return fmt.Sprintf(`[windows-registry-key:key = 'HKLM\\Software\\Example\\%d']`, n)
	},
	func(n int) string { return fmt.Sprintf("[process:command_line = 'example -n %d']", n) },
	func(n int) string { return fmt.Sprintf(`[mutex:name = 'Global\\example-%d']`, n) },
	func(n int) string { return fmt.Sprintf("[x509-certificate:serial_number = '%016x']", n+1) },
	func(n int) string { return fmt.Sprintf("[autonomous-system:number = %d]", 64496+n%16) },
	func(n int) string { return "[ipv4-addr:value != '" + address(n) + "']" }, // negation
	func(n int) string { return fmt.Sprintf("[x-example:id = '%d']", n) },     // nothing we know
	func(n int) string {
		return "[domain-name:value = '" + host(n) + "' AND ipv4-addr:value = '" + address(n) + "']"
	}, // of two objects at once
	func(n int) string { return "[domain-name:value = '" + host(n) }, // not a pattern
	func(n int) string {
		return fmt.Sprintf("rule example_%d { strings: $a = \"example %d\" condition: $a }", n, n)
	}, // YARA
}

// shaped returns indicator number n in a shape that follows from n.
func shaped(n int, at time.Time) object {
	pattern := shapes[n%len(shapes)](n)
	o := indicator(n, at, pattern)
	if strings.HasPrefix(pattern, "rule ") {
		o["pattern_type"] = "yara"
	}
	return o
}

func address(n int) string {
	return fmt.Sprintf("%s.%d", []string{"192.0.2", "198.51.100", "203.0.113"}[n%3], n/3%256)
}

func host(n int) string { return fmt.Sprintf("host-%d.example.com", n) }

func seed(n int) []byte { return fmt.Appendf(nil, "e2e %d", n) }
