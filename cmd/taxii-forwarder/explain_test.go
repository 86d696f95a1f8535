package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/stix"
)

// TestExplainCorpus: 'explain --json-input -' answers every pattern of the
// reference's corpus with one line, and says what [stix.Explain] says; the
// package's own tests compare that with the reference.
func TestExplainCorpus(t *testing.T) {
	dir := os.Getenv("CORPUS_DIR")
	if dir == "" {
		t.Skip("CORPUS_DIR is not set")
	}
	f, err := os.Open(filepath.Join(dir, "patterns", "oracle.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in bytes.Buffer
	var patterns []string
	var verdicts []bool
	rows := bufio.NewScanner(f)
	rows.Buffer(nil, 16<<20)
	for rows.Scan() {
		var row struct {
			Pattern json.RawMessage
			Valid21 bool `json:"valid_2_1"`
			Valid20 bool `json:"valid_2_0"`
		}
		if err := json.Unmarshal(rows.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		var p string
		if err := json.Unmarshal(row.Pattern, &p); err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
		verdicts = append(verdicts, row.Valid21 || row.Valid20)
		in.Write(row.Pattern)
		in.WriteByte('\n')
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	cmd := self(t.Context(), t, "explain", "--json-input", "-")
	cmd.Stdin = &in
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil || log.Len() > 0 {
		t.Fatalf("%v: %s", err, &log)
	}
	lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	if len(lines) != len(patterns) || len(patterns) < 2000 {
		t.Fatalf("%d lines for %d patterns", len(lines), len(patterns))
	}
	differ := 0
	for i, line := range lines {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(stix.Explain(patterns[i])); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(line, bytes.TrimSuffix(want.Bytes(), []byte("\n"))) {
			t.Errorf("pattern %d %q:\n%s\n%s", i+1, patterns[i], line, &want)
		}
		var got struct {
			Pattern     string
			Valid       bool
			Error       *string
			Offset      *int
			AST         any
			Observables []any
			Fidelity    string
		}
		d := json.NewDecoder(bytes.NewReader(line))
		if err := d.Decode(&got); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if got.Pattern != strings.ToValidUTF8(patterns[i], "\uFFFD") || got.Valid && got.AST == nil || got.Valid != (got.Error == nil) || got.Valid != (got.Offset == nil) || got.Fidelity == "" {
			t.Errorf("line %d does not hang together: %s", i+1, line)
		}
		if got.Valid != verdicts[i] {
			differ++
		}
	}
	// The deliberate differences, which the package's test lists with reasons.
	if differ > 20 {
		t.Errorf("%d verdicts differ from the reference's", differ)
	}
	t.Logf("%d patterns, %d verdicts differ from the reference's on purpose", len(patterns), differ)
}
