// Package file is the sink that appends NDJSON to a file or to standard
// output: an archive, a hand-over to another agent, or a look at what the other
// sinks would send.
//
// # What is promised
//
// Deliver returns only once the lines are on the disk (fsync), so that a crash
// loses nothing that the forwarder counts as delivered. What a crash or a full
// disk left of an unfinished line is cut off again, so that the file never holds
// half a line before a whole one. A change may be written twice after a
// failure; its lines then are the same but for the time of writing.
//
// The file is opened at the first delivery, not by [New]: a directory that is
// missing is a failure of the destination, which is tried again, and never
// keeps the forwarder from starting. A file that was moved away by a tool such
// as logrotate is made anew.
package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
)

// Sink appends changes to one file. It implements [intel.Sink],
// [intel.Limiter] and [intel.Previewer].
type Sink struct {
	format  encoder
	out     *output
	timeout time.Duration
	// turn holds a token while nobody uses out. A write that does not end keeps
	// it, however long Deliver's caller waits.
	turn chan struct{}
}

var (
	_ intel.Sink      = (*Sink)(nil)
	_ intel.Limiter   = (*Sink)(nil)
	_ intel.Previewer = (*Sink)(nil)
)

const (
	// writeTimeout is how long a batch may take to reach the disk: a network
	// file system can hang, and a pipe may have no reader.
	writeTimeout = 30 * time.Second
	batchLimit   = 2000
)

// New returns a sink for c. It opens nothing yet.
func New(c Config, o intel.SinkOptions) (*Sink, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("open sink file %q: %s", o.Name, problems[0].Message)
	}
	if c.Format == "" {
		c.Format = "indicator"
	}
	logger := o.Logger
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	out := &output{path: c.Path, logger: logger, open: openFile}
	if c.Path != standardOutput {
		// A later change of directory must not move the file.
		path, err := filepath.Abs(c.Path)
		if err != nil {
			return nil, fmt.Errorf("open sink file %q: path %q: %w", o.Name, c.Path, err)
		}
		out.path = path
	}
	if c.Rotate != nil {
		out.maxBytes, out.keep = c.Rotate.MaxBytes, c.Rotate.Keep
		if out.keep == 0 {
			out.keep = defaultKeep
		}
	}
	s := &Sink{format: formats[c.Format](), out: out, timeout: writeTimeout, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s, nil
}

// BatchLimit asks for one batch at a time, so that the lines are in the order
// of the changes.
func (s *Sink) BatchLimit() (changes, inFlight int) { return batchLimit, 1 }

// Deliver appends the batch's lines and returns when they are on the disk. The
// error is an [intel.Failure] of kind [intel.FailLocal], or
// [intel.FailTimeout] when the write did not end.
func (s *Sink) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	outcomes := make([]intel.Outcome, len(batch))
	var lines []byte
	for i := range batch {
		if i == 1 {
			// The first line tells about how long the others are.
			lines = append(make([]byte, 0, (len(lines)+len(lines)/4)*len(batch)), lines...)
		}
		lines, outcomes[i] = s.format.Append(lines, &batch[i])
	}
	if len(lines) == 0 {
		return outcomes, nil
	}
	if err := s.do(ctx, func() error { return s.out.write(lines) }); err != nil {
		for i := range outcomes {
			if outcomes[i].Status == intel.Delivered {
				outcomes[i] = intel.Outcome{}
			}
		}
		return outcomes, err
	}
	return outcomes, nil
}

// do runs f with the output to itself. When f does not end in time, or ctx
// ends, do returns without it and f's goroutine gives the turn back when it
// gets there.
func (s *Sink) do(ctx context.Context, f func() error) error {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	late := func() error {
		return intel.Fail(intel.FailTimeout, "write %s: not finished after %v", s.out.name(), s.timeout).
			WithHint("the file system hangs or the pipe has no reader")
	}
	canceled := func() error {
		return &intel.Failure{Kind: intel.FailTimeout, Err: fmt.Errorf("write %s: %w", s.out.name(), context.Cause(ctx))}
	}
	if ctx.Err() != nil {
		return canceled()
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return canceled()
	case <-timer.C:
		return late()
	}
	done := make(chan error, 1)
	go func() {
		err := f()
		s.turn <- struct{}{}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return canceled()
	case <-timer.C:
		return late()
	}
}

// Check proves that the file could be written, and leaves neither a new file
// nor a changed one.
func (s *Sink) Check(ctx context.Context) error {
	return s.do(ctx, s.out.check)
}

// Preview appends the lines that Deliver would write for c.
func (s *Sink) Preview(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	return s.format.Append(dst, c)
}

// Close closes the file. Standard output stays open. A write that still hangs
// is left to end with the process.
func (s *Sink) Close() error {
	timer := time.NewTimer(min(s.timeout, 5*time.Second))
	defer timer.Stop()
	select {
	case <-s.turn:
		return s.out.close()
	case <-timer.C:
		return intel.Fail(intel.FailTimeout, "close %s: a write is still under way", s.out.name())
	}
}

// local makes a Failure of an error of the file system, with a hint for the
// usual causes.
func local(operation, path string, err error) *intel.Failure {
	f := intel.Fail(intel.FailLocal, "%s %s: %w", operation, path, reason(err))
	switch {
	case isFull(err):
		return f.WithHint("free space on that disk; delivery goes on by itself")
	case isReadOnly(err):
		return f.WithHint("the file system is read-only for the service; under systemd add its directory to ReadWritePaths")
	case errors.Is(err, os.ErrPermission):
		return f.WithHint("give the user that runs the forwarder write permission")
	case isNoReader(err):
		return f.WithHint("the pipe has no reader; start it")
	case errors.Is(err, os.ErrNotExist):
		return f.WithHint("create the directory %s", filepath.Dir(path))
	}
	return f
}

// reason strips the operation and path that an os error repeats.
func reason(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
