//go:build unix

package file

import (
	"errors"
	"os"
	"syscall"
)

// diskFile is an open file.
type diskFile struct{ *os.File }

// openNonblock makes opening a pipe without a reader fail instead of wait.
const openNonblock = syscall.O_NONBLOCK

// isFull reports whether err says that a disk or a quota is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// isReadOnly reports whether err says that the file system can not be written.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// isNoReader reports whether err says that nobody reads a pipe.
func isNoReader(err error) bool { return errors.Is(err, syscall.ENXIO) }

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil // a directory that may be written but not read; the name follows in time
		}
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err // EINVAL: a file system that has no such thing
	}
	return nil
}
