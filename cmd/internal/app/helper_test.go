package app

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

const collectionID = "c0de0de0-0000-4000-8000-000000000001"

// load writes a configuration and loads it; it must be good.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "forwarder.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report := Load(path)
	if report.HasErrors() {
		t.Fatalf("%s\n%s", report.Summary(), text)
	}
	return cfg
}

// server starts a TAXII server with one collection of indicators.
func server(t *testing.T, o taxiitest.Options, indicators int) (*taxiitest.Server, *taxiitest.Collection) {
	t.Helper()
	s := taxiitest.New(o)
	t.Cleanup(s.Close)
	col := s.AddCollection(taxiitest.Info{ID: collectionID, Alias: "iocs", Title: "Indicators"})
	for n := range indicators {
		col.Add(added(n), indicator(n, ""))
	}
	return s, col
}

func added(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

func idOf(n int) string { return fmt.Sprintf("indicator--0b0e0de0-0000-4000-8000-%012x", n) }

// indicator is one with a single observable; more is added to its members.
func indicator(n int, more string) []byte {
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`+
		`"pattern":"[domain-name:value = 'host-%d.example.com']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`, idOf(n), n, more)
}
