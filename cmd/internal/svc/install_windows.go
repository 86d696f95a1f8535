package svc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unsafe"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const notManaged = ""

// managed reports whether there is a service manager: always.
func managed() bool { return true }

const whereLogs = "the event log (source " + DefaultName + ")"

func elevated(verb string) error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return fmt.Errorf("only an administrator may %s a service; run this in an elevated command prompt", verb)
	}
	return nil
}

// prepare makes the service run under a virtual account, which has no password
// and no rights of its own.
func prepare(c *service.Config, _ string, i Installation) error {
	if i.User != "" {
		return fmt.Errorf("--user is for Linux; on Windows the service has a virtual account of its own")
	}
	c.UserName = `NT SERVICE\` + DefaultName
	c.Option = service.KeyValue{service.StartType: service.ServiceStartAutomatic}
	return nil
}

// finish sets what kardianos/service can not.
func finish(_ *service.Config, path string, i Installation) error {
	return complete(path, i.Config.State.Dir, i.Out)
}

// Repair gives a service that is installed again what belongs to it beside its
// entry at the service manager, as an installation package can not: access to
// its files, delayed start, recovery actions and the event log source. configPath
// and stateDir are "" where they are not known; the default ones are ours anyway.
func Repair(configPath, stateDir string, out io.Writer) error {
	if err := elevated("repair"); err != nil {
		return err
	}
	err := complete(configPath, stateDir, out)
	if err == nil {
		return nil
	}
	// What a program prints that an MSI runs, nobody sees.
	if l, lerr := eventlog.Open(DefaultName); lerr == nil {
		l.Error(3, eventText(DefaultName, "the service can not be repaired", []any{"error", err}))
		l.Close()
	}
	return err
}

// complete is what both an installation and a repair end with. Without the right
// access lists there is no service; the others it can do without, so their
// failure is only told.
func complete(configPath, stateDir string, out io.Writer) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(DefaultName)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return fmt.Errorf("service %q is not installed; 'taxii-forwarder service install' installs it", DefaultName)
	}
	if err != nil {
		return fmt.Errorf("open service %q: %w", DefaultName, err)
	}
	defer s.Close()
	if err := allow(configPath, stateDir, out); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(*mgr.Service) error
	}{
		{"recovery actions", recoveryActions},
		{"recovery after a stop with an error", func(s *mgr.Service) error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
		{"delayed start", delayStart},
		{"event log source", func(*mgr.Service) error { return eventSource() }},
	} {
		if err := step.do(s); err != nil {
			fmt.Fprintf(out, "warning: %s could not be set: %v\n", step.what, err)
		}
	}
	return nil
}

// awaitStart waits until the service runs: Windows is content once the process
// does. A start that takes its time, as the upgrade of a large state, is none that
// failed.
func awaitStart() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(DefaultName)
	if err != nil {
		return err
	}
	defer s.Close()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		switch st, err := s.Query(); {
		case err != nil:
			return err
		case st.State == svc.Stopped && st.ServiceSpecificExitCode != 0:
			return fmt.Errorf("it ended at once with code %d", st.ServiceSpecificExitCode)
		case st.State == svc.Stopped:
			return fmt.Errorf("it ended at once with Windows error %d", st.Win32ExitCode)
		case st.State == svc.Running:
			return nil
		}
	}
	return nil
}

// recoveryActions has the service started again after a failure.
func recoveryActions(s *mgr.Service) error {
	return s.SetRecoveryActions([]mgr.RecoveryAction{
		{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 2 * time.Minute},
	}, uint32((24 * time.Hour).Seconds()))
}

// delayStart lets the machine and its network come up first. mgr.UpdateConfig
// would write the whole configuration, what an administrator changed included.
func delayStart(s *mgr.Service) error {
	info := windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}
	return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&info)))
}

// eventSource registers the program as a source of the Application log.
func eventSource() error {
	err := eventlog.InstallAsEventCreate(DefaultName, eventlog.Error|eventlog.Warning|eventlog.Info)
	if err != nil && strings.Contains(err.Error(), "exists") { // no error value for it
		return nil
	}
	return err
}
