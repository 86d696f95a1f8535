//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
)

// stixObject is a STIX object under construction.
type stixObject map[string]any

// indicator returns indicator number n in its first version.
func indicator(n int, pattern string) stixObject {
	at := stamp(time.Now().AddDate(0, 0, -3))
	return stixObject{
		"type": "indicator", "spec_version": "2.1", "id": fmt.Sprintf("indicator--1e57e000-0000-4000-8000-%012x", n), "created": at, "modified": at,
		"valid_from": at, "name": fmt.Sprintf("indicator %d", n), "pattern_type": "stix", "pattern": pattern,
	}
}

func (o stixObject) with(members stixObject) stixObject {
	c := maps.Clone(o)
	maps.Copy(c, members)
	return c
}

func (o stixObject) raw() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return b
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// TestChanges: whatever happens to an indicator at the feed happens to its
// documents, and nothing else does.
func TestChanges(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	stays := indicator(1, "[ipv4-addr:value = '198.51.100.1']")
	revoked := indicator(2, "[domain-name:value = 'a.example.com' OR domain-name:value = 'b.example.com']")
	drops := indicator(3, "[domain-name:value = 'c.example.com' OR domain-name:value = 'd.example.com' OR ipv4-addr:value = '198.51.100.3']")
	expires := indicator(4, "[url:value = 'https://e.example.com/']")
	yara := indicator(5, "rule example { condition: false }").with(stixObject{"pattern_type": "yara"})
	modified := indicator(6, "[ipv4-addr:value = '198.51.100.0/28']")
	benign := indicator(7, "[email-addr:value = 'f@example.com']")
	at := time.Now().Add(-time.Minute)
	for i, o := range []stixObject{stays, revoked, drops, expires, yara, modified, benign} {
		p.feed.Add(at.Add(time.Duration(i)*time.Second), o.raw())
	}
	names := func() []string {
		t.Helper()
		var out []string
		for _, h := range documents(t, p.index) {
			d, err := decode(h.Source)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, d.STIX.Name+" "+d.Threat.Indicator.Name)
		}
		slices.Sort(out)
		return out
	}
	holds := func(when string, want ...string) {
		t.Helper()
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("%s the index holds\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	p.start(t)
	p.polled(t)
	holds("at first",
		"indicator 1 198.51.100.1", "indicator 2 a.example.com", "indicator 2 b.example.com",
		"indicator 3 198.51.100.3", "indicator 3 c.example.com", "indicator 3 d.example.com",
		"indicator 4 https://e.example.com/", "indicator 5 indicator 5", "indicator 6 198.51.100.0/28", "indicator 7 f@example.com")

	later := func(o stixObject, members stixObject) []byte {
		return o.with(stixObject{"modified": stamp(time.Now())}).with(members).raw()
	}
	soon := time.Now().Add(3 * time.Second)
	p.feed.Add(time.Now(),
		later(revoked, stixObject{"revoked": true}),
		later(drops, stixObject{"pattern": "[domain-name:value = 'd.example.com' OR domain-name:value = 'new.example.com']"}),
		later(expires, stixObject{"valid_until": stamp(soon)}),
		later(yara, stixObject{"pattern_type": "stix", "pattern": "[domain-name:value = 'g.example.com']"}),
		later(modified, stixObject{"name": "indicator 6 renamed"}),
		later(benign, stixObject{"indicator_types": []string{"benign"}}),
	)
	p.polled(t)
	p.until(t, "the indicator has expired", func(st status.Status) bool {
		return time.Now().After(soon) && st.Feeds[0].Expired == 1 && st.Routes[0].Pending == 0
	})
	final := []string{
		"indicator 1 198.51.100.1", "indicator 3 d.example.com", "indicator 3 new.example.com", "indicator 5 g.example.com",
		"indicator 6 renamed 198.51.100.0/28",
	}
	holds("after the changes", final...)

	// Versions that come late change nothing.
	p.feed.Add(time.Now(), modified.raw(), drops.raw(), revoked.raw())
	p.polled(t)
	holds("after late versions", final...)
	if n := len(p.proxy.seen("/_bulk")); n > 6 {
		t.Errorf("%d bulk requests", n)
	}
	p.stop(t)
}

// TestCheck: the verdicts of check --online on a real server.
func TestCheck(t *testing.T) {
	p := newProgram(t)
	p.feed.Add(time.Now(), indicator(1, "[ipv4-addr:value = '198.51.100.1']").raw())
	for _, c := range []struct {
		name, address, distribution string
		ok                          bool
		says                        string
	}{
		{"right", node.URL, "opensearch", true, "accepts a batch"},
		{"taken for Elasticsearch", node.URL, "elasticsearch", false, `set distribution = \"opensearch\"`},
		{"nobody there", "http://127.0.0.1:1", "opensearch", false, "refused"},
		{"something else there", p.taxii.URL(), "opensearch", false, "406 Not Acceptable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := p.configure(t, c.name+".hcl", c.address, c.distribution)
			stdout, stderr, err := command(t, "check", "--online", "--json", "--config", config)
			if (err == nil) != c.ok || !strings.Contains(stdout, c.says) {
				t.Errorf("check: %v, without %q\n%s%s", err, c.says, stdout, stderr)
			}
		})
	}
	if n := len(documents(t, p.index)); n != 0 {
		t.Errorf("check left %d documents", n)
	}
	if status, _, _ := ask(node.URL, "HEAD", "/"+p.index, nil); status != 404 {
		t.Error("check created the index")
	}

	// With an index, Check tries a write that changes nothing.
	must(t, "PUT", "/"+p.index, nil, nil)
	check := func() (string, error) {
		stdout, stderr, err := command(t, "check", "--online", "--json", "--config", p.config)
		return stdout + stderr, err
	}
	if out, err := check(); err != nil {
		t.Errorf("check of an index: %v\n%s", err, out)
	}
	must(t, "PUT", "/"+p.index+"/_settings", `{"index.blocks.write":true}`, nil)
	if out, err := check(); err == nil || !strings.Contains(out, "read-only") {
		t.Errorf("check of a read-only index: %v\n%s", err, out)
	}
	must(t, "PUT", "/"+p.index+"/_settings", `{"index.blocks.write":null}`, nil)
	if n := len(documents(t, p.index)); n != 0 {
		t.Errorf("check left %d documents", n)
	}
}
