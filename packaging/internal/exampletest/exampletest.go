// Package exampletest checks the configurations that the packaging's examples
// carry.
package exampletest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/sinks"
)

var credential = regexp.MustCompile(`credential\("([^"]+)"\)`)

// Check loads a configuration as 'taxii-forwarder check' does, with a value for
// each credential that it asks for, and fails the test for any error in it. It
// returns the configuration, the names of the credentials, sorted, and the
// warnings.
func Check(t *testing.T, text string) (cfg *config.Config, credentials, warnings []string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, m := range credential.FindAllStringSubmatch(text, -1) {
		credentials = append(credentials, m[1])
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte("a-secret-of-the-test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(credentials)
	path := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var kinds []config.SinkKind
	for _, k := range sinks.Kinds() {
		kinds = append(kinds, config.SinkKind{Name: k.Name, New: k.NewConfig})
	}
	cfg, report := config.Load(path, kinds)
	if report.HasErrors() {
		var b strings.Builder
		report.WriteTo(&b, false, 0)
		t.Fatalf("the configuration is refused:\n%s", &b)
	}
	return cfg, slices.Compact(credentials), report.Warnings()
}
