package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheOriginComesFromGit(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_COMMITTER_DATE=2026-03-04T05:06:07+02:00", "GIT_AUTHOR_DATE=2020-01-01T00:00:00Z")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	file := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, version, commit string, given origin) {
		t.Helper()
		want := origin{version, commit, "2026-03-04T03:06:07Z"}
		if got, err := describe(t.Context(), dir, given); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}

	git("init", "-q")
	file("1")
	git("add", "file")
	git("commit", "-q", "-m", "one")
	head := git("rev-parse", "HEAD")
	check("no tag", "0.0.0-dev+"+head[:12], head, origin{})
	git("tag", "other")
	check("a tag that is no version", "0.0.0-dev+"+head[:12], head, origin{})
	git("tag", "v1.2.0-rc.1")
	check("a tag", "1.2.0-rc.1", head, origin{})
	check("a version given", "9.9.9", head, origin{version: "9.9.9"})
	file("2")
	check("a modified file", "0.0.0-dev+"+head[:12]+".modified", head, origin{})
	git("commit", "-q", "-a", "-m", "two")
	head = git("rev-parse", "HEAD")
	check("after the tag", "0.0.0-dev+"+head[:12], head, origin{})
}

func TestASourceWithoutGitNeedsAllOfTheOrigin(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	if o, err := describe(t.Context(), dir, origin{version: "1.0.0"}); err == nil || !strings.Contains(err.Error(), "--version, --commit and --date") {
		t.Errorf("%+v, %v", o, err)
	}
	given := origin{"1.0.0", "0123", "2026-01-01T00:00:00Z"}
	if o, err := describe(t.Context(), dir, given); o != given || err != nil {
		t.Errorf("%+v, %v", o, err)
	}
}
