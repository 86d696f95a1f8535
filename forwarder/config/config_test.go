package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

var update = flag.Bool("update", false, "rewrite the expected output")

const testSecret = "s3cret-from-function"

// testKinds stand in for the sinks.
func testKinds() []SinkKind {
	return []SinkKind{
		{Name: "splunk_hec", New: func() any { return new(testSplunk) }},
		{Name: "file", New: func() any { return new(testFile) }},
	}
}

type testSplunk struct {
	URL     string           `hcl:"url"`
	Token   setting.Secret   `hcl:"token"`
	Timeout setting.Duration `hcl:"timeout,optional"`
	Batch   *testBatch       `hcl:"batch,block"`
	TLS     *transport.TLS   `hcl:"tls,block"`
}

type testBatch struct {
	MaxEvents int `hcl:"max_events,optional"`
	MaxBytes  int `hcl:"max_bytes,optional"`
}

func (s *testSplunk) Validate() []setting.Problem {
	var out []setting.Problem
	if !strings.HasPrefix(s.URL, "https://") {
		out = append(out, setting.Problemf("url", "does not begin with https://"))
	}
	if s.Token == "" {
		out = append(out, setting.Problemf("token", "is empty"))
	}
	if s.Batch != nil && s.Batch.MaxEvents < 1 {
		out = append(out, setting.Problemf("batch.max_events", "has to be at least 1"))
	}
	if _, err := s.Timeout.Parse(); s.Timeout != "" && err != nil {
		out = append(out, setting.Problemf("timeout", "%v", err))
	}
	for _, p := range s.TLS.Validate() {
		out = append(out, setting.Problemf("tls."+p.Path, "%s", p.Message))
	}
	return out
}

type testFile struct {
	Path   string `hcl:"path"`
	Format string `hcl:"format,optional"`
}

func (f *testFile) Validate() []setting.Problem {
	if f.Format != "" && f.Format != "stix" {
		return []setting.Problem{setting.Problemf("format", "unknown format %q", f.Format)}
	}
	return nil
}

func setEnv(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hec"), []byte(testSecret+"-hec\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_SECRET", testSecret)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
}

