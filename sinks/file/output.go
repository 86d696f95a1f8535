package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
)

// handle is what output needs of an open file.
type handle interface {
	io.ReaderAt
	io.Writer
	Stat() (os.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// fileMode lets the group read what may be shared with a SIEM's agent, and
// nobody else.
const fileMode = 0o640

// openFile opens path for appending, creating it. A pipe is opened for writing
// only and without waiting: having no reader is then an error.
func openFile(path string) (handle, error) {
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		flags = os.O_WRONLY | os.O_APPEND | openNonblock
	}
	f, err := os.OpenFile(path, flags, fileMode)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// output is the file: opened when needed, repaired when found broken, rotated
// when large. It is used by one goroutine at a time.
type output struct {
	path     string
	maxBytes int64 // 0 = no rotation
	keep     int
	logger   hclog.Logger
	open     func(path string) (handle, error)

	file    handle // nil while closed
	regular bool   // not a pipe or device: has a size, can be synced and truncated
	stuck   bool   // the last rotation failed and was reported
}

// name is what errors call the output.
func (o *output) name() string {
	if o.path == standardOutput {
		return "standard output"
	}
	return o.path
}

// write appends lines, which end in a newline, and returns when they are on the
// disk; or the file is as it was.
func (o *output) write(lines []byte) error {
	if o.path == standardOutput {
		if _, err := os.Stdout.Write(lines); err != nil {
			return local("write", o.name(), err)
		}
		return nil
	}
	if err := o.ready(); err != nil {
		return err
	}
	var before int64
	if o.regular {
		info, err := o.file.Stat()
		if err != nil {
			return o.fail("write", err)
		}
		before = info.Size()
	}
	if n, err := o.file.Write(lines); err != nil {
		o.undo(before, int64(n))
		return o.fail("write", err)
	}
	if !o.regular {
		return nil
	}
	if err := o.file.Sync(); err != nil {
		// After a failed fsync the kernel may have dropped the pages: nothing is
		// known of what was written, and a later fsync would not tell.
		o.undo(before, int64(len(lines)))
		return o.fail("sync", err)
	}
	return nil
}

// undo cuts off the n bytes that a failed write left behind the size before,
// unless somebody else has written meanwhile; the repair at the next opening
// then sees to it.
func (o *output) undo(before, n int64) {
	if !o.regular || n == 0 {
		return
	}
	if info, err := o.file.Stat(); err == nil && info.Size() == before+n {
		if err := o.file.Truncate(before); err != nil {
			o.logger.Warn("could not cut off an unfinished write", "path", o.path, "error", err)
		}
	}
}

// fail closes the file, so that the next write opens and repairs it, and
// returns err as a Failure.
func (o *output) fail(operation string, err error) error {
	o.file.Close()
	o.file = nil
	return local(operation, o.path, err)
}

// ready sees to it that file is open, is what path names, ends in a whole line
// and is not due for rotation.
func (o *output) ready() error {
	if o.file != nil && o.regular {
		mine, err := o.file.Stat()
		if err != nil {
			return o.fail("stat", err)
		}
		named, err := os.Stat(o.path)
		moved := errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(mine, named)
		full := o.maxBytes > 0 && mine.Size() >= o.maxBytes
		if moved || full {
			o.file.Close()
			o.file = nil
		}
	}
	if o.file != nil {
		return nil
	}
	if o.maxBytes > 0 {
		if info, err := os.Stat(o.path); err == nil && info.Mode().IsRegular() && info.Size() >= o.maxBytes {
			o.rotate()
		}
	}
	file, err := o.open(o.path)
	if err != nil {
		return local("open", o.path, err)
	}
	o.file = file
	info, err := file.Stat()
	if err != nil {
		return o.fail("open", err)
	}
	o.regular = info.Mode().IsRegular()
	if !o.regular {
		return nil
	}
	if info.Size() == 0 {
		if err := syncDir(filepath.Dir(o.path)); err != nil {
			return o.fail("open", err)
		}
		return nil
	}
	return o.repair(info.Size())
}

// rotate renames PATH.1 to PATH.2 and so on, then PATH to PATH.1. A crash
// between two renames leaves a gap in the numbers and loses nothing. When a
// rename fails, because a reader on Windows has the file open, say, the file
// grows on until one succeeds.
func (o *output) rotate() {
	for i := o.keep; i > 0; i-- {
		from := o.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", o.path, i-1)
		}
		err := os.Rename(from, fmt.Sprintf("%s.%d", o.path, i))
		if err == nil || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if !o.stuck {
			o.logger.Warn("could not rotate; the file grows on", "path", o.path, "error", err)
			o.stuck = true
		}
		return
	}
	o.stuck = false
}

// maxTail bounds how much repair takes for an unfinished line; a longer one is
// no leftover of ours.
const maxTail = 64 << 20

// repair cuts the file after its last newline, where a crash left part of a
// line. It refuses a file that can not be ours.
func (o *output) repair(size int64) error {
	end, buf := size, make([]byte, min(size, 64<<10))
	for end > 0 && size-end <= maxTail {
		part := buf[:min(end, int64(len(buf)))]
		if _, err := o.file.ReadAt(part, end-int64(len(part))); err != nil {
			return o.fail("repair", err)
		}
		i := bytes.LastIndexByte(part, '\n')
		end -= int64(len(part) - 1 - i)
		if i >= 0 {
			break
		}
	}
	if end == size {
		return nil
	}
	first := buf[:1]
	if _, err := o.file.ReadAt(first, end); err != nil {
		return o.fail("repair", err)
	}
	// A crash leaves the beginning of an object, or zeros that the file system
	// put where data never arrived.
	if size-end > maxTail || first[0] != '{' && first[0] != 0 {
		o.file.Close()
		o.file = nil
		return intel.Fail(intel.FailConfig, "open %s: the file does not end in a line of NDJSON", o.path).
			WithHint("it is some other file; name another path or move it away")
	}
	if err := o.file.Truncate(end); err != nil {
		return o.fail("repair", err)
	}
	if err := o.file.Sync(); err != nil {
		return o.fail("repair", err)
	}
	o.logger.Warn("cut off an unfinished last line", "path", o.path, "bytes", size-end)
	return nil
}

// check proves that the file could be written, without changing anything.
func (o *output) check() error {
	if o.path == standardOutput || o.file != nil {
		return nil
	}
	info, err := os.Stat(o.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		// Only creating a file proves that one can be created.
		probe, err := os.CreateTemp(filepath.Dir(o.path), ".taxii-forwarder-check-*")
		if err != nil {
			return local("check", o.path, err)
		}
		probe.Close()
		if err := os.Remove(probe.Name()); err != nil {
			return local("check", o.path, err)
		}
		return nil
	case err != nil:
		return local("check", o.path, err)
	case info.IsDir():
		return intel.Fail(intel.FailConfig, "check %s: it is a directory", o.path).WithHint("name a file in it")
	case !info.Mode().IsRegular():
		return nil // opening a pipe would wait for its reader
	}
	f, err := os.OpenFile(o.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return local("check", o.path, err)
	}
	return f.Close()
}

func (o *output) close() error {
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	if err != nil {
		return local("close", o.path, err)
	}
	return nil
}
