package elasticsearch

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

func count(requests []string, what string) int {
	n := 0
	for _, r := range requests {
		if r == what {
			n++
		}
	}
	return n
}

const (
	getTemplate  = "GET /_index_template/logs-ti_taxii"
	putTemplate  = "PUT /_index_template/logs-ti_taxii"
	putComponent = "PUT /_component_template/logs-ti_taxii@mappings"
	putMapping   = "PUT /logs-ti_taxii/_mapping"
	postBulk     = "POST /logs-ti_taxii/_bulk"
)

// TestTemplate: every distribution takes the templates, once, before the first
// document, and the index has their mapping.
func TestTemplate(t *testing.T) {
	for _, distribution := range []string{Elasticsearch, OpenSearch, Serverless} {
		t.Run(distribution, func(t *testing.T) {
			s := server(t, elastictest.Options{Distribution: distribution})
			sink := open(t, s, func(c *Config) {
				if distribution == OpenSearch {
					openSearch(c)
				}
				// Serverless is found out by itself.
			})
			for range 3 {
				mustDeliver(t, sink, upsert(now, sinktest.EveryType(0)...)...)
			}
			r := s.Requests()
			if count(r, putComponent) != 1 || count(r, putTemplate) != 1 || count(r, getTemplate) != 1 {
				t.Errorf("requests: %v", r)
			}
			if slices.Index(r, putTemplate) > slices.Index(r, postBulk) || slices.Index(r, putComponent) > slices.Index(r, putTemplate) {
				t.Errorf("order: %v", r)
			}
			query := map[string]any{"term": map[string]any{"threat.indicator.ip": "192.0.2.0/24"}}
			if len(s.Find(defaultIndex, query)) == 0 {
				t.Error("threat.indicator.ip is not mapped as ip")
			}
			// Another forwarder finds them there.
			mustDeliver(t, open(t, s, func(c *Config) {
				if distribution == OpenSearch {
					openSearch(c)
				}
			}), upsert(now, sinktest.Indicator(1))...)
			if r := s.Requests(); count(r, putTemplate) != 1 {
				t.Error("the template was installed again")
			}
		})
	}
}

// TestTemplateGone: after a failure the template is looked for again, as the
// server may have been replaced by an empty one.
func TestTemplateGone(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
	s.Inject(elastictest.CutBefore, 1)
	if _, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1))); err == nil {
		t.Fatal("no error")
	}
	if err := s.Restart(false); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
	if !s.HasTemplate(defaultIndex) {
		t.Error("the index was created without the template")
	}
}

// TestOlderTemplate: a template of an older version is replaced, and the index
// that it made gets the new fields.
func TestOlderTemplate(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
	older := strings.Replace(string(indexTemplate(Elasticsearch, defaultIndex)), `"version":1}`, `"version":0}`, 1)
	put(t, s, "/_index_template/"+defaultIndex, older)
	mustDeliver(t, open(t, s), upsert(now, sinktest.Indicator(1))...)
	r := s.Requests()
	if count(r, putComponent) != 2 || count(r, putMapping) != 1 {
		t.Errorf("requests: %v", r)
	}
	mustDeliver(t, open(t, s), upsert(now, sinktest.Indicator(1))...)
	if again := s.Requests(); count(again, putComponent) != 2 || count(again, putMapping) != 1 {
		t.Errorf("requests: %v", again)
	}
}

