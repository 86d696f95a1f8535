package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// Load reads, decodes and validates the configuration in a file. Everything
// wrong with it is in the report; the configuration is nil when the report has
// errors.
func Load(path string, kinds []SinkKind) (*Config, *Report) {
	fail := func(summary, detail string) (*Config, *Report) {
		return nil, &Report{Diagnostics: []Diagnostic{{Severity: Error, Summary: summary, Detail: detail, File: path}}}
	}
	info, err := os.Stat(path)
	var text []byte
	switch {
	case err == nil && info.IsDir():
		return fail("this is a directory", "name the configuration file in it")
	case err == nil && info.Size() > maxFile:
		return fail(fmt.Sprintf("the file is larger than %d bytes", maxFile), "is it a configuration?")
	case err == nil:
		text, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("the configuration file does not exist", "name it with --config; config.example.hcl is a start")
	case errors.Is(err, fs.ErrPermission):
		return fail("the configuration file can not be read", "permission denied to the user that runs this")
	case err != nil:
		return fail("the configuration file can not be read", err.Error())
	}
	return load(path, text, info.Mode(), kinds)
}

// load is Load for a text that is at hand. mode is the file's.
func load(path string, text []byte, mode fs.FileMode, kinds []SinkKind) (*Config, *Report) {
	l := &loader{path: path, kinds: kinds, names: collectNames(kinds)}
	if f := tooDeep(text, path); f != nil {
		l.src = newSource(path, text, nil, l.names.plain)
		l.errorAt(f.rng, f.summary, f.detail)
		return l.result(nil)
	}
	file, diags := hclparse.NewParser().ParseHCL(text, path)
	var body *hclsyntax.Body
	if file != nil {
		body, _ = file.Body.(*hclsyntax.Body)
	}
	l.src = newSource(path, text, body, l.names.plain)
	l.add(diags)
	if diags.HasErrors() || body == nil {
		// What did not parse would only be reported again as missing.
		return l.result(nil)
	}

	l.eval = evalContext(func(v string) { l.secrets = append(l.secrets, v) })
	var raw rawRoot
	l.add(gohcl.DecodeBody(body, l.eval, &raw))
	cfg := &Config{Path: path}
	l.general(cfg, &raw)
	l.feeds(cfg, raw.Feeds)
	l.sinks(cfg, raw.Sinks)
	l.routes(cfg, raw.Routes)
	l.warnLiterals(body, mode)
	return l.result(cfg)
}

// loader is the work of one Load.
type loader struct {
	path    string
	kinds   []SinkKind
	names   names
	src     *source
	eval    *hcl.EvalContext
	secrets []string // what functions returned, and secrets written out
	diags   []Diagnostic
	parsed  []hcl.Range // where the HCL library found fault
}

// scopes returns the blocks of a type that have the right number of labels:
// those that gohcl decodes, in the same order.
func (l *loader) scopes(blockType string) []scope {
	labels := map[string]int{"feed": 1, "sink": 2, "route": 1}[blockType]
	var out []scope
	for _, b := range l.src.body.Blocks {
		if b.Type == blockType && len(b.Labels) == labels {
			out = append(out, blockScope(b))
		}
	}
	return out
}

// scope returns the first block of a type, or the whole file.
func (l *loader) scope(blockType string) scope {
	if all := l.scopes(blockType); len(all) > 0 {
		return all[0]
	}
	return scope{body: l.src.body}
}

// result closes the books.
func (l *loader) result(cfg *Config) (*Config, *Report) {
	r := &Report{Diagnostics: l.finish()}
	if r.HasErrors() {
		return nil, r
	}
	return cfg, r
}
