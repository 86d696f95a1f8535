package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	program     = "taxii-forwarder"
	mainPackage = "./cmd/taxii-forwarder"
)

// release is one run of this program.
type release struct {
	root string // of the source
	origin
	version version
	date    time.Time // of the commit
	plan    plan
	out     string // where the artefacts go
	work    string // temporary
	log     io.Writer
}

// ready finds out before anything is built whether everything can be.
func (r *release) ready() error {
	if _, err := os.Stat(filepath.Join(r.root, "go.mod")); err != nil {
		return fmt.Errorf("no go.mod in the current directory; run this at the root of the source")
	}
	for _, on := range r.plan.platforms {
		for _, p := range r.plan.parts {
			if !r.plan.has(on, p.name) {
				continue
			}
			for _, tool := range p.tools {
				if _, err := exec.LookPath(tool); err != nil {
					return fmt.Errorf("the %s needs %s, which is not to be found; %s, or leave it out with --skip %s", p.name, tool, p.install, p.name)
				}
			}
		}
		if r.plan.has(on, partMSI) {
			if _, err := r.version.msi(); err != nil {
				return err
			}
		}
	}
	return nil
}

// build builds everything in the plan.
func (r *release) build(ctx context.Context) error {
	fmt.Fprintf(r.log, "%s %s, commit %.12s of %s\n", program, r.version, r.commit, r.date.Format(time.RFC3339))
	var docs []entry
	for _, on := range r.plan.platforms {
		exe, err := r.compile(ctx, on)
		if err != nil {
			return err
		}
		modules, err := linked(ctx, r.root, r.goEnv(on), exe)
		if err != nil {
			return fmt.Errorf("%s: %w", on, err)
		}
		notice, err := notice(modules)
		if err != nil {
			return fmt.Errorf("%s: %w", on, err)
		}
		noticeFile := filepath.Join(filepath.Dir(exe), noticeName)
		if err := os.WriteFile(noticeFile, notice, 0o644); err != nil {
			return err
		}
		if r.plan.has(on, partSBOM) {
			if err := r.writeSBOM(on, exe, modules); err != nil {
				return fmt.Errorf("%s: %w", on, err)
			}
		}
		if r.plan.has(on, partArchive) {
			if docs == nil {
				if docs, err = r.documents(ctx); err != nil {
					return err
				}
			}
			if err := r.archive(on, exe, notice, docs); err != nil {
				return fmt.Errorf("%s: %w", on, err)
			}
		}
		if err := r.packages(ctx, on, exe, noticeFile); err != nil {
			return fmt.Errorf("%s: %w", on, err)
		}
		if r.plan.has(on, partBinary) {
			dir := filepath.Join(r.out, on.os+"_"+on.arch)
			if err := copyTo(dir, exe, noticeFile); err != nil {
				return err
			}
		}
	}
	if err := writeSums(r.out); err != nil {
		return err
	}
	return r.list()
}

// stem begins the name of every artefact that is named here.
func (r *release) stem(on platform) string {
	return fmt.Sprintf("%s_%s_%s_%s", program, r.version, on.os, on.arch)
}

// script runs one of the packaging scripts at the root of the source.
func (r *release) script(ctx context.Context, env []string, path string, args ...string) error {
	// The umask is not to get into the packages.
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `umask 022; exec "$0" "$@"`, path}, args...)...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(),
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(r.date.Unix(), 10), "TZ=UTC", "LC_ALL=C")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = r.log, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", path, args, err)
	}
	return nil
}

// list says what there is now.
func (r *release) list() error {
	return filepath.WalkDir(r.out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.out, path)
		fmt.Fprintf(r.log, "%11d  %s\n", info.Size(), name)
		return err
	})
}

// copyTo copies files to dir, which it makes.
func copyTo(dir string, files ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
