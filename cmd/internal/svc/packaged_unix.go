//go:build !windows

package svc

import (
	"fmt"
	"os"
	"path/filepath"
)

// Where units are: the administrator's, which Install writes, and those of
// packages (systemd.unit(5), "System Unit Search Path"); /lib is the latter's
// older name.
var (
	ownUnits      = "/etc/systemd/system"
	packagedUnits = []string{"/usr/lib/systemd/system", "/lib/systemd/system"}
)

// packaged returns an error when the service is a package's: a unit of our own
// would hide the package's, upgrades included, and the package's is not ours to
// remove.
func packaged() error {
	unit := DefaultName + ".service"
	if _, err := os.Stat(filepath.Join(ownUnits, unit)); err == nil {
		return nil
	}
	for _, dir := range packagedUnits {
		path := filepath.Join(dir, unit)
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("service %q comes with a package (%s), which installs and removes it; 'systemctl enable --now %s' starts it with the machine, 'systemctl disable --now %s' ends that", DefaultName, path, DefaultName, DefaultName)
		}
	}
	return nil
}