// TestPrivileges: what is lacking is named, with what to do; a template or
// index made by an admin is enough.
func TestPrivileges(t *testing.T) {
	runtime := []string{"index", "delete", "read", "auto_configure"}
	for _, c := range []struct {
		name       string
		privileges []string
		prepared   bool // an admin has installed the template
		index      bool // and created the index
		deliver    string
		check      string
	}{
		{name: "all", privileges: nil},
		{name: "bootstrap and runtime", privileges: append([]string{"manage_index_templates", "monitor"}, runtime...)},
		{name: "runtime only, nothing prepared", privileges: runtime, deliver: "manage_index_templates", check: "manage_index_templates"},
		{name: "runtime only, index made", privileges: append([]string{"monitor"}, runtime...), prepared: true, index: true},
		{name: "no delete", privileges: []string{"index", "read", "auto_configure", "monitor"}, prepared: true, index: true, check: "privilege delete"},
		{name: "no index", privileges: []string{"read", "monitor"}, prepared: true, index: true, deliver: "index and delete", check: "index, delete"},
		{name: "may not see the template, no index", privileges: append([]string{"monitor"}, runtime...), prepared: true,
			deliver: "manage_index_templates", check: "manage_index_templates"},
		{name: "may not create", privileges: []string{"index", "delete", "read", "monitor", "manage_index_templates"}, prepared: true, deliver: "index and delete", check: "auto_configure"},
		{name: "no read", privileges: []string{"index", "delete", "monitor", "view_index_metadata"}, prepared: true, index: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server(t, elastictest.Options{})
			admin := open(t, s)
			if c.prepared {
				if err := admin.prepare(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if c.index {
				put(t, s, "/"+defaultIndex, "")
			}
			s.SetPrivileges(c.privileges)
			var log bytes.Buffer
			sink := open(t, s)
			sink.log = hclog.New(&hclog.LoggerOptions{Output: &log})
			verify := func(what, want string, err error) {
				t.Helper()
				switch {
				case want == "" && err != nil:
					t.Errorf("%s: %v", what, err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("%s: %v; want %q", what, err, want)
				case want != "" && intel.AsFailure(err).Kind != intel.FailAuth:
					t.Errorf("%s: kind %s", what, intel.AsFailure(err).Kind)
				}
			}
			before := s.Stats()
			verify("Check", c.check, sink.Check(context.Background()))
			if s.Stats() != before || s.Len(defaultIndex) != 0 {
				t.Error("Check left something behind")
			}
			for range 2 {
				_, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicators(0, 3)...))
				verify("Deliver", c.deliver, err)
			}
			if c.name == "no read" {
				if _, err := sink.Refresh(context.Background()); err == nil || !strings.Contains(err.Error(), "read and index") {
					t.Errorf("Refresh: %v", err)
				}
				if !strings.Contains(log.String(), "lacks the index privilege read") {
					t.Errorf("log: %s", log.String())
				}
			}
		})
	}
}

// TestPrivilegeGone: once the index is there, delivery goes on without the
// privilege to manage templates, with one warning that says what to do.
func TestPrivilegeGone(t *testing.T) {
	for _, privileges := range [][]string{
		{"index", "delete", "read", "auto_configure", "monitor"}, {"index", "delete", "read"}, {"index", "delete", "view_index_metadata"},
	} {
		s := server(t, elastictest.Options{})
		mustDeliver(t, open(t, s), upsert(now, sinktest.Indicator(1))...)
		s.SetPrivileges(privileges)
		var log bytes.Buffer
		sink := open(t, s)
		sink.log = hclog.New(&hclog.LoggerOptions{Output: &log})
		if err := open(t, s).Check(context.Background()); err != nil {
			t.Errorf("%v: Check: %v", privileges, err)
		}
		for n := range 3 {
			mustDeliver(t, sink, upsert(now, sinktest.Indicator(10+n))...)
			s.Inject(elastictest.CutBefore, 1) // makes it look at the template again
			if _, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(20))); err == nil {
				t.Fatal("no error")
			}
		}
		if text := log.String(); strings.Count(text, "[WARN]") != 1 || !strings.Contains(text, "manage_index_templates, or set manage_template = false") {
			t.Errorf("%v: log: %s", privileges, text)
		}
	}
}

// TestPoorIndex: an index that the rules would find nothing in is not written
// to, whoever made it.
func TestPoorIndex(t *testing.T) {
	for _, c := range []struct{ mapping, text string }{
		{`{}`, "has no mapping for @timestamp"},
		{`{"properties":{"@timestamp":{"type":"date"},"event":{"properties":{"module":{"type":"keyword"}}},
			"threat":{"properties":{"indicator":{"properties":{"ip":{"type":"text"}}}}}}}`, "maps threat.indicator.ip as text instead of ip"},
	} {
		s := server(t, elastictest.Options{})
		put(t, s, "/"+defaultIndex, `{"mappings":`+c.mapping+`}`)
		s.SetPrivileges([]string{"index", "delete", "read", "auto_configure"})
		sink := open(t, s)
		_, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1)))
		for what, err := range map[string]error{"Deliver": err, "Check": sink.Check(context.Background())} {
			if err == nil || intel.AsFailure(err).Kind != intel.FailConfig || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v; want %q", what, err, c.text)
			}
		}
		if s.Len(defaultIndex) != 0 {
			t.Error("documents were written")
		}
	}
}

