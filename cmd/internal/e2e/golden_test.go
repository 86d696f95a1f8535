package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// TestGolden sends a dozen fixed indicators all the way, and compares what
// arrives with testdata/*.golden: each mapping as an analyst will see it. Times
// of forwarding, which no two runs share, read <now>.
func TestGolden(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{})
	// All in one page: change numbers are then in the order of ids.
	var page [][]byte
	for _, o := range samples() {
		page = append(page, o.raw())
	}
	r.serve(r.main, time.Now().Add(-time.Minute), page...)
	r.configure(layout{})
	began := time.Now()
	r.start()
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))
	r.checkFakes()
	n := normalizer{began.Add(-time.Second), time.Now().Add(time.Second)}

	var splunk, sentinel, elastic, file bytes.Buffer
	events := r.splunk.Events()
	slices.SortStableFunc(events, func(a, b splunktest.Event) int { return strings.Compare(a.STIXID, b.STIXID) })
	for _, e := range events {
		fmt.Fprintf(&splunk, "time=%s host=%q source=%q sourcetype=%q index=%q\n", n.seconds(e.Time), e.Host, e.Source, e.SourceType, e.Index)
		n.write(t, &splunk, e.Raw)
	}
	for _, o := range r.sentinel.Objects() {
		fmt.Fprintf(&sentinel, "sourcesystem=%q\n", o.Source)
		n.write(t, &sentinel, o.Raw)
	}
	for _, d := range r.elastic.Docs(index) {
		// Below the time of modification, the version has that of forwarding.
		fmt.Fprintf(&elastic, "_id=%q modified=%s\n", d.ID, time.UnixMicro(d.Version>>11).UTC().Format(time.RFC3339Nano))
		n.write(t, &elastic, d.Source)
	}
	archive, err := os.ReadFile(r.archive)
	if err != nil {
		t.Fatal(err)
	}
	for l := range bytes.Lines(archive) {
		n.write(t, &file, l)
	}
	for name, got := range map[string][]byte{
		"splunk": splunk.Bytes(), "sentinel": sentinel.Bytes(), "elasticsearch": elastic.Bytes(), "file": file.Bytes(),
	} {
		golden(t, name, got)
	}
}

// golden compares with a golden file, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")) // as a checkout on Windows may have it
	if bytes.Equal(got, want) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s, line %d: got\n%s\nwant\n%s", path, i+1, strings.Join(b[i:min(i+5, len(b))], "\n"), strings.Join(a[i:min(i+5, len(a))], "\n"))
			return
		}
	}
	t.Errorf("%s: %d lines, want %d", path, len(b), len(a))
}

// normalizer replaces times of forwarding.
type normalizer struct{ from, to time.Time }

var timestamp = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)

// write writes a JSON document, indented.
func (n normalizer) write(t *testing.T, out *bytes.Buffer, doc []byte) {
	t.Helper()
	doc = timestamp.ReplaceAllFunc(doc, func(quoted []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(quoted))
		if err != nil {
			t.Fatal(err)
		}
		for name, later := range map[string]time.Duration{"<now>": 0, "<now + 365 days>": 365 * 24 * time.Hour} {
			if at.Add(-later).After(n.from) && at.Add(-later).Before(n.to) {
				return []byte(`"` + name + `"`)
			}
		}
		return quoted
	})
	if err := json.Indent(out, doc, "", "  "); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	if doc[len(doc)-1] != '\n' {
		out.WriteByte('\n')
	}
}

// seconds normalises a time in decimal seconds.
func (n normalizer) seconds(text string) string {
	var s, ms int64
	if _, err := fmt.Sscanf(text, "%d.%3d", &s, &ms); err != nil {
		return text
	}
	if at := time.UnixMilli(s*1000 + ms); at.After(n.from) && at.Before(n.to) {
		return "<now>"
	}
	return text
}

