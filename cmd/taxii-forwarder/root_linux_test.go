package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestRoot: run refuses to be root, unless told, and no one else. What it says of
// the configuration shows that it got past that.
func TestRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be refused as root")
	}
	const refused, past = "this is no program to run as root", "the configuration file does not exist"
	call(t, "run", "--config", "/nowhere.hcl").one(t, exitError, "^taxii-forwarder run: "+refused+`.*service install.*--allow-root`)
	call(t, "run", "--allow-root", "--config", "/nowhere.hcl").one(t, exitError, past)
	// What does not run for long may be called by root.
	call(t, "check", "--config", "/nowhere.hcl").one(t, exitError, past)

	cmd := exec.Command("/proc/self/exe", "run", "--config", "/nowhere.hcl")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), refused) || !strings.Contains(string(out), past) {
		t.Errorf("as nobody: %v: %s", err, out)
	}
}
