package svc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kardianos/service"

	"taxii-forwarder/forwarder/config"
)

// Status codes of 'service status', as of the LSB's init scripts.
const (
	StatusRunning      = 0
	StatusFailed       = 1
	StatusStopped      = 3
	StatusNotInstalled = 4
	StatusUnknown      = 4
)

// Installation is what Install sets up.
type Installation struct {
	ConfigPath string
	Config     *config.Config // valid
	// User is the account to run as (Linux); "" = one of the service's own, which
	// is made if need be.
	User string
	Out  io.Writer // told what was done
}

// control returns the service as the manager knows it.
func control(arguments ...string) (service.Service, *service.Config, error) {
	c := &service.Config{Name: DefaultName, DisplayName: "TAXII Forwarder", Description: description, Arguments: arguments}
	s, err := service.New(&program{}, c)
	if err != nil {
		return nil, nil, fmt.Errorf("no service manager found on this machine (%w); 'taxii-forwarder run' works in the foreground", err)
	}
	return s, c, nil
}

// Install registers the service, so that it starts with the machine. It does
// not start it.
func Install(i Installation) error {
	if err := elevated("install"); err != nil {
		return err
	}
	if err := packaged(); err != nil {
		return err
	}
	path, err := filepath.Abs(i.ConfigPath)
	if err != nil {
		return err
	}
	_, c, err := control("run", "--config", path)
	if err != nil {
		return err
	}
	if c.Executable, err = executable(); err != nil {
		return err
	}
	if err := prepare(c, path, i); err != nil {
		return err
	}
	s, err := service.New(&program{}, c)
	if err != nil {
		return err
	}
	if st, err := s.Status(); err == nil || !errors.Is(err, service.ErrNotInstalled) {
		return fmt.Errorf("service %q is installed already (%s); 'taxii-forwarder service uninstall' removes it", DefaultName, statusWord(st))
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("install service %q: %w", DefaultName, err)
	}
	if err := finish(c, path, i); err != nil {
		// Half an installation is worse than none.
		return errors.Join(err, s.Uninstall())
	}
	fmt.Fprintf(i.Out, "service %q is installed; it runs %s with %s\nstart it with: taxii-forwarder service start\n", DefaultName, c.Executable, path)
	return nil
}

// executable returns the path of this program with links resolved, so that the
// service survives a link that is moved.
func executable() (string, error) {
	p, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(p)
}

// Uninstall stops the service and removes it; configuration and state stay.
func Uninstall(out io.Writer) error {
	if err := elevated("uninstall"); err != nil {
		return err
	}
	if err := packaged(); err != nil {
		return err
	}
	s, _, err := control()
	if err != nil {
		return err
	}
	st, err := s.Status()
	if errors.Is(err, service.ErrNotInstalled) {
		return fmt.Errorf("service %q is not installed", DefaultName)
	}
	if st == service.StatusRunning {
		if err := s.Stop(); err != nil {
			return fmt.Errorf("stop service %q: %w", DefaultName, err)
		}
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("uninstall service %q: %w", DefaultName, err)
	}
	fmt.Fprintf(out, "service %q is removed; its configuration and state are untouched\n", DefaultName)
	return nil
}

// Control starts, stops or restarts the service.
func Control(verb string, out io.Writer) error {
	if err := elevated(verb); err != nil {
		return err
	}
	s, _, err := control()
	if err != nil {
		return err
	}
	st, err := s.Status()
	if errors.Is(err, service.ErrNotInstalled) {
		return fmt.Errorf("service %q is not installed; 'taxii-forwarder service install' installs it", DefaultName)
	}
	switch verb {
	case "start":
		if st == service.StatusRunning {
			fmt.Fprintf(out, "service %q is running already\n", DefaultName)
			return nil
		}
		err = s.Start()
	case "stop":
		if st == service.StatusStopped {
			fmt.Fprintf(out, "service %q is stopped already\n", DefaultName)
			return nil
		}
		err = s.Stop()
	case "restart":
		err = s.Restart()
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
	if err == nil && verb != "stop" {
		err = awaitStart()
	}
	if err != nil {
		return fmt.Errorf("%s service %q: %w; %s says why", verb, DefaultName, err, whereLogs)
	}
	fmt.Fprintf(out, "service %q: %s done\n", DefaultName, verb)
	return nil
}

// State returns the service's status code and words for it.
func State() (int, string, error) {
	s, _, err := control()
	switch {
	case err != nil:
		return StatusUnknown, "unknown: " + err.Error(), nil
	case !managed():
		return StatusUnknown, "unknown: " + notManaged, nil
	}
	st, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return StatusNotInstalled, "not installed", nil
	case err != nil:
		return StatusFailed, "failed: " + whereLogs + " says why", nil
	case st == service.StatusRunning:
		return StatusRunning, "running", nil
	}
	return StatusStopped, statusWord(st), nil
}

func statusWord(s service.Status) string {
	switch s {
	case service.StatusRunning:
		return "running"
	case service.StatusStopped:
		return "stopped"
	}
	return "state unknown"
}
