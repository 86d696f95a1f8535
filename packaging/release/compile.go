package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// goEnv returns the environment of the go command for a platform. What could
// make the same source another binary is set, whatever the caller's is.
func (r *release) goEnv(on platform) []string {
	return append(os.Environ(),
		"CGO_ENABLED=0", "GOOS="+on.os, "GOARCH="+on.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOWORK=off", "GOFIPS140=off")
}

// compile builds the program and returns its path.
func (r *release) compile(ctx context.Context, on platform) (string, error) {
	if on.os == "windows" {
		numeric, err := r.version.msi()
		if err != nil {
			numeric = "0.0.0" // no MSI is built of it
		}
		if err := r.script(ctx, nil, "packaging/windows/resources.sh", numeric); err != nil {
			return "", err
		}
		// The go command would link it into later builds too.
		defer os.Remove(filepath.Join(r.root, mainPackage, "rsrc_windows_amd64.syso"))
	}
	exe := filepath.Join(r.work, on.os+"_"+on.arch, on.binary())
	began := time.Now()
	if err := r.goBuild(ctx, on, exe); err != nil {
		return "", err
	}
	fmt.Fprintf(r.log, "built %s in %s\n", on, time.Since(began).Round(time.Second))
	return exe, checkBinary(exe, on)
}

func (r *release) goBuild(ctx context.Context, on platform, exe string) error {
	flags := []string{"-s", "-w"}
	// In a fixed order: the flags are part of the binary's build ID.
	for _, set := range [][2]string{{"version", r.version.String()}, {"commit", r.commit}, {"date", r.date.Format(time.RFC3339)}} {
		if strings.ContainsAny(set[1], " '\"") {
			return fmt.Errorf("the %s %q can not have spaces or quotes", set[0], set[1])
		}
		flags = append(flags, "-X", "main."+set[0]+"="+set[1])
	}
	// The commit is stamped here, so that a source without git gives the same
	// bytes as a checkout.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", strings.Join(flags, " "), "-o", exe, mainPackage)
	cmd.Dir, cmd.Env = r.root, r.goEnv(on)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", on, err)
	}
	// The umask is not to get into the archives.
	return os.Chmod(exe, 0o755)
}

// checkBinary makes sure that a binary is what was asked for.
func checkBinary(exe string, on platform) error {
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, s := range info.Settings {
		got[s.Key] = s.Value
	}
	for key, want := range map[string]string{"GOOS": on.os, "GOARCH": on.arch, "CGO_ENABLED": "0", "-trimpath": "true"} {
		if got[key] != want {
			return fmt.Errorf("%s was built with %s=%q instead of %q", exe, key, got[key], want)
		}
	}
	return nil
}

// host is where this program runs.
func host() platform { return platform{runtime.GOOS, runtime.GOARCH} }

// documents returns the manual page and the shells' completions, which the
// program writes itself: built for the machine this runs on.
func (r *release) documents(ctx context.Context) ([]entry, error) {
	exe := filepath.Join(r.work, "host", host().binary())
	if err := r.goBuild(ctx, host(), exe); err != nil {
		return nil, err
	}
	var docs []entry
	for _, d := range []struct {
		name string
		args []string
	}{
		{"man/taxii-forwarder.1", []string{"man"}},
		{"completions/taxii-forwarder.bash", []string{"completion", "bash"}},
		{"completions/_taxii-forwarder", []string{"completion", "zsh"}},
		{"completions/taxii-forwarder.fish", []string{"completion", "fish"}},
		{"completions/taxii-forwarder.ps1", []string{"completion", "powershell"}},
	} {
		cmd := exec.CommandContext(ctx, exe, d.args...)
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil || len(text) == 0 {
			return nil, fmt.Errorf("%s %s wrote %d bytes: %w", program, strings.Join(d.args, " "), len(text), err)
		}
		docs = append(docs, entry{d.name, 0o644, text})
	}
	return docs, nil
}
