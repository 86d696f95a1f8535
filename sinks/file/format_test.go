package file

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFormats: every format writes lines of JSON; those of this package's own
// are compared with testdata/FORMAT.ndjson.
func TestFormats(t *testing.T) {
	revoked := sinktest.Newer(sinktest.Indicator(5), 1)
	revoked.Revoked = true
	spaced := sinktest.Indicator(2)
	spaced.Raw = json.RawMessage("{\n  \"id\" : \"" + spaced.ID + "\",\n  \"revoked\" : false,\n  \"x_b\": 1.50, \"x_a\": [ 1e2, \"\\u00e9\" ],\n  \"x_b\": 2\n}\n")
	changes := []intel.Change{
		change(intel.Upsert, sinktest.Indicator(1)),
		change(intel.Upsert, spaced),
		change(intel.Upsert, sinktest.Multi(3, 2)),
		change(intel.Upsert, sinktest.Unsupported(4)),
		change(intel.Withdraw, spaced),
		change(intel.Withdraw, revoked),
	}
	for format, newEncoder := range formats {
		t.Run(format, func(t *testing.T) {
			e := newEncoder()
			var got []byte
			for i := range changes {
				var o intel.Outcome
				before := len(got)
				got, o = e.Append(got, &changes[i])
				if o.Status != intel.Delivered && len(got) != before {
					t.Errorf("change %d: %s with %d bytes", i, o.Status, len(got)-before)
				}
			}
			for line := range strings.Lines(string(got)) {
				if !json.Valid([]byte(line)) || !strings.HasSuffix(line, "\n") {
					t.Errorf("not a line of JSON: %s", line)
				}
			}
			if len(got) == 0 {
				t.Error("nothing is written")
			}
			if format != "indicator" && format != "stix" {
				return // the other mappings have golden files where they are
			}
			golden := filepath.Join("testdata", format+".ndjson")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestRevoke: whatever the object, a withdrawal says revoked exactly once.
func TestRevoke(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{`{}`, `{"revoked":true}`},
		{`{"revoked":false}`, `{"revoked":true}`},
		{`{"revoked":true}`, `{"revoked":true}`},
		{`{"revoked":"no","a":{"revoked":false}}`, `{"a":{"revoked":false},"revoked":true}`},
		{`{"r\u0065voked":false,"a":1}`, `{"a":1,"revoked":true}`},
		{` { "a" : 1 , "revoked" : 0 , "revoked" : 1 , "b" : [ ] } `, `{"a":1,"b":[],"revoked":true}`},
	} {
		got, err := appendRevoked([]byte("x"), []byte(c.raw))
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%s = %s, %v; want x%s", c.raw, got, err, c.want)
		}
	}
	for _, raw := range []string{``, `[]`, `1`, `{"a":}`, `{"a":1`, `{"revoked":`, `{1:2}`} {
		c := change(intel.Withdraw, sinktest.Indicator(1))
		c.Indicator.Raw = json.RawMessage(raw)
		got, o := stixEncoder{}.Append([]byte("x"), &c)
		if string(got) != "x" || o.Status == intel.Delivered || o.Reason == "" {
			t.Errorf("%q: %q, %v", raw, got, o)
		}
	}
}

func FuzzRevoke(f *testing.F) {
	f.Add([]byte(`{"id":"indicator--1","revoked":false,"x":[1,{"y":null}]}`))
	f.Add(sinkRaw())
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := appendRevoked(nil, raw)
		if err != nil {
			return
		}
		if strings.ContainsRune(string(got), '\n') {
			t.Fatalf("more than one line: %q", got)
		}
		var m map[string]any
		if err := json.Unmarshal(got, &m); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if m["revoked"] != true {
			t.Fatalf("%q is not revoked", got)
		}
	})
}

func sinkRaw() []byte { return sinktest.Indicator(1).Raw }

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		config Config
		paths  string // of the problems
	}{
		{Config{Path: "a.ndjson"}, ""},
		{Config{Path: "-", Format: "stix"}, ""},
		{Config{Path: "a", Rotate: &Rotate{MaxBytes: 1 << 20}}, ""},
		{Config{}, "path"},
		{Config{Path: "dir/"}, "path"},
		{Config{Path: "a", Format: "csv"}, "format"},
		{Config{Path: "-", Rotate: &Rotate{MaxBytes: 1, Keep: -1}}, "rotate rotate.max_bytes rotate.keep"},
	} {
		var paths []string
		for _, p := range c.config.Validate() {
			paths = append(paths, p.Path)
			if p.Message == "" || strings.HasSuffix(p.Message, ".") {
				t.Errorf("%+v: message %q", c.config, p.Message)
			}
		}
		if got := strings.Join(paths, " "); got != c.paths {
			t.Errorf("%+v: problems at %q; want %q", c.config, got, c.paths)
		}
		if _, err := New(c.config, intel.SinkOptions{Name: "x"}); (err != nil) != (c.paths != "") {
			t.Errorf("%+v: New = %v", c.config, err)
		}
	}
}
