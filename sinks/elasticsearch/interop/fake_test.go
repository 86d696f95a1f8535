//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// A question is a request about an index that the sink has made, INDEX in path
// and body. own says which causes are told in the node's parser's own words,
// that elastictest does not repeat.
type question struct {
	name, method, path, body string
	own                      bool
}

func bulk(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

var questions = []question{
	{name: "no address", body: bulk(`{"index":{"_id":"a","version":10,"version_type":"external_gte"}}`, `{"threat":{"indicator":{"ip":"10.0.0.0/8"}}}`,
		`{"index":{"_id":"b"}}`, `{"threat":{"indicator":{"ip":"hello"}}}`, `{"index":{"_id":"c"}}`, `{"threat":{"indicator":{"ip":["192.0.2.1","x"]}}}`,
		`{"index":{"_id":"d"}}`, `{"threat":{"indicator":{"ip":"fe80::1%eth0"}}}`)},
	{name: "no range", body: bulk(`{"index":{"_id":"a"}}`, `{"threat":{"indicator":{"ip_range":"10.0.0.0/33"}}}`,
		`{"index":{"_id":"b"}}`, `{"threat":{"indicator":{"ip_range":"nonsense"}}}`)},
	{name: "mapped range", own: true, body: bulk(`{"index":{"_id":"a"}}`, `{"threat":{"indicator":{"ip_range":"::ffff:10.0.0.0/104"}}}`)},
	{name: "no date", own: true, body: bulk(`{"index":{"_id":"a"}}`, `{"@timestamp":"nonsense"}`)},
	{name: "no number", body: bulk(`{"index":{"_id":"a"}}`, `{"threat":{"indicator":{"port":"x"}}}`)},
	{name: "value for object", body: bulk(`{"index":{"_id":"a"}}`, `{"threat":"text"}`)},
	{name: "object for value", own: true, body: bulk(`{"index":{"_id":"a"}}`, `{"threat":{"indicator":{"name":{"a":1}}}}`)},
	{name: "cut short", own: true, body: bulk(`{"index":{"_id":"a"}}`, `{"broken":`)},
	{name: "_id in a document", body: bulk(`{"index":{"_id":"a"}}`, `{"_id":"text"}`)},
	{name: "odd names", body: bulk(`{"index":{"_id":"a"}}`, `{"":1}`, `{"index":{"_id":"b"}}`, `{"a.":1}`)},
	{name: "no object", body: bulk(`{"index":{"_id":"a"}}`, `[1]`)},
	{name: "what is not mapped", body: bulk(`{"index":{"_id":"a"}}`, `{"new":{"field":[1,{"x":"y"}]},"labels":{"a":"b"}}`)},
	{name: "long strings", body: bulk(`{"index":{"_id":"a"}}`, `{"threat":{"indicator":{"name":"`+strings.Repeat("x", 40_000)+`"}}}`)},
	{name: "external_gte", body: bulk(
		`{"index":{"_id":"v","version":10,"version_type":"external_gte"}}`, `{}`, `{"index":{"_id":"v","version":10,"version_type":"external_gte"}}`, `{}`,
		`{"index":{"_id":"v","version":9,"version_type":"external_gte"}}`, `{}`, `{"delete":{"_id":"v","version":9,"version_type":"external_gte"}}`,
		`{"delete":{"_id":"v","version":11,"version_type":"external_gte"}}`, `{"index":{"_id":"v","version":10,"version_type":"external_gte"}}`, `{}`,
		`{"delete":{"_id":"v","version":12,"version_type":"external_gte"}}`, `{"delete":{"_id":"never","version":12,"version_type":"external_gte"}}`,
		`{"index":{"_id":"never","version":11,"version_type":"external_gte"}}`, `{}`, `{"index":{"_id":"v","version":12,"version_type":"external_gte"}}`, `{}`)},
	{name: "external and create", body: bulk(`{"index":{"_id":"x","version":10,"version_type":"external"}}`, `{}`,
		`{"index":{"_id":"x","version":10,"version_type":"external"}}`, `{}`, `{"create":{"_id":"x"}}`, `{}`, `{"index":{"_id":"x"}}`, `{}`,
		`{"delete":{"_id":"x"}}`, `{"delete":{"_id":"x"}}`, `{"create":{"_id":"x"}}`, `{}`)},
	{name: "conditions", body: bulk(`{"delete":{"_id":"taxii-forwarder-check","if_seq_no":0,"if_primary_term":1}}`)},
	{name: "create with a version", body: bulk(`{"create":{"_id":"x","version":10,"version_type":"external_gte"}}`, `{}`)},
	{name: "version of no type", body: bulk(`{"index":{"_id":"x","version":10}}`, `{}`)},
	{name: "type of no version", body: bulk(`{"index":{"_id":"x","version_type":"external_gte"}}`, `{}`)},
	{name: "unknown type", body: bulk(`{"index":{"_id":"x","version":10,"version_type":"nope"}}`, `{}`)},
	{name: "unknown parameter", body: bulk(`{"index":{"_id":"x","foo":10}}`, `{}`)},
	{name: "unknown action", body: bulk(`{"nope":{"_id":"x"}}`, `{}`)},
	{name: "no action", body: bulk(`{}`, `{}`)},
	{name: "action without document", body: bulk(`{"index":{"_id":"x"}}`)},
	{name: "last action without document", body: bulk(`{"index":{"_id":"y"}}`, `{}`, `{"index":{"_id":"x"}}`)},
	{name: "delete of nothing", body: bulk(`{"delete":{}}`)},
	{name: "no line feed", body: bulk(`{"index":{"_id":"x"}}`) + `{}`},
	{name: "empty lines", body: "\n\n"},
	{name: "no body", body: ""},
	{name: "long _id", body: bulk(`{"index":{"_id":"`+strings.Repeat("x", 512)+`"}}`, `{}`)},

	{name: "index", method: "HEAD", path: "/INDEX"},
	{name: "no such index", method: "HEAD", path: "/INDEX-not"},
	{name: "index again", method: "PUT", path: "/INDEX"},
	{name: "document", method: "GET", path: "/INDEX/_doc/not"},
	{name: "document of no index", method: "GET", path: "/INDEX-not/_doc/not"},
	{name: "search of no index", method: "GET", path: "/INDEX-not/_search"},
	{name: "field types", method: "GET", path: "/INDEX/_field_caps?fields=@timestamp,threat.indicator.ip,nope,_id", own: true},
	{name: "field types of no index", method: "GET", path: "/INDEX-not/_field_caps?fields=_id"},
	{name: "unknown query", method: "POST", path: "/INDEX/_search", body: `{"query":{"foo":{}}}`, own: true},
	{name: "unknown bound", method: "POST", path: "/INDEX/_search", body: `{"query":{"range":{"@timestamp":{"foo":1}}}}`},
	{name: "refresh of no index", method: "POST", path: "/INDEX-not/_update_by_query", body: `{"script":{"source":"ctx._source['a'] = params.b","params":{"b":1}}}`},
	{name: "refresh of no index, leniently", method: "POST", path: "/INDEX-not/_update_by_query?ignore_unavailable=true",
		body: `{"script":{"source":"ctx._source['a'] = params.b","params":{"b":1}}}`},
	{name: "template", method: "GET", path: "/_index_template/INDEX"},
	{name: "no such template", method: "GET", path: "/_index_template/INDEX-not"},
	{name: "template of missing parts", method: "PUT", path: "/_index_template/INDEX-x", body: `{"index_patterns":["INDEX-x"],"composed_of":["INDEX-x"]}`},
	{name: "template of nothing", method: "PUT", path: "/_index_template/INDEX-x", body: `{"priority":1}`},
	{name: "template with more", method: "PUT", path: "/_index_template/INDEX-x", body: `{"index_patterns":["INDEX-x"],"foo":1}`},
	{name: "component with more", method: "PUT", path: "/_component_template/INDEX-x", body: `{"template":{},"foo":1}`},
	{name: "component of unknown types", method: "PUT", path: "/_component_template/INDEX-x", body: `{"template":{"mappings":{"properties":{"x":{"type":"nope"}}}}}`},
	{name: "other type", method: "PUT", path: "/INDEX/_mapping", body: `{"properties":{"threat":{"properties":{"indicator":{"properties":{"ip":{"type":"keyword"}}}}}}}`},
	{name: "type of Elasticsearch", method: "PUT", path: "/INDEX/_mapping", body: `{"properties":{"x":{"type":"flattened"}}}`},
	{name: "unknown mapping parameter", method: "PUT", path: "/INDEX/_mapping", body: `{"properties":{"x":{"type":"keyword","foo":1}}}`},
	{name: "unknown root parameter", method: "PUT", path: "/INDEX/_mapping", body: `{"foo":1}`},
	{name: "dynamic perhaps", method: "PUT", path: "/INDEX/_mapping", body: `{"dynamic":"maybe"}`, own: true},
	{name: "mapping of no index", method: "PUT", path: "/INDEX-not/_mapping", body: `{"properties":{"x":{"type":"keyword"}}}`},
	{name: "strict", method: "PUT", path: "/INDEX-strict", body: `{"mappings":{"dynamic":"strict","properties":{"a":{"type":"keyword"}}}}`},
	{name: "strict documents", path: "/INDEX-strict/_bulk", own: true, body: bulk(`{"index":{"_id":"a"}}`, `{"b":1}`, `{"index":{"_id":"b"}}`, `{"a":"`+strings.Repeat("x", 33_000)+`"}`)},
	{name: "privileges", method: "POST", path: "/_security/user/_has_privileges", body: `{}`},
	{name: "nothing of the kind", method: "GET", path: "/INDEX/foo/bar/baz"},
}

// TestFake holds elastictest to what the node answers.
func TestFake(t *testing.T) {
	index := newIndex(t)
	t.Cleanup(func() { forget(index + "-strict") })
	fake := elastictest.NewServer(elastictest.Options{Distribution: elastictest.OpenSearch})
	t.Cleanup(fake.Close)
	for _, url := range []string{node.URL, fake.URL()} {
		sink := openWith(t, elasticsearch.Config{Addresses: []string{url}, Distribution: elasticsearch.OpenSearch, Index: index}, hclog.NewNullLogger())
		mustDeliver(t, sink, upsert(time.Now(), sinktest.Indicator(1))...)
	}
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			if q.method == "" {
				q.method = "POST"
			}
			if q.path == "" {
				q.path = "/INDEX/_bulk"
			}
			answer := func(url string) string {
				var body any
				if q.method != "GET" && q.method != "HEAD" && (q.body != "" || strings.HasSuffix(q.path, "/_bulk")) {
					body = strings.ReplaceAll(q.body, "INDEX", index)
				}
				status, b, err := ask(url, q.method, strings.ReplaceAll(q.path, "INDEX", index), body)
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprintf("%d %s", status, essence(b, q.own))
			}
			if real, played := answer(node.URL), answer(fake.URL()); real != played {
				t.Errorf("the node says\n%s\nelastictest\n%s", real, played)
			}
		})
	}
}

