package file

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// diskFile is an open file.
type diskFile struct{ *os.File }

// Truncate goes by name: a handle opened for appending may not change the size.
func (f diskFile) Truncate(size int64) error { return os.Truncate(f.Name(), size) }

const openNonblock = 0

// isFull reports whether err says that a disk or a quota is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// isReadOnly reports whether err says that the file system can not be written.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// isNoReader reports whether err says that nobody reads a pipe.
func isNoReader(_ error) bool { return false }

// syncDir does nothing: NTFS journals names by itself.
func syncDir(string) error { return nil }
