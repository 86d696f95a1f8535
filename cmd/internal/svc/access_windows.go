package svc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"

	"taxii-forwarder/forwarder/config"
)

// What the service may do, as access masks: "modify" and "read and execute" of
// the Explorer.
const (
	mayModify = 0x1301bf
	mayRead   = 0x1200a9
)

// allow gives the service what it needs: configuration and secrets to read, the
// state directory to write. The directory that is ours alone is closed to
// everybody else, as is a state directory that it makes; where there is one
// already, the service is let in and nobody out.
func allow(configPath, stateDir string, out io.Writer) error {
	own := config.DefaultStateDir()
	private := []string{own}
	if stateDir != "" && !within(own, stateDir) {
		switch _, err := os.Lstat(stateDir); {
		case errors.Is(err, fs.ErrNotExist):
			private = append(private, stateDir)
		case err != nil:
			return fmt.Errorf("state directory: %w", err)
		default:
			if err := grant(stateDir, mayModify, windows.SUB_CONTAINERS_AND_OBJECTS_INHERIT); err != nil {
				return err
			}
			fmt.Fprintf(out, "%s: the service may write there; others may do what they could before\n", stateDir)
		}
	}
	for _, dir := range private {
		if err := protect(dir); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: accessible to administrators, SYSTEM and the service only\n", dir)
	}
	if configPath == "" || within(own, configPath) || within(stateDir, configPath) {
		return nil
	}
	if err := grant(configPath, mayRead, windows.NO_INHERITANCE); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: readable for the service\n", configPath)
	return nil
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	if dir == "" {
		return false
	}
	// Windows does not tell cases apart.
	rel, err := filepath.Rel(strings.ToLower(dir), strings.ToLower(path))
	return err == nil && filepath.IsLocal(rel)
}

// protect makes dir and gives it an access list that is not inherited:
// administrators, SYSTEM and the service's virtual account. Administrators become
// its owner: anybody may make a directory in %ProgramData%, and whoever owns one
// can open it again.
func protect(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	switch info, err := os.Lstat(dir); {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a link or a mount point, whose target would be closed to others: name the directory itself, or remove the link", dir)
	}
	sd, err := windows.SecurityDescriptorFromString(fmt.Sprintf("O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;%#x;;;%s)", mayModify, serviceSID(DefaultName)))
	if err != nil {
		return fmt.Errorf("access list for %s: %w", dir, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fmt.Errorf("access list for %s: %w", dir, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("access list for %s: %w", dir, err)
	}
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, owner, nil, dacl, nil); err != nil {
		return fmt.Errorf("protect %s: %w", dir, err)
	}
	return nil
}

// grant adds the service to the access list of a file or directory, and of what
// is below it if that inherits.
func grant(path string, mask windows.ACCESS_MASK, inheritance uint32) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("access list of %s: %w", path, err)
	}
	old, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("access list of %s: %w", path, err)
	}
	sid, err := windows.StringToSid(serviceSID(DefaultName))
	if err != nil {
		return err
	}
	dacl, err := windows.ACLFromEntries([]windows.EXPLICIT_ACCESS{{
		AccessPermissions: mask, AccessMode: windows.GRANT_ACCESS, Inheritance: inheritance,
		Trustee: windows.TRUSTEE{TrusteeForm: windows.TRUSTEE_IS_SID, TrusteeType: windows.TRUSTEE_IS_USER, TrusteeValue: windows.TrusteeValueFromSID(sid)},
	}}, old)
	if err != nil {
		return fmt.Errorf("access list for %s: %w", path, err)
	}
	if err := windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION, nil, nil, dacl, nil); err != nil {
		return fmt.Errorf("let the service use %s: %w", path, err)
	}
	return nil
}
