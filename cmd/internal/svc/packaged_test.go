package svc

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the packaged unit")

// packagedUnit is what the packages for Linux install.
const packagedUnit = "../../../packaging/linux/taxii-forwarder.service"

// TestPackagedUnit: the packages run the service exactly as 'service install'
// does.
func TestPackagedUnit(t *testing.T) {
	want, err := unit(unitParts{Executable: "/usr/bin/taxii-forwarder", ConfigPath: "/etc/taxii-forwarder/config.hcl", StateDir: defaultStateDir, User: DefaultName})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(packagedUnit, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(packagedUnit)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not the unit that 'service install' writes; -update rewrites it", packagedUnit)
	}
}
