package svc

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnit(t *testing.T) {
	text, err := unit(unitParts{Executable: "/opt/my tools/taxii-forwarder", ConfigPath: "/etc/50% off/$x.hcl", StateDir: "/var/lib/taxii-forwarder", User: "taxii-forwarder"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ExecStart="/opt/my tools/taxii-forwarder" run --config "/etc/50%% off/$$x.hcl"`,
		"StateDirectory=taxii-forwarder\n", "Type=notify\n", `ExecReload="/opt/my tools/taxii-forwarder" reload --config "/etc/50%% off/$$x.hcl"`, "User=taxii-forwarder\n",
		"WatchdogSec=120\n", "Restart=on-failure\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("unit lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "--allow-root") {
		t.Error("an account of its own needs no --allow-root")
	}
	if strings.Contains(text, "ReadWritePaths") {
		t.Error("the default state directory needs no ReadWritePaths")
	}
}

func TestUnitElsewhere(t *testing.T) {
	text, err := unit(unitParts{Executable: "/usr/bin/taxii-forwarder", ConfigPath: "/etc/c.hcl", StateDir: "/srv/forwarder state", User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, `ReadWritePaths="/srv/forwarder state"`) || strings.Contains(text, "StateDirectory=") {
		t.Errorf("state directory elsewhere:\n%s", text)
	}
	text, err = unit(unitParts{Executable: "/usr/bin/taxii-forwarder", ConfigPath: "/etc/c.hcl", StateDir: defaultStateDir, User: "root"})
	if err != nil || !strings.Contains(text, `run --config "/etc/c.hcl" --allow-root`+"\n") {
		t.Errorf("as root: %v\n%s", err, text)
	}
	for _, bad := range []string{"/a\nb", `/a"b`, "/a{{b}}"} {
		if _, err := unit(unitParts{Executable: bad}); err == nil {
			t.Errorf("path %q was accepted", bad)
		}
	}
}

// systemd-analyze says on its output what it does not like, whatever its exit
// status.
func TestUnitIsWhatSystemdTakes(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := unit(unitParts{Executable: exe, ConfigPath: "/etc/taxii-forwarder/config.hcl", StateDir: defaultStateDir, User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "taxii-forwarder.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "taxii-forwarder.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
