package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// stdlib stands for Go's standard library and runtime among the modules.
const stdlib = "std"

// module is a module of which a binary holds code.
type module struct {
	path, version string
	sum           string // as go.sum has it; "" for the standard library
	dir           string // its source
	packages      []string
	// needs are the paths of the modules whose packages its own import.
	needs []string
}

// software is what a binary is made of.
type software struct {
	info    *debug.BuildInfo
	main    module   // the program itself
	modules []module // the others, by path; the standard library among them
}

// listed is a package as 'go list -json' shows it.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	Module     *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// linked returns what the binary exe, built from the source in root with the
// environment env, is made of. The binary's own record has the last word: if
// it and the source disagree, that is an error.
func linked(ctx context.Context, root string, env []string, exe string) (*software, error) {
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return nil, err
	}
	goroot, err := goCommand(ctx, root, env, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	out, err := goCommand(ctx, root, env, "list", "-deps", "-json=ImportPath,Dir,Standard,Imports,Module", mainPackage)
	if err != nil {
		return nil, err
	}
	packages, err := decodeList(out)
	if err != nil {
		return nil, err
	}
	s := assemble(info, packages, strings.TrimSpace(string(goroot)))
	return s, s.agree()
}

func decodeList(out []byte) ([]listed, error) {
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// assemble groups packages by module.
func assemble(info *debug.BuildInfo, packages []listed, goroot string) *software {
	s := &software{info: info}
	owner := map[string]string{} // of a package: its module
	found := map[string]*module{}
	for _, p := range packages {
		m := module{path: stdlib, version: strings.TrimPrefix(info.GoVersion, "go"), dir: goroot}
		if !p.Standard && p.Module != nil {
			m = module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
			if r := p.Module.Replace; r != nil {
				m = module{path: r.Path, version: r.Version, dir: r.Dir}
			}
			if p.Module.Main {
				s.main.path = m.path
			}
		}
		owner[p.ImportPath] = m.path
		if found[m.path] == nil {
			found[m.path] = &m
		}
		found[m.path].packages = append(found[m.path].packages, p.Dir)
	}
	for _, p := range packages {
		from := found[owner[p.ImportPath]]
		for _, i := range p.Imports {
			if to := owner[i]; to != "" && to != from.path && !slices.Contains(from.needs, to) {
				from.needs = append(from.needs, to)
			}
		}
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		if m := found[d.Path]; m != nil {
			m.sum = d.Sum
		}
	}
	for path, m := range found {
		slices.Sort(m.needs)
		if path == s.main.path {
			s.main = *m
			continue
		}
		s.modules = append(s.modules, *m)
	}
	slices.SortFunc(s.modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return s
}

// agree checks that the source has the modules that the binary records.
func (s *software) agree() error {
	var recorded, listed []string
	for _, d := range s.info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		recorded = append(recorded, d.Path+"@"+d.Version)
	}
	for _, m := range s.modules {
		if m.path != stdlib {
			listed = append(listed, m.path+"@"+m.version)
		}
	}
	slices.Sort(recorded)
	slices.Sort(listed)
	if !slices.Equal(recorded, listed) {
		return fmt.Errorf("the binary records the modules %v, the source has %v; was it built from another source?", recorded, listed)
	}
	return nil
}

func goCommand(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// relative returns path as seen from the module's directory, with slashes.
func (m *module) relative(path string) string {
	rel, err := filepath.Rel(m.dir, path)
	if err != nil {
		return filepath.Base(path)
	}
	return filepath.ToSlash(rel)
}
