package file

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

func TestContract(t *testing.T) {
	whole := func(ind *intel.Indicator) []intel.Ref { return []intel.Ref{{}} }
	for format := range map[string]bool{"indicator": true, "stix": true} {
		t.Run(format, func(t *testing.T) {
			sinktest.Run(t, sinktest.Harness{
				New: func(t testing.TB) sinktest.Destination {
					return &destination{path: filepath.Join(t.TempDir(), "out.ndjson"), format: format}
				},
				Holds: func(ind *intel.Indicator) []intel.Ref {
					if format == "stix" && ind.Raw == nil {
						return nil
					}
					return whole(ind)
				},
				Local:   true,
				Package: "taxii-forwarder/sinks/file",
			})
		})
	}
}

// destination is a file on a disk that can be told to fail.
type destination struct {
	path, format string

	mu     sync.Mutex
	fault  sinktest.Fault
	healed chan struct{}
}

func (d *destination) Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error) {
	s, err := New(Config{Path: d.path, Format: d.format}, o)
	if err != nil {
		return nil, err
	}
	s.timeout = timeout
	s.out.open = func(path string) (handle, error) {
		h, err := openFile(path)
		if err != nil {
			return nil, err
		}
		return &faultyHandle{handle: h, d: d}, nil
	}
	return s, nil
}

func (d *destination) Inject(f sinktest.Fault) bool {
	switch f {
	case sinktest.DiskFull, sinktest.Hang, sinktest.Slow, sinktest.CutAfterAccept, sinktest.RestartKeep, sinktest.RestartLose:
	default:
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.healed = f, make(chan struct{})
	return true
}

func (d *destination) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != "" {
		close(d.healed)
		d.fault = ""
	}
}

func (d *destination) now() (sinktest.Fault, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault, d.healed
}

func (d *destination) Poison(...string) bool { return false }
func (d *destination) Close()                { d.Heal() }

// Contents folds the file's lines, as a reader of the archive would.
func (d *destination) Contents() (sinktest.Contents, error) {
	data, err := os.ReadFile(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fold(data, d.format)
}

// faultyHandle is an open file on a disk with a fault.
type faultyHandle struct {
	handle
	d *destination
}

func (f *faultyHandle) Write(p []byte) (int, error) {
	fault, healed := f.d.now()
	switch fault {
	case sinktest.DiskFull:
		n, _ := f.handle.Write(p[:len(p)/2])
		return n, &os.PathError{Op: "write", Path: f.d.path, Err: syscall.ENOSPC}
	case sinktest.RestartKeep, sinktest.RestartLose:
		// As after a crash: part of the lines is there, and nobody tidied up.
		n, _ := f.handle.Write(p[:len(p)*2/3])
		return n, &os.PathError{Op: "write", Path: f.d.path, Err: syscall.EIO}
	case sinktest.Hang:
		<-healed
	case sinktest.Slow:
		<-time.After(50 * time.Millisecond)
	}
	return f.handle.Write(p)
}

func (f *faultyHandle) Sync() error {
	if fault, _ := f.d.now(); fault == sinktest.CutAfterAccept {
		return &os.PathError{Op: "sync", Path: f.d.path, Err: syscall.EIO}
	}
	return f.handle.Sync()
}

func (f *faultyHandle) Truncate(size int64) error {
	if fault, _ := f.d.now(); fault == sinktest.RestartKeep || fault == sinktest.RestartLose {
		return &os.PathError{Op: "truncate", Path: f.d.path, Err: syscall.EIO}
	}
	return f.handle.Truncate(size)
}