// volatile is what differs from run to run, or from version to version of the
// node, and steers nothing.
var volatile = regexp.MustCompile(`\[\d+:\d+\] `)

// unique is the UUID of an index at the end of its name.
var unique = regexp.MustCompile(`/[\w-]{22}\]`)

// essence is what of an answer matters: errors by type and reason, their causes,
// results and versions. own leaves out what follows from the parser's own words.
func essence(b []byte, own bool) string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	out, err := json.Marshal(reduce(v, own))
	if err != nil {
		panic(err)
	}
	return string(out)
}

func reduce(v any, own bool) any {
	switch t := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range t {
			switch k {
			case "error", "items", "status", "index", "delete", "create", "_id", "_version", "result", "type", "found", "acknowledged", "errors",
				"index_templates", "index_template", "composed_of", "priority", "version", "updated", "total", "failures", "fields":
				if _, nested := t["type"]; k == "index" && nested {
					continue // the index's name within an error
				}
				out[k] = reduce(e, own)
			case "reason":
				reason := unique.ReplaceAllString(volatile.ReplaceAllString(e.(string), ""), "]")
				if own {
					reason, _, _ = strings.Cut(reason, " Preview of")
					reason, _, _ = strings.Cut(reason, " (whose")
				}
				out[k] = reason
			case "caused_by":
				if !own {
					out[k] = reduce(e, own)
				}
			}
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = reduce(e, own)
		}
		return out
	}
	return v
}
