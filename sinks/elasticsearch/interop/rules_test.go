//go:build interop

package interop

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

// A rule is one of Elastic's prebuilt indicator-match rules: which indicators it
// considers, which of their fields it compares with events, and for which
// observables that should be.
type rule struct {
	name   string
	exists []string
	fields []string
	meant  func(o *intel.Observable) bool
}

var rules = []rule{
	{"IP address", []string{"threat.indicator.ip"}, []string{"threat.indicator.ip"}, func(o *intel.Observable) bool {
		return (o.Type == intel.TypeIPv4 || o.Type == intel.TypeIPv6) && !o.IsRange()
	}},
	{"hash", []string{"threat.indicator.file.hash.*", "threat.indicator.file.pe.imphash"},
		[]string{"threat.indicator.file.hash.md5", "threat.indicator.file.hash.sha1", "threat.indicator.file.hash.sha256", "threat.indicator.file.pe.imphash"},
		func(o *intel.Observable) bool {
			for _, f := range o.Fields {
				if strings.HasPrefix(f.Name, "hash.") && o.Type != intel.TypeCertificate {
					return true
				}
			}
			return false
		}},
	{"URL", []string{"threat.indicator.url.full"}, []string{"threat.indicator.url.full", "threat.indicator.url.original"},
		func(o *intel.Observable) bool { return o.Type == intel.TypeURL }},
	{"registry", []string{"threat.indicator.registry.path"}, []string{"threat.indicator.registry.path"},
		func(o *intel.Observable) bool { return o.Type == intel.TypeRegistryKey }},
	{"email", []string{"threat.indicator.email.address"}, []string{"threat.indicator.email.address"},
		func(o *intel.Observable) bool { return o.Type == intel.TypeEmail }},
}

type query = map[string]any

// considered is the rule's query and filters, as Kibana sends them, and more
// conditions.
func (r rule) considered(more ...query) query {
	var exists []query
	for _, f := range r.exists {
		exists = append(exists, query{"exists": query{"field": f}})
	}
	return query{"bool": query{
		"filter": append([]query{
			{"range": query{"@timestamp": query{"gte": "now-30d/d"}}},
			{"query_string": query{"query": "event.module:(threatintel OR ti_*)"}},
			{"match_phrase": query{"event.category": "threat"}},
			{"match_phrase": query{"event.kind": "enrichment"}},
			{"match_phrase": query{"event.type": "indicator"}},
			{"bool": query{"should": exists, "minimum_should_match": 1}},
		}, more...),
		"must_not": []query{{"match": query{"labels.is_ioc_transform_source": "true"}}},
	}}
}

// TestPrebuiltRules: each rule finds every document that it can compare, by the
// value in it, and no other.
func TestPrebuiltRules(t *testing.T) {
	index := newIndex(t)
	sink := open(t, index)
	now := time.Now()
	inds := append(sinktest.EveryType(0), sinktest.Unsupported(900))
	inds = append(inds, sinktest.Indicators(100, 150)...)
	for i := range 20 {
		inds = append(inds, sinktest.Multi(300+i, 5))
	}
	mustDeliver(t, sink, upsert(now, inds...)...)
	// The same, and older than the rules look back.
	var old []*intel.Indicator
	for _, ind := range inds {
		c := *ind
		c.Feed = "old"
		old = append(old, &c)
	}
	mustDeliver(t, sink, upsert(now.AddDate(0, 0, -35), old...)...)
	all := documents(t, index)

	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			want := map[string]bool{}
			for _, ind := range inds {
				for i := range ind.Observables {
					if o := &ind.Observables[i]; r.meant(o) {
						want[ind.ID+" "+o.Ref().String()] = true
					}
				}
			}
			found := matching(t, index, r.considered())
			for id, h := range found {
				d, err := decode(h.Source)
				if err != nil {
					t.Fatal(err)
				}
				if d.Threat.Feed.Name == "old" || d.STIX.Observable == nil || !want[d.STIX.ID+" "+d.STIX.Observable.Type+":"+d.STIX.Observable.Value] {
					t.Errorf("the rule considers %s", h.Source)
				}
				// By every value that it compares.
				compared := 0
				for _, f := range r.fields {
					v := valueAt(t, h.Source, f)
					if v == "" {
						continue
					}
					compared++
					if _, ok := matching(t, index, r.considered(query{"match": query{f: v}}))[id]; !ok {
						t.Errorf("the rule does not find %s by %s = %s", id, f, v)
					}
				}
				if compared == 0 && r.name != "hash" {
					t.Errorf("nothing to compare in %s", h.Source)
				}
			}
			if len(want) == 0 || len(found) != len(want) {
				t.Errorf("the rule considers %d documents, not %d", len(found), len(want))
			}
		})
	}

	// The Intelligence page.
	page := query{"bool": query{"filter": []query{{"term": query{"event.type": "indicator"}}, {"term": query{"event.category": "threat"}}}}}
	if n := len(matching(t, index, page)); n != len(all) {
		t.Errorf("the Intelligence page shows %d of %d documents", n, len(all))
	}
}

// valueAt returns the string at a dotted path of a document; "" = none.
func valueAt(t testing.TB, source []byte, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(source, &v); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}
