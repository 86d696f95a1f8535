package file

import (
	"path/filepath"
	"strings"

	"taxii-forwarder/forwarder/setting"
)

// Config is the body of a sink "file" block.
type Config struct {
	// Path is the file to append to; "-" is standard output.
	Path string `hcl:"path"`
	// Format is the shape of a line: indicator (the default), stix, ecs, splunk or sentinel.
	Format string `hcl:"format,optional"`
	// Rotate, when given, keeps the file from growing without end.
	Rotate *Rotate `hcl:"rotate,block"`
}

// Rotate says when the file is set aside and how many such files are kept.
type Rotate struct {
	// MaxBytes is the size from which on the file is set aside as PATH.1.
	MaxBytes int64 `hcl:"max_bytes"`
	// Keep is how many files are kept besides the current one; 0 = 5.
	Keep int `hcl:"keep,optional"`
}

const (
	standardOutput = "-"
	minRotateBytes = 64 << 10
	maxKeep        = 1000
	defaultKeep    = 5
)

// Validate returns everything that is wrong with c. It does not look at the
// file system: a directory that is missing now may be there when the sink runs,
// and [Sink.Check] tells.
func (c *Config) Validate() []setting.Problem {
	var problems []setting.Problem
	switch {
	case strings.TrimSpace(c.Path) == "":
		problems = append(problems, setting.Problemf("path", "path is empty; name the file to append to, or \"-\" for standard output"))
	case strings.ContainsRune(c.Path, 0):
		problems = append(problems, setting.Problemf("path", "path contains a NUL character"))
	case c.Path != standardOutput && (strings.HasSuffix(c.Path, "/") || strings.HasSuffix(c.Path, string(filepath.Separator))):
		problems = append(problems, setting.Problemf("path", "path %q is a directory; name a file in it", c.Path))
	}
	if c.Format != "" && formats[c.Format] == nil {
		problems = append(problems, setting.Problemf("format", "unknown format %q; use one of %s", c.Format, strings.Join(Formats(), ", ")))
	}
	if r := c.Rotate; r != nil {
		if c.Path == standardOutput {
			problems = append(problems, setting.Problemf("rotate", "standard output can not be rotated; remove the block"))
		}
		if r.MaxBytes < minRotateBytes {
			problems = append(problems, setting.Problemf("rotate.max_bytes", "max_bytes is %d; the least is %d", r.MaxBytes, minRotateBytes))
		}
		if r.Keep < 0 || r.Keep > maxKeep {
			problems = append(problems, setting.Problemf("rotate.keep", "keep is %d; use 1 to %d, or leave it out for %d", r.Keep, maxKeep, defaultKeep))
		}
	}
	return problems
}
