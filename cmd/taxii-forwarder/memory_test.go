//go:build linux && !race

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// TestMemory runs the program on collections of two sizes. What it takes at its
// peak is bounded, and does not grow with the collection. (Not under the race
// detector, which takes several times as much.)
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const bound = 150.0 // MB
	small, large := peakMemory(t, 10000), peakMemory(t, 60000)
	t.Logf("peak resident memory: %.0f MB for 10,000 indicators, %.0f MB for 60,000", small, large)
	if large > bound {
		t.Errorf("peak resident memory %.0f MB, want at most %.0f MB", large, bound)
	}
}

func peakMemory(t *testing.T, indicators int) (megabytes float64) {
	t.Helper()
	server := taxiitest.New(taxiitest.Options{Prerender: true})
	defer server.Close()
	col := server.AddCollection(taxiitest.Info{ID: "0b0e0de0-0000-4000-8000-000000000002", Title: "large"})
	padding := strings.Repeat("An indicator with a description of ordinary length. ", 6)
	for n := range indicators {
		raw := strings.Replace(string(killIndicator(n)), `"pattern":`, `"description":"`+padding+`","pattern":`, 1)
		col.Add(time.Date(2026, 1, 1, 0, 0, 0, n*1000000, time.UTC), []byte(raw))
	}
	hec := splunktest.NewServer(splunktest.Options{CountOnly: true})
	defer hec.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.hcl")
	t.Setenv("MEMORY_TEST_TOKEN", hec.Token())
	text := fmt.Sprintf(`
state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "none" {}
}
sink "splunk_hec" "s" {
  url   = %q
  token = env("MEMORY_TEST_TOKEN")
}
`, filepath.Join(dir, "state"), server.URL(), hec.URL())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, config)
	p.until("everything is delivered", func() bool { return hec.Stored() >= int64(indicators) })
	megabytes = highWater(t, p.cmd.Process.Pid)
	p.kill()
	return megabytes
}

// highWater returns the most resident memory that a process had, in MB
// (proc_pid_status(5), VmHWM).
func highWater(t *testing.T, pid int) float64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