// samples are a dozen indicators, one of each important kind, with what
// producers say about them.
func samples() []object {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	producer := object{
		"type": "identity", "spec_version": "2.1", "id": id("identity", 1), "created": stamp(at), "modified": stamp(at),
		"name": "Example CERT", "identity_class": "organization",
	}
	technique := object{
		"type": "attack-pattern", "spec_version": "2.1", "id": id("attack-pattern", 1), "created": stamp(at), "modified": stamp(at), "name": "Spearphishing Link",
		"external_references": []object{{"source_name": "mitre-attack", "external_id": "T1566.002", "url": "https://attack.mitre.org/techniques/T1566/002/"}},
	}
	actor := object{
		"type": "threat-actor", "spec_version": "2.1", "id": id("threat-actor", 1), "created": stamp(at), "modified": stamp(at), "name": "Example Bear",
	}
	sighting := object{
		"type": "sighting", "spec_version": "2.1", "id": id("sighting", 1), "created": stamp(at), "modified": stamp(at),
		"sighting_of_ref": id("indicator", 3), "count": 12, "first_seen": "2026-01-01T00:00:00Z", "last_seen": "2026-01-31T23:59:59Z",
	}
	const (
		clear = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487" // TLP 2
		amber = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82" // TLP 1
		red   = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1" // TLP 2
	)
	return []object{
		producer, technique, actor, malware(1, at, "ExampleLoader"),
		indicator(1, at, "[ipv4-addr:value = '203.0.113.7']").with(object{
			"name": "command and control", "description": "Seen in March.\nStill up.", "confidence": 85, "created_by_ref": producer["id"],
			"object_marking_refs": []string{amber}, "labels": []string{"c2", "botnet"}, "lang": "en",
			"kill_chain_phases": []object{{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "command-and-control"}},
			"external_references": []object{
				{"source_name": "Example CERT", "url": "https://reports.example.com/2026-7", "description": "page 3"}, {"source_name": "cve", "external_id": "CVE-2026-0001"},
			},
		}),
		indicator(2, at, "[ipv4-addr:value = '198.51.100.0/24']").with(object{"confidence": 15}),
		indicator(3, at, "[domain-name:value = 'Login.Bücher.example.com']").with(object{"created_by_ref": producer["id"], "object_marking_refs": []string{clear}}),
		indicator(4, at, "[url:value = 'https://user@files.example.com:8443/a/b.exe?id=1#x']").with(object{
			"granular_markings": []object{{"marking_ref": red, "selectors": []string{"pattern"}}}, "valid_until": "2099-01-01T00:00:00Z",
		}),
		indicator(5, at, "[file:hashes.MD5 = '5d41402abc4b2a76b9719d911017c592' AND file:hashes.'SHA-256' = "+
			"'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' AND file:name = 'invoice.exe' AND file:size = 48640]").with(object{"confidence": 50}),
		indicator(6, at, "[email-message:from_ref.value = 'Billing@Example.com']").with(object{"indicator_types": []string{"compromised", "malicious-activity"}}),
		indicator(7, at, `[windows-registry-key:key = 'HKLM\\Software\\Example\\Run' AND windows-registry-key:values[*].name = 'loader']`),
		indicator(8, at, "[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '2001:DB8:0::1' AND network-traffic:dst_port = 443]"),
		indicator(9, at, "[process:command_line = 'powershell -enc AAAA']"),
		indicator(10, at, "[x509-certificate:serial_number = '00:A1:B2:C3' AND x509-certificate:issuer = 'CN=Example CA']"),
		indicator(11, at, "[domain-name:value = 'a.example.net'] OR [url:value = 'http://a.example.net/']").with(object{"confidence": 0}),
		indicator(12, at, "[domain-name:value = 'b.example.net'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.12'] WITHIN 300 SECONDS"),
		indicator(13, at, "rule example { strings: $a = \"example\" condition: $a }").with(object{"pattern_type": "yara", "name": "Example rule"}),
		{ // STIX 2.0 has neither spec_version nor pattern_type
			"type": "indicator", "id": id("indicator", 14), "created": stamp(at), "modified": stamp(at.Add(time.Hour)), "valid_from": stamp(at),
			"labels": []string{"anomalous-activity"}, "pattern": "[user-account:account_login = 'example']",
		},
		indicates(1, at, id("malware", 1)), indicates(3, at, id("attack-pattern", 1)), indicates(5, at, id("threat-actor", 1)), sighting,
	}
}
