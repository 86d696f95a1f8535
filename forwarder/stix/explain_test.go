package stix

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestExplain compares the JSON form with a golden file, a pattern a line.
func TestExplain(t *testing.T) {
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	for _, p := range []string{
		`[domain-name:value = 'A.example.com']`,
		`[network-traffic:dst_ref.value = '192.0.2.1:443' AND network-traffic:dst_ref.type = 'ipv4-addr']`,
		`([file:hashes.MD5 = 'blah'] OR [url:value <> 'https://example.com']) WITHIN 5 SECONDS`,
		`[a:b[*].'c-d'[0] NOT IN (1, 'x', h'00')] START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'`,
		`[EXISTS a:b]`,
		`[domain-name:value = 'x'`,
	} {
		if err := enc.Encode(Explain(p)); err != nil {
			t.Fatal(err)
		}
	}
	const golden = "testdata/explain.jsonl"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	// A Windows checkout may turn the line ends.
	if want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")); !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%swant\n%s", got.Bytes(), want)
	}
}
