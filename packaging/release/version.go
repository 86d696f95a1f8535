package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is a semantic version (semver.org 2.0.0).
type version struct {
	major, minor, patch int
	pre                 string // "rc.1"; "" = a release
	build               string // "0123456789ab"; says nothing of the order
}

var versionForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$`)

// parseVersion reads a version, with or without the v of a tag.
func parseVersion(s string) (version, error) {
	m := versionForm.FindStringSubmatch(strings.TrimPrefix(s, "v"))
	if m == nil {
		return version{}, fmt.Errorf("version %q is not a semantic version, such as 1.2.0 or 1.2.0-rc.1", s)
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(m[i+1]); err != nil {
			return version{}, fmt.Errorf("version %q has a number that is too large", s)
		}
	}
	return version{n[0], n[1], n[2], m[4], m[5]}, nil
}

func (v version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	if v.pre != "" {
		s += "-" + v.pre
	}
	if v.build != "" {
		s += "+" + v.build
	}
	return s
}

// msi returns the version for Windows Installer, which knows three numbers
// (ProductVersion: at most 255.255.65535): a pre-release has those of its
// release.
func (v version) msi() (string, error) {
	if v.major > 255 || v.minor > 255 || v.patch > 65535 {
		return "", fmt.Errorf("version %s is beyond what Windows Installer can hold, 255.255.65535; leave the MSI out with --skip msi", v)
	}
	return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch), nil
}
