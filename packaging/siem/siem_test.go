// Package siem_test holds the searches, queries and rules against what the sinks
// send: their golden files.
package siem_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents returns the JSON documents of a golden file; lines between them that
// are no JSON are left out.
func documents(t *testing.T, name string) []map[string]any {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(read(t, name)) {
		if strings.IndexAny(line, "{}[] \"") == 0 {
			text.WriteString(line)
		}
	}
	var out []map[string]any
	for d := json.NewDecoder(strings.NewReader(text.String())); ; {
		var v map[string]any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		t.Fatalf("%s holds no document", name)
	}
	return out
}

// stanzas reads a file of Splunk's: [stanza] and key = value.
func stanzas(t *testing.T, name string) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	var in map[string]string
	for line := range strings.Lines(read(t, "splunk/taxii_forwarder_intel/default/"+name)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, " = ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			in = map[string]string{}
			out[strings.Trim(line, "[]")] = in
		case !ok || in == nil:
			t.Errorf("%s: %q", name, line)
		default:
			in[key] = value
		}
	}
	return out
}

// sent is what Splunk gets, by threat_collection: the fields of its events.
// Those of "" are in the events of every indicator that a producer says much of.
func sent(t *testing.T) (fields map[string]map[string]bool, sourcetypes map[string]bool) {
	t.Helper()
	const dir = "../../sinks/splunk/testdata/"
	fields, sourcetypes = map[string]map[string]bool{"": {}}, map[string]bool{}
	for _, file := range []string{"every_type.golden", "full.golden"} {
		for _, d := range documents(t, dir+file) {
			event := d["event"].(map[string]any)
			sourcetypes[d["sourcetype"].(string)] = true
			collection, _ := event["threat_collection"].(string)
			if fields[collection] == nil {
				fields[collection] = map[string]bool{}
			}
			for name := range event {
				fields[collection][name] = true
				if file == "full.golden" {
					fields[""][name] = true
				}
			}
		}
	}
	return fields, sourcetypes
}

// collections are the fields that Enterprise Security looks at in each of its
// threat collections.
var collections = map[string][]string{
	"ip_intel": {"ip", "domain"}, "http_intel": {"url", "http_user_agent"}, "file_intel": {"file_hash", "file_name"},
	"email_intel": {"src_user", "subject"}, "process_intel": {"process", "process_file_name"}, "user_intel": {"user"},
	"certificate_intel": {"certificate_serial", "certificate_issuer", "certificate_subject"},
	"registry_intel":    {"registry_path", "registry_value_name", "registry_value_text"},
}

