package taxiitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Collection is a collection of a [Server].
type Collection struct {
	s      *Server
	info   Info
	all    []record // by key, then by arrival
	newest map[string]head
	seq    int
	pages  map[string]*answer // rendered pages, by query
}

// A head is the newest version of an object.
type head struct {
	seq int
	ver time.Time
}

// A record is one version of an object.
type record struct {
	raw   []byte
	id    string
	kind  string
	spec  string
	ver   time.Time // modified, else created
	added time.Time // as the server shows it
	key   time.Time // what the server sorts by and compares added_after with
	from  time.Time // valid_from
	about string    // type of the first observable in the pattern
	seq   int       // arrival
}

// Add adds objects as having been added at one time. A STIX object that is not
// valid JSON is served as it is, for tests of that. added may lie in the past,
// as of a transaction that was committed late.
func (c *Collection) Add(added time.Time, objects ...[]byte) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	unit := c.s.p.Unit
	added = added.UTC().Truncate(unit)
	sorted := true
	for _, raw := range objects {
		if c.s.p.Publishing {
			raw = c.publish(raw)
		}
		rec := c.record(raw, added)
		sorted = sorted && (len(c.all) == 0 || c.less(&c.all[len(c.all)-1], &rec))
		c.all = append(c.all, rec)
	}
	if !sorted {
		slices.SortStableFunc(c.all, func(a, b record) int {
			switch {
			case c.less(&a, &b):
				return -1
			case c.less(&b, &a):
				return 1
			}
			return 0
		})
	}
	c.pages = nil
}

func (c *Collection) less(a, b *record) bool {
	if !a.key.Equal(b.key) {
		return a.key.Before(b.key)
	}
	return a.seq < b.seq
}

func (c *Collection) record(raw []byte, added time.Time) record {
	var o struct {
		Type        string    `json:"type"`
		ID          string    `json:"id"`
		SpecVersion string    `json:"spec_version"`
		Created     time.Time `json:"created"`
		Modified    time.Time `json:"modified"`
		ValidFrom   time.Time `json:"valid_from"`
		Pattern     string    `json:"pattern"`
	}
	_ = json.Unmarshal(raw, &o) // a broken object has none of these
	c.seq++
	if o.ID == "" {
		o.ID = fmt.Sprintf("broken--%d", c.seq)
	}
	if o.SpecVersion == "" {
		o.SpecVersion = "2.0"
	}
	rec := record{raw: raw, id: o.ID, kind: o.Type, spec: o.SpecVersion, ver: o.Modified, added: added, key: added, from: o.ValidFrom, seq: c.seq}
	rec.about, _, _ = strings.Cut(strings.TrimLeft(o.Pattern, "[( "), ":")
	if rec.ver.IsZero() {
		rec.ver = o.Created
	}
	if c.s.p.ByCreated {
		rec.key = o.Created.UTC().Truncate(c.s.p.Unit)
	}
	if last, ok := c.newest[o.ID]; !ok || !rec.ver.Before(last.ver) {
		c.newest[o.ID] = head{rec.seq, rec.ver}
	}
	return rec
}

// publish gives an indicator the id of its next publication.
func (c *Collection) publish(raw []byte) []byte {
	var o struct{ Type, ID string }
	if json.Unmarshal(raw, &o) != nil || o.Type != "indicator" {
		return raw
	}
	id := fmt.Sprintf("indicator--%08x-0000-4000-8000-0000c0ffee00", c.seq+1)
	return bytes.Replace(raw, []byte(o.ID), []byte(id), 1)
}

// Remove takes an object away, all its versions, as a server does that has no
// tombstones.
func (c *Collection) Remove(id string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(r record) bool { return r.id == id })
	delete(c.newest, id)
	c.pages = nil
}

// Len returns how many objects there are, counting the versions of one as one.
func (c *Collection) Len() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return len(c.newest)
}

// from returns the index of the first record whose key is after t, or not
// before it on an inclusive server.
func (c *Collection) from(t time.Time) int {
	return sort.Search(len(c.all), func(i int) bool {
		if c.s.p.Inclusive {
			return !c.all[i].key.Before(t)
		}
		return c.all[i].key.After(t)
	})
}

func (c *Collection) describe() []byte {
	b, _ := json.Marshal(c.members())
	return b
}

func (c *Collection) members() map[string]any {
	m := map[string]any{"id": c.info.ID, "title": c.info.Title, "can_read": !c.info.NoRead, "can_write": c.info.CanWrite, "media_types": []string{"application/stix+json;version=2.1"}}
	if c.info.Alias != "" {
		m["alias"] = c.info.Alias
	}
	if c.info.Description != "" {
		m["description"] = c.info.Description
	}
	if c.s.p.Describe != nil {
		c.s.p.Describe(m)
	}
	return m
}
