package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// history is a feed that changes at random, and what can be known of it at any
// time: the rig's truth for indicators, the fields here for what enriches them.
type history struct {
	*rig
	random *rand.Rand
	epoch  time.Time // created of everything; the versions are milliseconds after it

	lives     []*life
	families  []family
	links     []link
	creators  []bool // by number: served
	expiry    time.Time
	changes   int
	revisions int // versions given out so far, of objects of any kind
}

// life is one indicator.
type life struct {
	n        int
	versions [][]byte // the newest last
	now      object
	creator  int // -1 = none
}

// family is a malware that indicators can indicate; its number is its place.
type family struct {
	served, revoked bool
	name            string
}

// link is a relationship; its number is its place.
type link struct {
	indicator, family int
	revoked           bool
}

func newHistory(r *rig, random *rand.Rand) *history {
	return &history{
		rig: r, random: random, epoch: time.Now().Add(-time.Hour).Truncate(time.Millisecond),
		families: make([]family, 12), creators: make([]bool, 8),
	}
}

// poisoned tells which indicators no SIEM takes, in whatever version.
func poisoned(n int) bool { return n%61 == 17 }

// step lets one thing happen to the feed.
func (h *history) step() {
	h.changes++
	roll := h.random.IntN(100)
	switch {
	case roll < 25 || len(h.lives) < 10:
		h.born()
	case roll < 68:
		h.change(h.lives[h.random.IntN(len(h.lives))])
	case roll < 78: // served again as it is
		l := h.lives[h.random.IntN(len(h.lives))]
		h.main.Add(time.Now(), l.versions[len(l.versions)-1])
	case roll < 86: // an older version comes late, from a server of those
		l := h.lives[h.random.IntN(len(h.lives))]
		h.other.Add(time.Now(), l.versions[h.random.IntN(len(l.versions))])
	case roll < 95:
		h.connect()
	default:
		if i := h.random.IntN(len(h.creators)); !h.creators[i] {
			h.creators[i] = true
			h.main.Add(time.Now(), object{
				"type": "identity", "spec_version": "2.1", "id": id("identity", i), "created": stamp(h.epoch), "modified": stamp(h.epoch),
				"name": creatorName(i), "identity_class": "organization",
			}.raw())
		}
	}
}

func creatorName(n int) string { return fmt.Sprintf("creator %d", n) }

// revision returns the modified of the next version of anything.
func (h *history) revision() string {
	h.revisions++
	return stamp(h.epoch.Add(time.Duration(h.revisions) * time.Millisecond))
}

func (h *history) born() {
	l := &life{n: len(h.lives), creator: -1}
	l.now = indicator(l.n, h.epoch, "")
	if h.random.IntN(4) == 0 {
		l.creator = h.random.IntN(len(h.creators))
		l.now["created_by_ref"] = id("identity", l.creator)
	}
	h.lives = append(h.lives, l)
	h.patterned(l.now, l.n)
	if h.random.IntN(2) == 0 {
		l.now["confidence"] = h.random.IntN(101)
	}
	h.publish(l)
}

// change makes a newer version of an indicator.
func (h *history) change(l *life) {
	l.now = l.now.with(object{})
	roll := h.random.IntN(100)
	delete(l.now, "revoked") // what was withdrawn by its producer comes back, unless that is what happens
	switch {
	case roll < 40:
		h.patterned(l.now, l.n)
	case roll < 55:
		l.now["confidence"] = h.random.IntN(101)
	case roll < 70:
		l.now["revoked"] = true
	case roll < 80:
		at := time.Now().Add(time.Duration(h.random.IntN(4000)-500) * time.Millisecond)
		if at.After(h.expiry) {
			h.expiry = at
		}
		l.now["valid_until"] = stamp(at)
	case roll < 86:
		l.now["valid_until"] = stamp(time.Now().AddDate(1, 0, 0))
	case roll < 92:
		delete(l.now, "valid_until")
	case roll < 96:
		l.now["indicator_types"] = []string{"benign"}
	default:
		l.now["indicator_types"] = []string{"malicious-activity"}
	}
	h.publish(l)
}

// patterned gives an indicator some of the observables that belong to it, or
// something that is none.
func (h *history) patterned(o object, n int) {
	o["pattern_type"] = "stix"
	switch h.random.IntN(16) {
	case 0:
		o["pattern"] = fmt.Sprintf("[x-example:id = '%d']", n)
	case 1:
		o["pattern"] = "[domain-name:value = '" + host(n) // no pattern
	case 2:
		o["pattern"] = fmt.Sprintf("rule r%d { condition: true }", n)
		o["pattern_type"] = "yara"
	default:
		var parts []string
		for _, kind := range h.random.Perm(7)[:1+h.random.IntN(5)] {
			parts = append(parts, shapes[[...]int{0, 1, 3, 4, 5, 7, 13}[kind]](n))
		}
		o["pattern"] = strings.Join(parts, " OR ")
	}
}

func (h *history) publish(l *life) {
	l.now["modified"] = h.revision()
	l.now["name"] = fmt.Sprintf("indicator %d in version %d", l.n, h.revisions)
	raw := l.now.raw()
	l.versions = append(l.versions, raw)
	to := h.main
	if h.random.IntN(10) == 0 {
		to = h.other
	}
	h.serve(to, time.Now(), raw)
}

// connect changes something about what indicators indicate.
func (h *history) connect() {
	m := h.random.IntN(len(h.families))
	switch roll := h.random.IntN(10); {
	case roll < 4: // the family itself: first, renamed, revoked or back
		f := &h.families[m]
		f.revoked = f.served && h.random.IntN(5) == 0
		f.served = true
		modified := h.revision()
		f.name = fmt.Sprintf("Family%d-%d", m, h.revisions)
		h.send(h.main, malware(m, h.epoch, f.name).with(object{"modified": modified, "revoked": f.revoked}))
	case roll < 9 || len(h.links) == 0:
		l := link{indicator: h.random.IntN(len(h.lives) + 3), family: m} // it may be before its indicator
		h.links = append(h.links, l)
		h.sendLink(len(h.links) - 1)
	default:
		i := h.random.IntN(len(h.links))
		h.links[i].revoked = !h.links[i].revoked
		h.sendLink(i)
	}
}

func (h *history) sendLink(i int) {
	l := h.links[i]
	h.send(h.main, indicates(l.indicator, h.epoch, id("malware", l.family)).with(object{
		"id": id("relationship", i), "modified": h.revision(), "revoked": l.revoked,
	}))
}

func (h *history) send(c *taxiitest.Collection, o object) { c.Add(time.Now(), o.raw()) }

// related returns the names of what an indicator indicates, sorted.
func (h *history) related(n int) []string {
	var names []string
	for _, l := range h.links {
		if f := &h.families[l.family]; l.indicator == n && !l.revoked && f.served && !f.revoked && !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// creator returns the name of an indicator's creator, if that is known.
func (h *history) creator(n int) string {
	if c := h.lives[n].creator; c >= 0 && h.creators[c] {
		return creatorName(c)
	}
	return ""
}