// TestReports compares what is said about each file in testdata with the .txt
// next to it.
func TestReports(t *testing.T) {
	setEnv(t)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	files, err := filepath.Glob("testdata/*/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		if file == filepath.FromSlash("testdata/good/full.hcl") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.ToSlash(file)
			cfg, report := load(name, text, 0o644, testKinds())
			if bad := strings.Contains(name, "/bad/"); report.HasErrors() != bad || (cfg == nil) != bad {
				t.Errorf("errors: %v, configuration: %v", report.HasErrors(), cfg)
			}
			var b bytes.Buffer
			if err := report.WriteTo(&b, false, 100); err != nil {
				t.Fatal(err)
			}
			b.WriteString("summary: " + report.Summary() + "\n")
			got := b.String()
			if strings.Contains(got, "s3cret") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			if w := strings.Join(report.Warnings(), "\n"); strings.Contains(w, "s3cret") {
				t.Errorf("a secret is in the warnings:\n%s", w)
			}
			golden := strings.TrimSuffix(file, ".hcl") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if runtime.GOOS == "windows" {
				return // its messages about files and modes are its own
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestFull(t *testing.T) {
	setEnv(t)
	cfg, report := Load("testdata/good/full.hcl", testKinds())
	if len(report.Diagnostics) > 0 {
		t.Fatalf("%+v", report.Diagnostics)
	}
	where := `(indicator.confidence >= 50 && indicator.tlp != "red")`
	for i, r := range cfg.Routes {
		want := ""
		if r.Name == "iocs" {
			want = where
		}
		if r.Where.String() != want {
			t.Errorf("route %d: where is %s", i, r.Where)
		}
		cfg.Routes[i].Where = nil
	}
	want := &Config{
		Path: "testdata/good/full.hcl", Log: Log{"debug", "json"}, State: State{"/tmp/state"}, HTTP: HTTP{},
		Feeds: []Feed{
			{
				Name: "soc-defenders", DiscoveryURL: "https://taxii.example.com/taxii2/",
				Auth: Auth{Kind: "bearer", Token: testSecret}, Collections: []string{"all-iocs", "Everything"},
				PollInterval: 90 * time.Minute, ResyncInterval: 24 * time.Hour, Overlap: 0, Timeout: 30 * time.Second,
				StartFrom: StartFrom{Age: 30 * 24 * time.Hour}, PageSize: 500,
				MatchTypes: []string{"indicator", "identity"}, MatchSpecVersions: []string{"2.1"}, Identity: IdentityContent,
				TrustedHosts: []string{"api.example.net"}, ProxyURL: "http://u:p@proxy.example.com:3128", UserAgent: "me/1",
				TLS: &transport.TLS{MinVersion: "1.3"},
			},
			{
				Name: "otx", APIRootURL: "http://127.0.0.1:8080/taxii/root/", Auth: Auth{Kind: "basic", Username: testSecret},
				Collections: []string{"*"}, PollInterval: 15 * time.Minute, Overlap: 5 * time.Minute, Timeout: time.Minute,
				StartFrom: StartFrom{Time: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)}, PageSize: 1000, Identity: IdentityID,
			},
			{
				Name: "custom", DiscoveryURL: "https://taxii.example.org/", Auth: Auth{Kind: "header", Name: "X-API-Key", Value: "s3cret-file"},
				Collections: []string{"*"}, PollInterval: 15 * time.Minute, Overlap: 5 * time.Minute, Timeout: time.Minute,
				StartFrom: StartFrom{All: true}, PageSize: 1000, Identity: IdentityID,
			},
			{
				Name: "open", DiscoveryURL: "https://taxii.example.net/", Auth: Auth{Kind: "none"},
				Collections: []string{"*"}, PollInterval: 15 * time.Minute, Overlap: 5 * time.Minute, Timeout: time.Minute,
				StartFrom: StartFrom{All: true}, PageSize: 1000, Identity: IdentityID,
			},
		},
		Sinks: []Sink{
			{"splunk_hec", "soc", &testSplunk{URL: "https://splunk.example.com:8088", Token: testSecret + "-hec", Timeout: "10s", Batch: &testBatch{10, 1000}}},
			{"file", "out", &testFile{Path: "-"}},
		},
		Routes: []Route{
			{Name: "iocs", Feed: "soc-defenders", SinkKind: "splunk_hec", SinkName: "soc"},
			{Name: "iocs", Feed: "soc-defenders", SinkKind: "file", SinkName: "out"},
			{Name: "iocs", Feed: "otx", SinkKind: "splunk_hec", SinkName: "soc"},
			{Name: "iocs", Feed: "otx", SinkKind: "file", SinkName: "out"},
			{Name: "rest", Feed: "custom", SinkKind: "file", SinkName: "out"},
			{Name: "rest", Feed: "open", SinkKind: "file", SinkName: "out"},
		},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %#v\nwant %#v", cfg, want)
	}
}

// TestMinimal: what is not said is as documented.
func TestMinimal(t *testing.T) {
	cfg, report := Load("testdata/good/minimal.hcl", testKinds())
	if len(report.Diagnostics) > 0 {
		t.Fatalf("%+v", report.Diagnostics)
	}
	if cfg.Log != (Log{"info", "text"}) || cfg.HTTP.Listen != "127.0.0.1:9464" || cfg.State.Dir != DefaultStateDir() {
		t.Errorf("%+v", cfg)
	}
	f := cfg.Feeds[0]
	if f.PollInterval != 15*time.Minute || f.ResyncInterval != 0 || f.Overlap != 5*time.Minute || f.Timeout != time.Minute ||
		!f.StartFrom.All || f.PageSize != 1000 || f.Auth.Kind != AuthNone || !reflect.DeepEqual(f.Collections, []string{"*"}) {
		t.Errorf("%+v", f)
	}
	want := []Route{{Name: "default", Feed: "a", SinkKind: "file", SinkName: "out"}}
	if !reflect.DeepEqual(cfg.Routes, want) {
		t.Errorf("routes are %+v", cfg.Routes)
	}
}

func TestDefaultStateDir(t *testing.T) {
	want := "/var/lib/taxii-forwarder"
	if runtime.GOOS == "windows" {
		t.Setenv("ProgramData", `D:\Data`)
		want = `D:\Data\taxii-forwarder`
	}
	if got := DefaultStateDir(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestUnreadable(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.hcl")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"testdata/none.hcl": "does not exist",
		"testdata":          "is a directory",
		big:                 "larger than",
	} {
		cfg, report := Load(path, testKinds())
		if cfg != nil || !report.HasErrors() || !strings.Contains(report.Summary(), want) {
			t.Errorf("%s: %s", path, report.Summary())
		}
	}
}

// TestReadableByOthers: a literal secret in a file that only its owner can
// read is one warning, not two.
func TestReadableByOthers(t *testing.T) {
	text, err := os.ReadFile("testdata/good/warnings.hcl")
	if err != nil {
		t.Fatal(err)
	}
	setEnv(t)
	_, open := load("x.hcl", text, 0o644, testKinds())
	_, closed := load("x.hcl", text, 0o640, testKinds())
	if runtime.GOOS != "windows" && len(open.Diagnostics) != len(closed.Diagnostics)+1 {
		t.Errorf("%d and %d", len(open.Diagnostics), len(closed.Diagnostics))
	}
}

// TestLongLine wraps at the width and colours for a terminal.
func TestWriteTo(t *testing.T) {
	r := &Report{Diagnostics: []Diagnostic{{Severity: Error, Summary: "bad", Detail: strings.Repeat("word ", 20), File: "f", Line: 7, Source: "x = 1", mark: [2]int{4, 5}}}}
	var b bytes.Buffer
	if err := r.WriteTo(&b, true, 40); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1;31merror:\x1b[0m", "f:7\n", "    7\x1b[2m | \x1b[0mx = 1\n", "    \x1b[1;31m^\x1b[0m\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "  word") && len(line) > 41 {
			t.Errorf("line of %d", len(line))
		}
	}
}
