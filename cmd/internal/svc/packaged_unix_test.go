//go:build !windows

package svc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackaged: a package's service is left to the package, one of our own that
// hides it is not.
func TestPackaged(t *testing.T) {
	own, lib := t.TempDir(), t.TempDir()
	defer func(o string, p []string) { ownUnits, packagedUnits = o, p }(ownUnits, packagedUnits)
	ownUnits, packagedUnits = own, []string{filepath.Join(lib, "none"), lib}
	place := func(dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "taxii-forwarder.service"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := packaged(); err != nil {
		t.Error(err)
	}
	place(lib)
	if err := packaged(); err == nil || !strings.Contains(err.Error(), "comes with a package ("+lib) {
		t.Errorf("a package's unit: %v", err)
	}
	place(own)
	if err := packaged(); err != nil {
		t.Error(err)
	}
}
