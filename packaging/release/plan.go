package main

import (
	"fmt"
	"slices"
	"strings"
)

// platform is what a binary runs on, in Go's terms.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// binary returns the program's file name.
func (p platform) binary() string {
	if p.os == "windows" {
		return program + ".exe"
	}
	return program
}

var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}}

// part is a kind of artefact.
type part struct {
	name string
	os   string // "" = of every platform
	// asked: only built when named.
	asked bool
	// tools are programs without which it can not be built; install says how to
	// get them.
	tools   []string
	install string
}

// Names of parts.
const (
	partBinary  = "binary"
	partArchive = "archive"
	partSBOM    = "sbom"
	partDeb     = "deb"
	partRPM     = "rpm"
	partMSI     = "msi"
)

var parts = []part{
	{name: partBinary, asked: true},
	{name: partArchive},
	{name: partSBOM},
	{name: partDeb, os: "linux"},
	{name: partRPM, os: "linux"},
	{name: partMSI, os: "windows", tools: []string{"wixl", "msibuild"}, install: "install the packages wixl and msitools, on Debian with 'apt-get install wixl msitools'"},
}

// plan says what is built of what.
type plan struct {
	platforms []platform
	parts     []part
}

// choose reads --only and --skip. Parts named in only narrow the parts,
// platforms the platforms.
func choose(only, skip string) (plan, error) {
	var p plan
	take, leave := words(only), words(skip)
	known := map[string]bool{}
	takesPart, takesPlatform := false, false
	for _, x := range parts {
		known[x.name] = true
		takesPart = takesPart || slices.Contains(take, x.name)
	}
	for _, x := range platforms {
		known[x.String()] = true
		takesPlatform = takesPlatform || slices.Contains(take, x.String())
	}
	for _, w := range slices.Concat(take, leave) {
		if !known[w] {
			return plan{}, fmt.Errorf("%q is neither a part nor a platform; there are %s", w, choices())
		}
	}
	for _, x := range platforms {
		if (!takesPlatform || slices.Contains(take, x.String())) && !slices.Contains(leave, x.String()) {
			p.platforms = append(p.platforms, x)
		}
	}
	for _, x := range parts {
		named := slices.Contains(take, x.name)
		if (named || !takesPart && !x.asked) && !slices.Contains(leave, x.name) {
			p.parts = append(p.parts, x)
		}
	}
	for _, x := range p.platforms {
		for _, y := range p.parts {
			if p.has(x, y.name) {
				return p, nil
			}
		}
	}
	return plan{}, fmt.Errorf("--only %q and --skip %q leave nothing to build", only, skip)
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// has reports whether a part of a platform is to be built.
func (p plan) has(on platform, name string) bool {
	if !slices.Contains(p.platforms, on) {
		return false
	}
	return slices.ContainsFunc(p.parts, func(x part) bool { return x.name == name && (x.os == "" || x.os == on.os) })
}