func TestSplunkLookupsAreMadeOfWhatIsSent(t *testing.T) {
	fields, sourcetypes := sent(t)
	macros, transforms, searches := stanzas(t, "macros.conf"), stanzas(t, "transforms.conf"), stanzas(t, "savedsearches.conf")
	for sourcetype := range sourcetypes {
		if stanzas(t, "props.conf")[sourcetype]["KV_MODE"] != "json" || !strings.Contains(macros["taxii_events"]["definition"], `sourcetype="`+sourcetype+`"`) {
			t.Errorf("the sourcetype is %s", sourcetype)
		}
	}
	lookup := regexp.MustCompile("^`taxii_current\\((\\w+)\\)` \\| table ([a-z_ ]+) \\| outputlookup (\\w+)\\.csv$")
	columns := map[string][]string{}
	for name, s := range searches {
		if strings.HasPrefix(name, "TAXII example ") {
			continue
		}
		m := lookup.FindStringSubmatch(s["search"])
		if m == nil {
			t.Errorf("%s: %s", name, s["search"])
			continue
		}
		collection, table := m[1], strings.Fields(m[2])
		if m[3] != "taxii_"+collection || transforms[m[3]]["filename"] != m[3]+".csv" || s["enableSched"] != "1" || s["dispatch.earliest_time"] != "0" {
			t.Errorf("%s: %v, %v", name, s, transforms[m[3]])
		}
		columns[m[3]] = table
		want, ok := collections[collection]
		if !ok {
			t.Errorf("%s: Enterprise Security has no %s", name, collection)
		}
		for _, key := range want {
			if !slices.Contains(table, key) {
				t.Errorf("%s leaves out %s", name, key)
			}
		}
		for _, f := range append(table, "item_key", "action", "name") {
			// The golden events have not every field of a certificate or a registry key.
			if !fields[collection][f] && !fields[""][f] && !slices.Contains(want, f) {
				t.Errorf("%s: events of %s have no field %s", name, collection, f)
			}
		}
		if !slices.ContainsFunc(want, func(f string) bool { return fields[collection][f] }) {
			t.Errorf("events of %s have none of %q", collection, want)
		}
	}
	for collection := range fields {
		if collection != "" && columns["taxii_"+collection] == nil {
			t.Errorf("events have the collection %s, for which there is no lookup", collection)
		}
	}
	examples(t, searches, columns)
	if m := regexp.MustCompile(`where action="(\w+)"`).FindStringSubmatch(macros["taxii_current(1)"]["definition"]); m == nil || m[1] != documents(t, "../../sinks/splunk/testdata/full.golden")[0]["event"].(map[string]any)["action"] {
		t.Errorf("in force is what has the action %v", m)
	}
}

// examples checks that the example searches use columns that the lookups have.
func examples(t *testing.T, searches map[string]map[string]string, columns map[string][]string) {
	t.Helper()
	use := regexp.MustCompile(`\| lookup (\w+) (\w+) as \w+ OUTPUT ([a-z_ ]+) \|`)
	n := 0
	for name, s := range searches {
		if !strings.HasPrefix(name, "TAXII example ") {
			continue
		}
		n++
		m := use.FindStringSubmatch(s["search"])
		if m == nil {
			t.Errorf("%s uses no lookup", name)
			continue
		}
		for _, f := range append(strings.Fields(m[3]), m[2]) {
			if !slices.Contains(columns[m[1]], f) {
				t.Errorf("%s: %s has no column %s", name, m[1], f)
			}
		}
		if s["enableSched"] != "0" {
			t.Errorf("%s is switched on", name)
		}
	}
	if n == 0 {
		t.Error("there is no example")
	}
}

// columnsOf are those of the tables that the queries use, as Microsoft's
// documentation and rules have them.
var columnsOf = map[string][]string{
	"ThreatIntelIndicators": {
		"TimeGenerated", "Id", "SourceSystem", "ObservableKey", "ObservableValue", "Pattern", "Confidence", "Created",
		"Modified", "ValidFrom", "ValidUntil", "IsActive", "IsDeleted", "Tags", "AdditionalFields", "Data",
	},
	"CommonSecurityLog": {"TimeGenerated", "SourceIP", "DestinationIP", "DeviceAction"},
	"DnsEvents":         {"TimeGenerated", "ClientIP", "Name"},
}