// TestUnmanaged: with manage_template = false nothing but documents is sent.
func TestUnmanaged(t *testing.T) {
	s := server(t, elastictest.Options{})
	no := false
	mustDeliver(t, open(t, s, func(c *Config) { c.ManageTemplate = &no }), upsert(now, sinktest.Indicator(1))...)
	if r := s.Requests(); len(r) != 1 || r[0] != postBulk {
		t.Errorf("requests: %v", r)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		options elastictest.Options
		change  func(*Config)
		kind    intel.FailureKind
		text    string
	}{
		{name: "right"},
		{name: "password", options: elastictest.Options{Username: "u", Password: "p"}, change: func(c *Config) { c.APIKey, c.Username, c.Password = "", "u", "p" }},
		{name: "wrong password", options: elastictest.Options{Username: "u", Password: "p"}, change: func(c *Config) { c.APIKey, c.Username, c.Password = "", "u", "q" },
			kind: intel.FailAuth, text: "username and password"},
		{name: "opensearch", options: elastictest.Options{Distribution: OpenSearch}, change: openSearch},
		{name: "opensearch unsaid", options: elastictest.Options{Distribution: OpenSearch}, kind: intel.FailConfig, text: `distribution = "opensearch"`},
		{name: "elasticsearch said to be opensearch", options: elastictest.Options{APIKey: "none"}, change: openSearch, kind: intel.FailAuth, text: "401"},
		{name: "serverless", options: elastictest.Options{Distribution: Serverless}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server(t, c.options)
			sink := open(t, s, func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
			})
			for _, when := range []string{"before", "after"} {
				err := sink.Check(context.Background())
				switch {
				case c.kind == "" && err != nil:
					t.Errorf("%s the first document: %v", when, err)
				case c.kind != "" && (err == nil || intel.AsFailure(err).Kind != c.kind || !strings.Contains(err.Error(), c.text)):
					t.Errorf("%s the first document: %v", when, err)
				}
				if c.kind != "" {
					return
				}
				if s.Len(defaultIndex) > 0 && when == "before" {
					t.Error("Check left something behind")
				}
				mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
			}
			if s.Len(defaultIndex) != 1 {
				t.Error("Check left something behind")
			}
		})
	}
}

// TestTrialWrite has Check fall back to a write that can have
// no effect.
func TestTrialWrite(t *testing.T) {
	s := server(t, elastictest.Options{Distribution: OpenSearch})
	sink := open(t, s, openSearch)
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
	s.SetPrivileges([]string{"read", "monitor"})
	if err := sink.Check(context.Background()); err == nil || intel.AsFailure(err).Kind != intel.FailAuth {
		t.Errorf("Check without the right to write: %v", err)
	}
	s.SetPrivileges(nil)
	s.Inject(elastictest.ReadOnly, 1)
	if err := sink.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Check of a read-only index: %v", err)
	}
}

// TestTemplateLost: a server that has lost template and index, without a
// failure in between, has the template again before the index.
func TestTemplateLost(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s, func(*Config) {})
	clock := now
	sink.now = func() time.Time { return clock }
	mustDeliver(t, sink, upsert(now, sinktest.EveryType(0)...)...)
	asked := count(s.Requests(), getTemplate)
	mustDeliver(t, sink, upsert(now, sinktest.EveryType(0)...)...)
	if n := count(s.Requests(), getTemplate); n != asked {
		t.Errorf("the template was looked for %d times within moments", n)
	}
	if err := s.Restart(false); err != nil {
		t.Fatal(err)
	}
	sink.client.CloseIdle() // so that no broken connection gives it away
	clock = clock.Add(prepareAgain)
	mustDeliver(t, sink, upsert(now, sinktest.EveryType(0)...)...)
	if !s.HasTemplate(defaultIndex) || len(s.Find(defaultIndex, map[string]any{"term": map[string]any{"threat.indicator.ip": "192.0.2.0/24"}})) == 0 {
		t.Error("the index was made without its template")
	}
}
