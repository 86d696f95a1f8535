//go:build interop

package interop

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// The sizes of the collections. medallion's work grows with the square.
const (
	largeSize = 3000
	smallSize = 300
	// serverPage is how many objects medallion gives at most, and pageSize what
	// is asked for: OpenTAXII gives as many as one asks for.
	serverPage = 250
	pageSize   = 250
)

// An account is what a client logs in with. medallion knows no roles.
type account struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Admin    bool   `json:"admin"`
}

var (
	reader = account{Username: "reader", Password: `may read: it's "open"`, Admin: true}
	writer = account{Username: "writer", Password: "may write", Admin: true}
	guest  = account{Username: "guest", Password: "may enter"}
)

// stixObject is a STIX object to be.
type stixObject map[string]any

func (o stixObject) id() string       { return o["id"].(string) }
func (o stixObject) modified() string { return o["modified"].(string) }

// with returns a copy with other members.
func (o stixObject) with(members stixObject) stixObject {
	out := stixObject{}
	for name, value := range o {
		out[name] = value
	}
	for name, value := range members {
		out[name] = value
	}
	return out
}

// An entry is an object and the date on which it was added.
type entry struct {
	Added  string     `json:"date_added"`
	Object stixObject `json:"object"`
}

func objectsOf(entries []entry) []stixObject {
	var out []stixObject
	for _, e := range entries {
		out = append(out, e.Object)
	}
	return out
}

// text writes a time as TAXII wants it (§2).
func text(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// uuid makes the n-th id of a space of ids; both are parts of it.
func uuid(kind string, space, n int) string {
	return fmt.Sprintf("%s--%08x-0000-4000-8000-%012x", kind, space, n)
}

// indicator makes the n-th indicator of a space of ids.
func indicator(space, n int, created time.Time) stixObject {
	patterns := []string{
		fmt.Sprintf("[ipv4-addr:value = '203.0.113.%d']", n%256),
		fmt.Sprintf("[domain-name:value = 'host-%d.example.com']", n),
		fmt.Sprintf("[url:value = 'http://host-%d.example.net/a?b=%d']", n, space),
		fmt.Sprintf("[file:hashes.'SHA-256' = '%064x']", n),
	}
	return stixObject{
		"type": "indicator", "spec_version": "2.1", "id": uuid("indicator", space, n),
		"created": text(created), "modified": text(created), "valid_from": text(created),
		"name": fmt.Sprintf("Indicator %d", n), "pattern": patterns[n%len(patterns)], "pattern_type": "stix",
		"indicator_types": []string{"malicious-activity"},
	}
}

// feed makes n indicators, added from a time on, in groups that share a date:
// the sizes of groups are repeated again and again, a step lies between groups.
// Dates on which objects were created have another order.
func feed(space, n int, from time.Time, step time.Duration, groups ...int) []entry {
	var out []entry
	added := from
	for g := 0; len(out) < n; g++ {
		for i := 0; i < groups[g%len(groups)] && len(out) < n; i++ {
			k := len(out)
			created := from.Add(-time.Duration(k*7919%100003) * time.Minute)
			out = append(out, entry{text(added), indicator(space, k, created)})
		}
		added = added.Add(step)
	}
	return out
}

// epoch is the date of the first object. It is long past: what is posted later
// comes behind.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// Spaces of ids.
const (
	spaceLarge = 0x1a + iota
	spaceSmall
	spaceWhole
	spaceOdd
	spaceClosed
	spaceOther
	spacePosted
)

// largeFeed has ties of many sizes, also larger than a page.
func largeFeed() []entry {
	return feed(spaceLarge, largeSize, epoch, 1234567*time.Microsecond, 1, 7, 2, 40, 3, 300, 1, 1, 25, 120)
}

// smallFeed has pages that end between two dates, ties elsewhere, and every
// kind of object that enriches an indicator.
func smallFeed() []entry {
	out := feed(spaceSmall, smallSize, epoch, 7*time.Second+1*time.Microsecond, 1, 5, 4)
	for n := range out {
		plain := stixObject{"spec_version": "2.1", "created": text(epoch), "modified": text(epoch)}
		switch n % 50 {
		case 10:
			out[n].Object = plain.with(stixObject{"type": "malware", "id": uuid("malware", spaceSmall, n), "name": "Example", "is_family": true})
		case 11:
			out[n].Object = plain.with(stixObject{
				"type": "relationship", "id": uuid("relationship", spaceSmall, n), "relationship_type": "indicates",
				"source_ref": uuid("indicator", spaceSmall, n+1), "target_ref": uuid("malware", spaceSmall, n-1),
			})
		}
	}
	return out
}

// indicators returns those of entries.
func indicators(entries []entry) []stixObject {
	return ofTypes(entries, "indicator")
}

func ofTypes(entries []entry, types ...string) []stixObject {
	var out []stixObject
	for _, e := range entries {
		if slices.Contains(types, e.Object["type"].(string)) {
			out = append(out, e.Object)
		}
	}
	return out
}

// posted makes n indicators to be added while a server runs.
func posted(n int) []stixObject {
	var out []stixObject
	for range n {
		out = append(out, indicator(spacePosted, int(postings.Add(1)), time.Now().Add(-time.Hour)))
	}
	return out
}

var postings atomic.Int64