func TestSentinelQueriesAreOnWhatIsThere(t *testing.T) {
	files, err := os.ReadDir("sentinel")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	// The paths that the sink writes in patterns of one value become ObservableKey.
	paths := map[string]bool{}
	single := regexp.MustCompile(`^\[([^ ]+) = '[^']*'\]$`)
	for _, file := range []string{"../../cmd/internal/e2e/testdata/sentinel.golden", "../../sinks/sentinel/testdata/golden/full.golden"} {
		for _, d := range documents(t, file) {
			if m := single.FindStringSubmatch(d["pattern"].(string)); m != nil {
				paths[m[1]] = true
			}
		}
	}
	for _, f := range files {
		var code strings.Builder
		for line := range strings.Lines(read(t, "sentinel/"+f.Name())) {
			if !strings.HasPrefix(line, "//") {
				code.WriteString(line)
			}
		}
		text := code.String()
		if !strings.Contains(text, "ThreatIntelIndicators") || strings.Count(text, "(") != strings.Count(text, ")") {
			t.Errorf("%s: no table, or its parentheses do not match", f.Name())
		}
		known := []string{}
		for table, columns := range columnsOf {
			if strings.Contains(text, table) {
				known = append(append(known, table), columns...)
			}
		}
		for _, m := range regexp.MustCompile(`\b([A-Z][A-Za-z]+) =`).FindAllStringSubmatch(text, -1) {
			known = append(known, m[1]) // named by the query itself
		}
		literals := regexp.MustCompile(`@?"([^"]*)"`)
		for _, m := range regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`).FindAllString(literals.ReplaceAllString(text, `""`), -1) {
			if !slices.Contains(known, m) {
				t.Errorf("%s: no table of it has a column %s", f.Name(), m)
			}
		}
		for _, m := range literals.FindAllStringSubmatch(text, -1) {
			// IPv6 is written as IPv4 is; the golden files have only one of them.
			if strings.Contains(m[1], ":") && !paths[m[1]] && m[1] != "ipv6-addr:value" {
				t.Errorf("%s: the sink writes no pattern on %s", f.Name(), m[1])
			}
		}
	}
}

// at returns the values of a field of a document, through lists.
func at(v any, path []string) []any {
	if list, ok := v.([]any); ok {
		var out []any
		for _, x := range list {
			out = append(out, at(x, path)...)
		}
		return out
	}
	if len(path) == 0 {
		return []any{v}
	}
	m, ok := v.(map[string]any)
	if !ok || m[path[0]] == nil {
		return nil
	}
	return at(m[path[0]], path[1:])
}

func TestTheElasticRuleFindsDomains(t *testing.T) {
	text := read(t, "elastic/domain-rule.ndjson")
	if strings.Count(text, "\n") != 1 {
		t.Error("a rule is one line")
	}
	var rule struct {
		Type          string
		Enabled       bool
		ThreatIndex   []string `json:"threat_index"`
		ThreatQuery   string   `json:"threat_query"`
		Path          string   `json:"threat_indicator_path"`
		ThreatMapping []struct {
			Entries []struct{ Field, Value, Type string }
		} `json:"threat_mapping"`
	}
	if err := json.Unmarshal([]byte(text), &rule); err != nil {
		t.Fatal(err)
	}
	if rule.Type != "threat_match" || rule.Enabled || !slices.Equal(rule.ThreatIndex, []string{"logs-ti_*"}) || rule.Path != "threat.indicator" {
		t.Errorf("%+v", rule)
	}
	// The documents that the query selects: all of its terms hold.
	terms := regexp.MustCompile(`([a-z_.]+):("[^"]*"|\*)`).FindAllStringSubmatch(rule.ThreatQuery, -1)
	if len(terms) < 5 {
		t.Fatalf("terms: %q", terms)
	}
	selected, others := 0, 0
	for _, d := range documents(t, "../../sinks/elasticsearch/testdata/every-type.json") {
		if d["ecs"] == nil {
			continue // the bulk action before it
		}
		holds := true
		for _, term := range terms {
			values := at(d, strings.Split(term[1], "."))
			want := strings.Trim(term[2], `"`)
			holds = holds && slices.ContainsFunc(values, func(v any) bool { return want == "*" || v == want })
		}
		if !holds {
			others++
			continue
		}
		selected++
		for _, m := range rule.ThreatMapping {
			for _, e := range m.Entries {
				values := at(d, strings.Split(e.Value, "."))
				name := at(d, []string{"threat", "indicator", "name"})
				if e.Type != "mapping" || len(values) != 1 || !slices.Equal(values, name) {
					t.Errorf("%s is %v in the document of %v", e.Value, values, name)
				}
			}
		}
	}
	if selected == 0 || others == 0 {
		t.Errorf("the rule looks at %d documents and leaves out %d", selected, others)
	}
}
