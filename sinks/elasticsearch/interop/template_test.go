//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/sinktest"
)

// TestTemplate: the node takes the sink's templates, and the index that the
// first document creates is what they say, field by field.
func TestTemplate(t *testing.T) {
	index := newIndex(t)
	sink := open(t, index)
	inds := append(sinktest.EveryType(0), sinktest.Unsupported(900))
	mustDeliver(t, sink, upsert(time.Now(), inds...)...)

	var component struct {
		List []struct {
			Template struct {
				Template struct{ Mappings any }
			} `json:"component_template"`
		} `json:"component_templates"`
	}
	must(t, "GET", "/_component_template/"+index+"@mappings", nil, &component)
	var mapping map[string]struct{ Mappings any }
	must(t, "GET", "/"+index+"/_mapping", nil, &mapping)
	if len(component.List) != 1 || !reflect.DeepEqual(plain(component.List[0].Template.Template.Mappings), plain(mapping[index].Mappings)) {
		t.Errorf("the index maps\n%v\nthe template\n%v", mapping[index].Mappings, component.List)
	}
	for field, kind := range map[string]string{
		"@timestamp": "date", "event.ingested": "date", "event.module": "keyword", "threat.indicator.ip": "ip", "threat.indicator.ip_range": "ip_range",
		"threat.indicator.url.full": "keyword", "threat.indicator.file.hash.sha256": "keyword", "threat.indicator.port": "long",
		"threat.indicator.x509.issuer.distinguished_name": "keyword", "related.ip": "ip", "stix.valid_until": "date", "stix.pattern": "keyword",
	} {
		var caps struct {
			Fields map[string]map[string]any `json:"fields"`
		}
		must(t, "GET", "/"+index+"/_field_caps?fields="+field, nil, &caps)
		if _, ok := caps.Fields[field][kind]; !ok {
			t.Errorf("%s is %v, not %s", field, caps.Fields[field], kind)
		}
	}
	var settings map[string]struct {
		Settings struct {
			Index struct {
				Expand   string `json:"auto_expand_replicas"`
				Replicas string `json:"number_of_replicas"`
			}
		}
	}
	must(t, "GET", "/"+index+"/_settings", nil, &settings)
	if s := settings[index].Settings.Index; s.Expand != "0-1" || s.Replicas != "0" {
		t.Errorf("settings %+v", s)
	}
	var health struct{ Status string }
	must(t, "GET", "/_cluster/health/"+index, nil, &health)
	if health.Status != "green" {
		t.Errorf("health %s: a single node must be enough", health.Status)
	}
	var streams struct {
		Streams []any `json:"data_streams"`
	}
	must(t, "GET", "/_data_stream", nil, &streams)
	if len(streams.Streams) != 0 {
		t.Errorf("data streams: %v", streams.Streams)
	}

	// What is stored is what was sent.
	got := documents(t, index)
	for id, source := range sent(t, sink, upsert(time.Now(), inds...)...) {
		var a, b map[string]any
		if json.Unmarshal(source, &a) != nil || json.Unmarshal(got[id].Source, &b) != nil {
			t.Fatalf("%s: %s", id, got[id].Source)
		}
		for _, doc := range []map[string]any{a, b} {
			delete(doc, "@timestamp")
			delete(doc["event"].(map[string]any), "ingested")
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s is stored as %s, was sent as %s", id, got[id].Source, source)
		}
	}
	if len(got) != len(inds) {
		t.Errorf("%d documents, want %d", len(got), len(inds))
	}
}

// plain makes what means the same the same: the node spells dynamic as a string
// and lists what is the default.
func plain(v any) any {
	switch t := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range t {
			out[k] = plain(e)
		}
		return out
	case bool:
		return map[bool]string{true: "true", false: "false"}[t]
	}
	return v
}

// TestOlderTemplate: templates of an older version are brought up to date, with
// the index that they made; others' are left alone.
func TestOlderTemplate(t *testing.T) {
	index := newIndex(t)
	must(t, "PUT", "/_component_template/"+index+"@mappings", `{"version":0,"template":{"mappings":{"dynamic":false,"properties":{"@timestamp":{"type":"date"}}}}}`, nil)
	must(t, "PUT", "/_index_template/"+index, `{"version":0,"index_patterns":["`+index+`"],"priority":501,"composed_of":["`+index+`@mappings"]}`, nil)
	must(t, "PUT", "/"+index, nil, nil)
	var log bytes.Buffer
	for range 2 {
		sink := openWith(t, elasticsearch.Config{Addresses: []string{node.URL}, Distribution: elasticsearch.OpenSearch, Index: index},
			hclog.New(&hclog.LoggerOptions{Output: &log}))
		mustDeliver(t, sink, upsert(time.Now(), sinktest.Indicator(1))...)
	}
	if n := strings.Count(log.String(), "installed index template"); n != 1 || strings.Contains(log.String(), "[WARN]") {
		t.Errorf("log: %s", log.String())
	}
	if len(matching(t, index, map[string]any{"term": map[string]any{"event.module": "ti_taxii"}})) != 1 {
		t.Error("the index did not get the new fields")
	}
}

// TestMisfit: an index whose fields have other types keeps them, which is said;
// the documents that it refuses are dead letters in the server's own words, one
// by one, and their neighbours are there.
func TestMisfit(t *testing.T) {
	index := newIndex(t)
	must(t, "PUT", "/"+index, `{"mappings":{"properties":{"threat":{"properties":{"indicator":{"properties":{"name":{"type":"ip"}}}}}}}}`, nil)
	var log bytes.Buffer
	sink := openWith(t, elasticsearch.Config{Addresses: []string{node.URL}, Distribution: elasticsearch.OpenSearch, Index: index},
		hclog.New(&hclog.LoggerOptions{Output: &log}))
	address := func(value string) intel.Observable {
		return intel.Observable{Type: intel.TypeIPv4, Value: value, Fidelity: intel.FidelityExact}
	}
	inds := []*intel.Indicator{
		sinktest.New(1, address("198.51.100.1")), sinktest.New(2, sinktest.Domain(2)),
		sinktest.New(3, address("198.51.100.3"), sinktest.Domain(3)), sinktest.New(4, address("198.51.100.4")),
	}
	outcomes := deliver(t, sink, upsert(time.Now(), inds...)...)
	for i, o := range outcomes {
		if bad := i == 1 || i == 2; !bad {
			if o.Status != intel.Delivered {
				t.Errorf("neighbour %d: %s %s %s", i, o.Status, o.Reason, o.Detail)
			}
		} else if o.Status != intel.Rejected || o.Reason != "mapper_parsing_exception" || !strings.Contains(o.Detail, "threat.indicator.name") ||
			!strings.Contains(o.Detail, "is not an IP string literal") || !bytes.Contains(o.Sent, []byte(inds[i].ID)) {
			t.Errorf("%d: %s %s %s", i, o.Status, o.Reason, o.Detail)
		}
	}
	if held := outcomes[2].Held; len(held) != 1 || held[0] != inds[2].Observables[0].Ref() {
		t.Errorf("of the indicator that was refused in part, %v is held", held)
	}
	if n := len(documents(t, index)); n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
	if !strings.Contains(log.String(), "keeps its old mapping") || !strings.Contains(log.String(), "threat.indicator.name") {
		t.Errorf("log: %s", log.String())
	}
}
