//go:build !windows

package svc

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestStateUnknown: without systemd nobody knows, which is no failure (LSB: 4).
func TestStateUnknown(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd is for Linux")
	}
	defer func(s string) { systemdRuns = s }(systemdRuns)
	systemdRuns = filepath.Join(t.TempDir(), "system")
	code, words, err := State()
	if err != nil || code != 4 || !strings.HasPrefix(words, "unknown: ") {
		t.Errorf("%d %q %v", code, words, err)
	}
}
