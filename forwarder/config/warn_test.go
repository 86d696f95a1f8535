package config

import (
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestOpenFile: a file that others may read is worth a warning if secrets are
// written into it, one that others may change in any case.
func TestOpenFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	t.Setenv("TOKEN", "s3cret")
	const read, change = "can read the secrets", "can change this file"
	for _, tt := range []struct {
		token string
		mode  fs.FileMode
		want  []string
	}{
		{`env("TOKEN")`, 0o644, nil},
		{`env("TOKEN")`, 0o646, []string{change}},
		{`"s3cret"`, 0o640, nil},
		{`"s3cret"`, 0o644, []string{read}},
		{`"s3cret"`, 0o666, []string{change, read}},
	} {
		text := "feed \"f\" {\n discovery_url = \"https://taxii.example.com/\"\n auth \"bearer\" {\n  token = " + tt.token + "\n }\n}\nsink \"file\" \"s\" {\n path = \"out\"\n}\n"
		_, report := load("test.hcl", []byte(text), tt.mode, testKinds())
		var got []string
		for _, w := range report.Warnings() {
			for _, known := range []string{read, change} {
				if strings.Contains(w, known) {
					got = append(got, known)
				}
			}
		}
		slices.Sort(got)
		if report.HasErrors() || !slices.Equal(got, tt.want) {
			t.Errorf("token = %s, mode %o: %q, want %q", tt.token, tt.mode, got, tt.want)
		}
	}
}
