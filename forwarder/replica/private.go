package replica

import (
	"os"
	"runtime"
)

// keepPrivate takes the database away from all but its owner, as a backup that
// was put back may be open to more, and warns of a directory that others may
// enter. The directory itself is left as it is: it may be shared on purpose.
func (s *Store) keepPrivate() {
	if runtime.GOOS == "windows" {
		return // has no mode bits; access lists are the installation's business
	}
	for _, ext := range []string{"", "-wal", "-shm"} {
		fi, err := os.Stat(s.path + ext)
		if err != nil || fi.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(s.path+ext, 0o600); err != nil {
			s.log.Warn("the state database is open to other users of this machine and can not be closed to them", "path", s.path+ext, "error", err)
			continue
		}
		s.log.Warn("the state database was open to other users of this machine; it is closed to them now", "path", s.path+ext)
	}
	fi, err := os.Stat(s.dir)
	switch {
	case err != nil:
	case fi.Mode().Perm()&0o022 != 0 && fi.Mode()&os.ModeSticky == 0:
		s.log.Warn("other users of this machine can replace the files in the state directory; make it private with chmod 0700", "dir", s.dir, "mode", fi.Mode().Perm().String())
	case fi.Mode().Perm()&0o077 != 0:
		s.log.Warn("the state directory is open to other users of this machine; make it private with chmod 0700", "dir", s.dir, "mode", fi.Mode().Perm().String())
	}
}
