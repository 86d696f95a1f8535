// Package windows tests the installation package and the service on Windows,
// as an administrator and on a machine that has no taxii-forwarder yet:
//
//	set MSI_OLD=taxii-forwarder_1.0.0_windows_amd64.msi
//	set MSI_NEW=taxii-forwarder_1.0.1_windows_amd64.msi
//	go test ./packaging/windows
//
// Wine runs them as well, except for what Wine does not have: see [wine].
package windows

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"

	"taxii-forwarder/forwarder/config"
)

const (
	name    = "taxii-forwarder"
	objects = 20
)

var (
	program     = filepath.Join(os.Getenv("ProgramW6432"), name, name+".exe")
	data        = config.DefaultStateDir()
	configFile  = filepath.Join(data, "config.hcl")
	eventSource = `SYSTEM\CurrentControlSet\Services\EventLog\Application\` + name
)

// wine reports whether this is Wine, which has neither delayed start nor the
// flag of recovery actions, and access lists of its own making.
func wine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// packages returns the two packages to test, an older and a newer one.
func packages(t *testing.T) (before, after string) {
	t.Helper()
	before, after = os.Getenv("MSI_OLD"), os.Getenv("MSI_NEW")
	if before == "" || after == "" {
		t.Skip("MSI_OLD and MSI_NEW do not name packages to install")
	}
	return filepath.FromSlash(before), filepath.FromSlash(after)
}

// TestPackage installs, runs, upgrades and removes.
func TestPackage(t *testing.T) {
	before, after := packages(t)
	if _, err := os.Stat(data); err == nil {
		t.Fatalf("%s is there already: this test wants a machine without %s", data, name)
	}
	t.Cleanup(func() { os.RemoveAll(data) })

	msiexec(t, "/i", before)
	t.Cleanup(func() { exec.Command("msiexec", "/x", after, "/qn").Run() })
	for _, f := range []string{program, filepath.Join(filepath.Dir(program), "LICENSE.txt"), filepath.Join(filepath.Dir(program), "config.example.hcl"), configFile} {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
	old := versions(t, before)
	if state(t) != svc.Stopped {
		t.Error("started before it has a configuration")
	}
	entry(t)
	if !strings.Contains(systemPath(t), filepath.Dir(program)) {
		t.Errorf("not in the PATH: %s", systemPath(t))
	}
	registered(t, true)
	if out, err := exec.Command(program, "service", "start").CombinedOutput(); err == nil {
		t.Errorf("starts with the template as its configuration: %s", out)
	}
	settled(t, svc.Stopped)

	text := configure(t)
	run(t, "service", "start")
	follow(t)

	msiexec(t, "/i", after)
	if v := versions(t, after); v == old {
		t.Errorf("still version %s after the upgrade", v)
	}
	if got, err := os.ReadFile(configFile); err != nil || string(got) != text {
		t.Errorf("configuration after the upgrade: %v\n%s", err, got)
	}
	entry(t)
	settled(t, svc.Running)

	msiexec(t, "/x", after)
	if _, err := os.Stat(program); err == nil {
		t.Errorf("%s is left", program)
	}
	if s := open(t); s != nil {
		s.Close()
		t.Error("the service is left")
	}
	if strings.Contains(systemPath(t), filepath.Dir(program)) {
		t.Errorf("left in the PATH: %s", systemPath(t))
	}
	registered(t, false)
	if got, err := os.ReadFile(configFile); err != nil || string(got) != text {
		t.Errorf("configuration after the removal: %v\n%s", err, got)
	}
	if _, err := os.Stat(filepath.Join(data, "state.db")); err != nil {
		t.Errorf("state after the removal: %v", err)
	}
}

// TestByHand: the program installs and removes its service itself.
func TestByHand(t *testing.T) {
	before, _ := packages(t)
	t.Cleanup(func() { os.RemoveAll(data) })
	// The program alone, as from the .zip.
	dir := t.TempDir()
	if out, err := exec.Command("msiexec", "/a", before, "TARGETDIR="+dir, "/qn").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := ""
	filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		if filepath.Base(path) == name+".exe" {
			found = path
		}
		return nil
	})
	if found == "" {
		t.Fatal("no program in the package")
	}
	installed := program
	program = found
	defer func() { program = installed }()

	status := func(want int, text string) {
		t.Helper()
		cmd := exec.Command(program, "service", "status")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(string(out), text) {
			t.Errorf("status %d, want %d: %s", code, want, out)
		}
	}
	status(4, "not installed")
	if out, err := exec.Command(program, "service", "install").CombinedOutput(); err == nil || open(t) != nil {
		t.Fatalf("installs without a configuration: %s", out)
	}
	if out, err := exec.Command(program, "service", "repair").CombinedOutput(); err == nil || !strings.Contains(string(out), "is not installed") {
		t.Errorf("repairs nothing: %v: %s", err, out)
	}
	configure(t)
	applicationLog(t)
	t.Cleanup(func() { exec.Command(found, "service", "uninstall").Run() })
	run(t, "service", "install")
	entry(t)
	registered(t, true)
	status(3, "stopped")
	run(t, "service", "repair")
	run(t, "service", "start")
	follow(t)
	status(0, "running")
	run(t, "service", "restart")
	follow(t)
	run(t, "service", "stop")
	// The command listener's file goes only in an orderly stop.
	if _, err := os.Stat(filepath.Join(data, "control.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the stop has not reached the forwarder: %v", err)
	}
	status(3, "stopped")
	run(t, "service", "uninstall")
	status(4, "not installed")
	registered(t, false)
}
