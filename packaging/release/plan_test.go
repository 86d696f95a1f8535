package main

import (
	"slices"
	"strings"
	"testing"
)

func TestOnlyAndSkipChoose(t *testing.T) {
	all := "archive linux/amd64|archive linux/arm64|archive windows/amd64|" +
		"sbom linux/amd64|sbom linux/arm64|sbom windows/amd64|" +
		"deb linux/amd64|deb linux/arm64|rpm linux/amd64|rpm linux/arm64|msi windows/amd64"
	for _, c := range []struct{ only, skip, want string }{
		{"", "", all},
		{"deb", "", "deb linux/amd64|deb linux/arm64"},
		{"deb,rpm,linux/arm64", "", "deb linux/arm64|rpm linux/arm64"},
		{"binary,linux/amd64", "", "binary linux/amd64"},
		{"windows/amd64", "msi", "archive windows/amd64|sbom windows/amd64"},
		{"", "linux/amd64,linux/arm64,sbom", "archive windows/amd64|msi windows/amd64"},
	} {
		p, err := choose(c.only, c.skip)
		if err != nil {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
			continue
		}
		var got []string
		for _, x := range parts {
			for _, on := range platforms {
				if p.has(on, x.name) {
					got = append(got, x.name+" "+on.String())
				}
			}
		}
		if want := strings.Split(c.want, "|"); !slices.Equal(got, want) {
			t.Errorf("--only %q --skip %q builds\n%q, want\n%q", c.only, c.skip, got, want)
		}
	}
	for only, want := range map[string]string{
		"dep":             `"dep" is neither a part nor a platform`,
		"msi,linux/amd64": "leave nothing to build",
	} {
		if _, err := choose(only, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--only %s: %v, want %q", only, err, want)
		}
	}
}

func TestAMissingToolIsSaidBeforeAnythingIsBuilt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p, err := choose("", "")
	if err != nil {
		t.Fatal(err)
	}
	err = (&release{root: "../..", plan: p}).ready()
	if err == nil || !strings.Contains(err.Error(), "the msi needs wixl") || !strings.Contains(err.Error(), "--skip msi") {
		t.Errorf("without wixl: %v", err)
	}
	if p, err = choose("", "msi"); err != nil {
		t.Fatal(err)
	}
	if err := (&release{root: "../..", plan: p}).ready(); err != nil {
		t.Errorf("nothing that needs wixl, and still: %v", err)
	}
}
