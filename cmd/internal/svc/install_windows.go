package svc

import (
	"fmt"
	"os"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

const whereLogs = "the event log (source " + DefaultName + ")"

func elevated(verb string) error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return fmt.Errorf("only an administrator may %s a service; run this in an elevated command prompt", verb)
	}
	return nil
}

// prepare makes the service run delayed, under a virtual account that has no
// password and no rights of its own.
func prepare(c *service.Config, _ string, _ Installation) error {
	c.UserName = `NT SERVICE\` + DefaultName
	c.Option = service.KeyValue{service.StartType: service.ServiceStartAutomatic, "DelayedAutoStart": true}
	return nil
}

// finish sets what kardianos/service can not: recovery actions that also follow
// an orderly stop with an error, and access to the data directory.
func finish(_ *service.Config, i Installation) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(DefaultName)
	if err != nil {
		return fmt.Errorf("open service %q: %w", DefaultName, err)
	}
	defer s.Close()
	actions := []mgr.RecoveryAction{
		{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 2 * time.Minute},
	}
	if err := s.SetRecoveryActions(actions, 86400); err != nil {
		return fmt.Errorf("set recovery actions: %w", err)
	}
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return fmt.Errorf("set recovery actions: %w", err)
	}
	if err := protect(i.Config.State.Dir); err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "%s: accessible to administrators, SYSTEM and the service only\n", i.Config.State.Dir)
	return nil
}

// protect makes dir and gives it an access list that is not inherited:
// administrators, SYSTEM and the service's virtual account.
func protect(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	sid, _, _, err := windows.LookupSID("", `NT SERVICE\`+DefaultName)
	if err != nil {
		return fmt.Errorf("look up the service's account: %w", err)
	}
	sddl := fmt.Sprintf("D:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;%s)", sid)
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return fmt.Errorf("access list for %s: %w", dir, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("access list for %s: %w", dir, err)
	}
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil); err != nil {
		return fmt.Errorf("protect %s: %w", dir, err)
	}
	return nil
}
