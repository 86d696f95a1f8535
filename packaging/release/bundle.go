package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// archive writes the .tar.gz, or for Windows the .zip, of a platform.
func (r *release) archive(on platform, exe string, notice []byte, docs []entry) error {
	entries := []entry{{name: noticeName, mode: 0o644, data: notice}}
	for _, f := range []string{exe, "README.md", "LICENSE", "config.example.hcl"} {
		path, mode := f, int64(0o755)
		if f != exe {
			path, mode = filepath.Join(r.root, f), 0o644
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		entries = append(entries, entry{filepath.Base(f), mode, data})
	}
	for _, d := range docs {
		if fits(d.name, on) {
			entries = append(entries, d)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := range entries {
		entries[i].name = r.stem(on) + "/" + entries[i].name
	}
	if on.os == "windows" {
		return writeZip(filepath.Join(r.out, r.stem(on)+".zip"), r.date, entries)
	}
	return writeTarGz(filepath.Join(r.out, r.stem(on)+".tar.gz"), r.date, entries)
}

// fits reports whether a document is of use on a platform.
func fits(name string, on platform) bool {
	return on.os != "windows" || filepath.Ext(name) == ".ps1"
}

// packages has the packaging scripts build what is for a system's own package
// manager. They find the third-party licences in THIRD_PARTY_LICENSES. nfpm makes
// the version one that dpkg and rpm sort as it should: 1.2.0~rc.1 before 1.2.0.
func (r *release) packages(ctx context.Context, on platform, exe, noticeFile string) error {
	env := []string{"THIRD_PARTY_LICENSES=" + noticeFile}
	for _, kind := range []string{partDeb, partRPM} {
		if !r.plan.has(on, kind) {
			continue
		}
		if err := r.script(ctx, env, "packaging/linux/package.sh", kind, on.arch, r.version.String(), exe, r.out); err != nil {
			return err
		}
	}
	if !r.plan.has(on, partMSI) {
		return nil
	}
	numeric, err := r.version.msi()
	if err != nil {
		return err
	}
	return r.script(ctx, env, "packaging/windows/msi.sh", numeric, exe, r.out)
}
