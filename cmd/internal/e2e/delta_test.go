package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"taxii-forwarder/sinks/elasticsearch/elastictest"
)

// bookmark remembers how far each destination's record had come.
type bookmark struct {
	traffic traffic
	events  int
	uploads int
	stats   elastictest.Stats
	docs    map[string]elastictest.Doc
}

func (r *rig) mark() bookmark {
	r.Helper()
	b := bookmark{traffic: r.traffic(), events: len(r.splunk.Events()), uploads: len(r.sentinel.Uploads()), stats: r.elastic.Stats(), docs: map[string]elastictest.Doc{}}
	for _, d := range r.elastic.Docs(index) {
		b.docs[d.ID] = d
	}
	return b
}

// since tells what every destination was sent after a bookmark, a line for each
// request and below it one for each thing in it. Indicators are named by their
// number.
func (r *rig) since(b bookmark) string {
	r.Helper()
	var out strings.Builder
	now := r.traffic()

	if n := now.splunk - b.traffic.splunk; n > 0 {
		fmt.Fprintf(&out, "splunk: requests %d\n", n)
	}
	for _, e := range r.splunk.Events()[b.events:] {
		fmt.Fprintf(&out, "  %s %d %s", e.Action, number(e.STIXID), refOf(e))
		if reason := e.Field("withdraw_reason"); reason != "" {
			fmt.Fprintf(&out, " (%s)", reason)
		}
		out.WriteByte('\n')
	}

	for _, u := range r.sentinel.Uploads()[b.uploads:] {
		fmt.Fprintf(&out, "sentinel: upload, status %d\n", u.Status)
		for _, raw := range u.Objects {
			var o struct {
				ID      string `json:"id"`
				Revoked bool   `json:"revoked"`
				Pattern string `json:"pattern"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				r.Fatal(err)
			}
			word := "hold"
			if o.Revoked {
				word = "revoke"
			}
			fmt.Fprintf(&out, "  %s %d %s\n", word, number(o.ID), o.Pattern)
		}
	}

	out.WriteString(r.elasticSince(b))

	for _, l := range r.lines()[b.traffic.lines:] {
		fmt.Fprintf(&out, "file: %s %d", l.Action, number(l.Indicator.ID))
		if l.Reason != "" {
			fmt.Fprintf(&out, " (%s)", l.Reason)
		}
		for _, ref := range l.Removed {
			fmt.Fprintf(&out, " -%s", ref)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// elasticSince compares documents, and counts the operations that had an
// effect, so that one which changed nothing shows as well. Beside an update may
// go one that has none: the delete of a document that would stand for the
// indicator as a whole, had an earlier version had no observables.
func (r *rig) elasticSince(b bookmark) string {
	r.Helper()
	st := r.elastic.Stats()
	if st.Bulks == b.stats.Bulks {
		return ""
	}
	effective := func(st elastictest.Stats) int {
		return st.Created + st.Updated + st.Deleted + st.Conflicts + st.Refused
	}
	var out strings.Builder
	fmt.Fprintf(&out, "elastic: requests %d, operations %d\n", st.Bulks-b.stats.Bulks, effective(st)-effective(b.stats))
	if n := st.NotFound - b.stats.NotFound; n > 1 {
		fmt.Fprintf(&out, "  delete of %d documents that are not there\n", n)
	}
	before := maps.Clone(b.docs)
	var changes []string
	note := func(word string, d elastictest.Doc) {
		id, ref, atomic := document(r, d.Source)
		what := "as a whole"
		if atomic {
			what = ref.String()
		}
		changes = append(changes, fmt.Sprintf("  %s %d %s\n", word, number(id), what))
	}
	for _, d := range r.elastic.Docs(index) {
		old, ok := before[d.ID]
		delete(before, d.ID)
		switch {
		case !ok:
			note("create", d)
		case d.Version < old.Version:
			r.Errorf("elasticsearch: %s went from version %d to %d", d.ID, old.Version, d.Version)
		case !bytes.Equal(d.Source, old.Source):
			note("update", d)
		}
	}
	for _, d := range before {
		note("delete", d)
	}
	slices.Sort(changes)
	out.WriteString(strings.Join(changes, ""))
	return out.String()
}

// number is the inverse of [id].
func number(id string) int {
	n := -1
	fmt.Sscanf(id[strings.LastIndexByte(id, '-')+1:], "%x", &n)
	return n
}
