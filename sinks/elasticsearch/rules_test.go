package elasticsearch

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// Elastic's five prebuilt indicator-match rules, as queries: the filters they
// share, the threat query, and the field that must exist; and what each then
// compares with a field of an event.
var prebuilt = []struct {
	name   string
	exists []string
	match  map[string]func(o *intel.Observable) string
}{
	{"ip", []string{"threat.indicator.ip"}, map[string]func(*intel.Observable) string{
		"threat.indicator.ip": func(o *intel.Observable) string {
			if (o.Type == intel.TypeIPv4 || o.Type == intel.TypeIPv6) && !o.IsRange() {
				return o.Value
			}
			return ""
		},
	}},
	{"hash", []string{"threat.indicator.file.hash.*", "threat.indicator.file.pe.imphash"}, map[string]func(*intel.Observable) string{
		"threat.indicator.file.hash.md5":    hashOf(intel.FieldMD5),
		"threat.indicator.file.hash.sha1":   hashOf(intel.FieldSHA1),
		"threat.indicator.file.hash.sha256": hashOf(intel.FieldSHA256),
	}},
	{"url", []string{"threat.indicator.url.full"}, map[string]func(*intel.Observable) string{
		"threat.indicator.url.full":     valueOf(intel.TypeURL),
		"threat.indicator.url.original": valueOf(intel.TypeURL),
	}},
	{"registry", []string{"threat.indicator.registry.path"}, map[string]func(*intel.Observable) string{
		"threat.indicator.registry.path": func(o *intel.Observable) string {
			key, ok := strings.CutPrefix(o.Field(intel.FieldKey), "HKEY_LOCAL_MACHINE")
			if !ok {
				return ""
			}
			if v := o.Field(intel.FieldValueName); v != "" {
				key += `\` + v
			}
			return "HKLM" + key
		},
	}},
	{"email", []string{"threat.indicator.email.address"}, map[string]func(*intel.Observable) string{
		"threat.indicator.email.address": valueOf(intel.TypeEmail),
	}},
}

func hashOf(field string) func(*intel.Observable) string {
	return func(o *intel.Observable) string {
		if o.Type == intel.TypeCertificate {
			return ""
		}
		return o.Field(field)
	}
}

func valueOf(t intel.ObservableType) func(*intel.Observable) string {
	return func(o *intel.Observable) string {
		if o.Type == t {
			return o.Value
		}
		return ""
	}
}

// ruleQuery is a rule's threat query with its filters and more conditions.
func ruleQuery(exists []string, more string) any {
	var should []string
	for _, e := range exists {
		should = append(should, `{"exists":{"field":"`+e+`"}}`)
	}
	var q any
	err := json.Unmarshal([]byte(`{"bool":{"filter":[
		{"range":{"@timestamp":{"gte":"now-30d/d"}}},
		{"bool":{"should":[{"term":{"event.module":"threatintel"}},{"wildcard":{"event.module":"ti_*"}}],"minimum_should_match":1}},
		{"term":{"event.category":"threat"}},{"term":{"event.kind":"enrichment"}},{"term":{"event.type":"indicator"}},
		{"bool":{"should":[`+strings.Join(should, ",")+`],"minimum_should_match":1}}`+more+`],
		"must_not":[{"term":{"labels.is_ioc_transform_source":"true"}}]}}`), &q)
	if err != nil {
		panic(err)
	}
	return q
}

// TestPrebuiltRules: each rule finds the documents whose observable it can
// compare, by the very value, and no others.
func TestPrebuiltRules(t *testing.T) {
	s := server(t, elastictest.Options{Now: nowFunc})
	sink := open(t, s)
	inds := append(sinktest.EveryType(0), sinktest.Unsupported(900))
	inds = append(inds, sinktest.Indicators(100, 100)...)
	mustDeliver(t, sink, upsert(now, inds...)...)
	for _, rule := range prebuilt {
		t.Run(rule.name, func(t *testing.T) {
			want := map[string]bool{}
			for _, ind := range inds {
				for i := range ind.Observables {
					o := &ind.Observables[i]
					for field, value := range rule.match {
						v := value(o)
						if v == "" {
							continue
						}
						want[documentID(ind, o.Ref())] = true
						term, _ := json.Marshal(map[string]any{"term": map[string]any{field: v}})
						if ids := s.Find(defaultIndex, ruleQuery(rule.exists, ","+string(term))); !slices.Contains(ids, documentID(ind, o.Ref())) {
							t.Errorf("the rule does not find %s by %s = %s", o.Ref(), field, v)
						}
					}
				}
			}
			ids := s.Find(defaultIndex, ruleQuery(rule.exists, ""))
			if len(want) == 0 || len(ids) != len(want) {
				t.Errorf("the rule considers %d documents, not %d", len(ids), len(want))
			}
			for _, id := range ids {
				if !want[id] {
					d, _ := s.Doc(defaultIndex, id)
					t.Errorf("the rule considers %s", d.Source)
				}
			}
		})
	}
}

// TestIntelligencePage: Kibana's page shows every document, and its Indicator
// column has a value for each type that it knows.
func TestIntelligencePage(t *testing.T) {
	s := server(t, elastictest.Options{Now: nowFunc})
	sink := open(t, s)
	inds := append(sinktest.EveryType(0), sinktest.Unsupported(900))
	mustDeliver(t, sink, upsert(now, inds...)...)
	column := map[string][]string{
		"ipv4-addr": {"ip"}, "ipv6-addr": {"ip"}, "file": {"file.hash.sha256", "file.hash.md5", "file.hash.sha1"}, "url": {"url.full"},
		"domain-name": {"url.domain"}, "x509-certificate": {"x509.serial_number"}, "email-addr": {"email.address"},
		"windows-registry-key": {"registry.key"}, "autonomous-system": {"as.number"}, "mac-addr": {"mac"},
	}
	var q any = map[string]any{"bool": map[string]any{"filter": []any{
		map[string]any{"term": map[string]any{"event.type": "indicator"}}, map[string]any{"term": map[string]any{"event.category": "threat"}},
	}}}
	ids := s.Find(defaultIndex, q)
	if len(ids) != len(inds) {
		t.Errorf("%d documents on the page, not %d", len(ids), len(inds))
	}
	for _, id := range ids {
		d, _ := s.Doc(defaultIndex, id)
		doc := d.Decoded()
		kind, _ := at(doc, "threat.indicator.type").(string)
		if at(doc, "threat.indicator.name") == nil || at(doc, "threat.feed.name") == nil || at(doc, "threat.indicator.first_seen") == nil {
			t.Errorf("a column is empty: %s", d.Source)
		}
		fields, known := column[kind]
		shown := slices.ContainsFunc(fields, func(f string) bool { return at(doc, "threat.indicator."+f) != nil })
		byName := at(doc, "threat.indicator.ip_range") != nil || kind == "file" && at(doc, "threat.indicator.file.hash") == nil || kind == "x509-certificate"
		if known && !shown && !byName {
			t.Errorf("the Indicator column is empty for %s", d.Source)
		}
	}
}

// TestRange: a range is in a field of its own, found by an address in it.
func TestRange(t *testing.T) {
	s := server(t, elastictest.Options{Now: nowFunc})
	sink := open(t, s)
	for ref, inside := range map[string]string{
		"203.0.113.0/24": "203.0.113.77", "2001:db8:7::/48": "2001:db8:7::1", "::ffff:198.51.100.0/120": "198.51.100.9",
	} {
		kind := intel.TypeIPv4
		if strings.Contains(ref, ":") {
			kind = intel.TypeIPv6
		}
		ind := sinktest.New(1, intel.Observable{Type: kind, Value: ref, Fidelity: intel.FidelityExact})
		mustDeliver(t, sink, upsert(now, ind)...)
		ids := s.Find(defaultIndex, map[string]any{"term": map[string]any{"threat.indicator.ip_range": inside}})
		if len(ids) != 1 || ids[0] != documentID(ind, ind.Observables[0].Ref()) {
			t.Errorf("%s is not found by %s", ref, inside)
		}
	}
}
