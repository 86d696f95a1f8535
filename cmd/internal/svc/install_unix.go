//go:build !windows

package svc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"

	"github.com/kardianos/service"
)

const notManaged = "systemd does not run on this machine, as in most containers; 'taxii-forwarder status' asks the forwarder itself"

// managed reports whether systemd runs here (sd_booted(3)).
func managed() bool {
	if runtime.GOOS != "linux" {
		return true
	}
	info, err := os.Lstat(systemdRuns)
	return err == nil && info.IsDir()
}

// systemdRuns is there while systemd is in charge.
var systemdRuns = "/run/systemd/system"

const whereLogs = "'journalctl -u " + DefaultName + "'"

// account is the system user that the service runs as.
const account = DefaultName

func elevated(verb string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root may %s a service; try: sudo taxii-forwarder service %s", verb, verb)
	}
	return nil
}

// prepare makes the account, lets it read the configuration and writes the
// unit.
func prepare(c *service.Config, path string, i Installation) error {
	name := i.User
	if name == "" {
		name = account
		if err := ensureAccount(i); err != nil {
			return err
		}
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("the account to run as: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o004 == 0 {
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("let the service's account read %s: %w", path, err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o040); err != nil {
			return fmt.Errorf("let the service's account read %s: %w", path, err)
		}
		fmt.Fprintf(i.Out, "%s: readable for group %s\n", path, groupName(u))
	}
	if u.Uid == "0" {
		name = "root" // by whichever name
	}
	text, err := unit(unitParts{Executable: c.Executable, ConfigPath: path, StateDir: i.Config.State.Dir, User: name})
	if err != nil {
		return err
	}
	c.Option = service.KeyValue{"SystemdScript": text}
	return nil
}

func groupName(u *user.User) string {
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		return g.Name
	}
	return u.Gid
}

func ensureAccount(i Installation) error {
	_, err := user.Lookup(account)
	var unknown user.UnknownUserError
	if err == nil {
		return nil
	}
	if !errors.As(err, &unknown) {
		return err
	}
	out, err := exec.Command("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", account).CombinedOutput()
	if err != nil {
		return fmt.Errorf("create system user %s: %w: %s", account, err, out)
	}
	fmt.Fprintf(i.Out, "created system user %s\n", account)
	return nil
}

func finish(*service.Config, string, Installation) error { return nil }

// awaitStart does nothing: systemctl waits for READY=1.
func awaitStart() error { return nil }
