package main

import (
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct{ in, out, msi string }{
		{"1.2.0", "1.2.0", "1.2.0"},
		{"v1.2.0", "1.2.0", "1.2.0"},
		{"1.2.0-rc.1", "1.2.0-rc.1", "1.2.0"},
		{"0.0.0-dev+0123456789ab.modified", "0.0.0-dev+0123456789ab.modified", "0.0.0"},
		{"255.255.65535", "255.255.65535", "255.255.65535"},
	} {
		v, err := parseVersion(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got, err := v.msi(); got != c.msi || err != nil || v.String() != c.out {
			t.Errorf("%s is %s, for Windows Installer %s (%v); want %s, %s", c.in, v, got, err, c.out, c.msi)
		}
	}
	for _, s := range []string{"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3+", "1.2.3 ", "1.2.x", "v", "1.2.99999999999999999999", "$(id)"} {
		if v, err := parseVersion(s); err == nil {
			t.Errorf("%q is taken for %s", s, v)
		}
	}
	for _, s := range []string{"256.0.0", "1.256.0", "1.2.65536"} {
		v, err := parseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.msi(); err == nil || !strings.Contains(err.Error(), "--skip msi") {
			t.Errorf("%s for Windows Installer is %s, %v", s, got, err)
		}
	}
}
