package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"taxii-forwarder/forwarder/intel"
)

var (
	// ErrReadOnly is the error of every writing method of a store that was opened
	// read-only.
	ErrReadOnly = errors.New("the state is open for reading only")
	// ErrWalkOver is the error of [Store.Apply] and [Store.Sweep] for a resync that
	// a newer one has replaced or that was swept already.
	ErrWalkOver = errors.New("the resync is over")
	// ErrRouteMoved is the error of [Store.Settle] when the route's cursor was set
	// back ([Store.Replay], changed fingerprint) since [Store.OpenRoute] returned
	// it. What was settled is recorded, the cursor stays where it is: open the
	// route again and go on from there.
	ErrRouteMoved = errors.New("the route was set back meanwhile")
	// ErrNoSuchRoute is the error for a route that is not (or no longer) in the
	// state.
	ErrNoSuchRoute = errors.New("no such route in the state")
	// ErrNoSuchDeadLetter is the error of [Store.DeadLetter] for an unknown id.
	ErrNoSuchDeadLetter = errors.New("no such dead letter")
)

// A LockedError says that another process has the state directory open for
// writing.
type LockedError struct {
	Dir string
	PID int // 0 = not known
}

func (e *LockedError) Error() string {
	who := "another instance"
	if e.PID > 0 {
		who = fmt.Sprintf("another instance (pid %d)", e.PID)
	}
	return fmt.Sprintf("state directory %s is in use by %s: stop it, or give this one a state directory of its own", e.Dir, who)
}

// A CorruptError says that the database could not be trusted any more and was
// moved out of the way.
type CorruptError struct {
	Path     string // of the database
	SetAside string // where it is now; "" when it could not be moved
	Err      error  // what is wrong with it
}

func (e *CorruptError) Error() string {
	if e.SetAside == "" {
		return fmt.Sprintf("state database %s is damaged: %v; move it away or restore a backup", e.Path, e.Err)
	}
	return fmt.Sprintf("state database %s is damaged: %v; it was set aside as %s: restore a backup as %s, or, to begin with an empty replica that fetches and sends everything anew, move %s out of that directory",
		e.Path, e.Err, e.SetAside, e.Path, filepath.Base(e.SetAside))
}

func (e *CorruptError) Unwrap() error { return e.Err }

// A SchemaError says that the database was written by a newer program, or is
// open for reading only and needs a migration first.
type SchemaError struct {
	Path        string
	Found, Know int    // schema versions
	Program     string // that wrote it; "" = not known
}

func (e *SchemaError) Error() string {
	if e.Found > e.Know {
		by := ""
		if e.Program != "" {
			by = ", written by taxii-forwarder " + e.Program
		}
		return fmt.Sprintf("state database %s has schema version %d%s, this program knows up to %d: use the newer program, or restore a backup made before the upgrade (%s%s, if it is still there)",
			e.Path, e.Found, by, e.Know, filepath.Base(e.Path), beforeUpgrade)
	}
	return fmt.Sprintf("state database %s has schema version %d, this program reads version %d: start the service once to upgrade it", e.Path, e.Found, e.Know)
}

// IsLocal reports whether err comes from this machine's own disk: full, failing,
// not permitted, locked or damaged. Such an error is a *[intel.Failure] of kind
// [intel.FailLocal]; the operation left no trace and can be repeated.
func IsLocal(err error) bool {
	var f *intel.Failure
	return errors.As(err, &f) && f.Kind == intel.FailLocal
}

// SQLite's primary result codes (https://sqlite.org/rescode.html).
const (
	codePerm     = 3
	codeBusy     = 5
	codeLocked   = 6
	codeNoMem    = 7
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeProtocol = 15
	codeNotADB   = 26
)

// sqliteCode returns the primary result code in err's chain, 0 = none.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func isCorrupt(err error) bool {
	c := sqliteCode(err)
	return c == codeCorrupt || c == codeNotADB || errors.Is(err, errDamaged)
}

// explain wraps err with the operation op, as a local failure where the
// machine is to blame.
func explain(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var f *intel.Failure
	if errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	hint := ""
	switch sqliteCode(err) {
	case codeFull:
		hint = "the disk is full: free some space; nothing is lost"
	case codeIOErr:
		hint = "the disk fails: look at the system's log"
	case codeCantOpen, codePerm:
		hint = "check that the file and its directory belong to the user this program runs as"
	case codeReadOnly:
		hint = "the file system or the file is read-only: check mount options and permissions"
	case codeBusy, codeLocked, codeProtocol:
		hint = "another program holds the database locked: close what has it open"
	case codeNoMem:
		hint = "out of memory"
	case codeCorrupt, codeNotADB:
		hint = "the file is damaged: restart to have it checked and set aside, then restore a backup or begin anew"
	default:
		var pe *fs.PathError
		var le *os.LinkError
		if !errors.As(err, &pe) && !errors.As(err, &le) {
			return fmt.Errorf("%s: %w", op, err)
		}
		hint = "check permissions and free space of " + filepath.Dir(path)
	}
	return intel.Fail(intel.FailLocal, "%s: state database %s: %w", op, path, err).WithHint("%s", hint)
}
