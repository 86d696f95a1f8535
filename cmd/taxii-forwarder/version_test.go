package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionComesFromTheBuild(t *testing.T) {
	checkout := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
		{Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	for _, c := range []struct {
		name    string
		stamped buildVersion
		info    *debug.BuildInfo
		want    string
	}{
		{
			"release", buildVersion{Version: "1.2.0", Commit: "fedcba9876543210", Date: "2026-05-06T07:08:09Z"},
			&debug.BuildInfo{Main: debug.Module{Version: "v9.9.9"}, Settings: checkout},
			"taxii-forwarder 1.2.0 (fedcba987654, 2026-05-06T07:08:09Z) go1 os/arch",
		},
		{
			"go install", buildVersion{}, &debug.BuildInfo{Main: debug.Module{Version: "v1.3.0-rc.1"}},
			"taxii-forwarder 1.3.0-rc.1 go1 os/arch",
		},
		{
			"go build in a checkout", buildVersion{}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: checkout},
			"taxii-forwarder devel (0123456789ab, 2026-01-02T03:04:05Z, modified) go1 os/arch",
		},
		{"nothing known", buildVersion{}, nil, "taxii-forwarder devel go1 os/arch"},
	} {
		c.stamped.Go, c.stamped.OS, c.stamped.Arch = "go1", "os", "arch"
		if got := stamped(c.stamped, c.info).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
