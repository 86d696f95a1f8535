package intel

import (
	"errors"
	"fmt"
	"time"
)

// FailureKind classifies why a feed or a destination as a whole can not be
// used right now. The list is closed, so that it can be a metric label.
type FailureKind string

// The kinds of failure.
const (
	FailUnreachable FailureKind = "unreachable" // no connection: DNS, refused, reset, proxy
	FailTLS         FailureKind = "tls"         // certificate or handshake
	FailTimeout     FailureKind = "timeout"     // no answer in time; what was sent may have arrived
	FailAuth        FailureKind = "auth"        // 401, 403, bad or disabled token, missing role
	FailNotFound    FailureKind = "not_found"   // 404: wrong URL, root, collection, workspace or index
	FailThrottled   FailureKind = "throttled"   // 429, quota, busy
	FailServer      FailureKind = "server"      // 5xx
	FailProtocol    FailureKind = "protocol"    // an answer that is not what the protocol says
	FailConfig      FailureKind = "config"      // the destination's set-up does not fit ours
	FailLocal       FailureKind = "local"       // our own disk or memory
)

// Failure is the error of a feed or destination that can not be used right
// now. Nothing is given up because of it: the work is offered again.
type Failure struct {
	Kind FailureKind
	// RetryAfter is how long the other side asked us to wait; 0 = it did not say.
	RetryAfter time.Duration
	// Hint tells an admin what to do about it; may be empty.
	Hint string
	Err  error
}

// Fail builds a Failure from a format and its operands.
func Fail(kind FailureKind, format string, args ...any) *Failure {
	return &Failure{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// WithHint sets f's hint and returns f.
func (f *Failure) WithHint(format string, args ...any) *Failure {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

// WithRetryAfter sets how long the other side asked us to wait and returns f.
func (f *Failure) WithRetryAfter(d time.Duration) *Failure {
	f.RetryAfter = d
	return f
}

func (f *Failure) Error() string {
	if f.Hint == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + " (" + f.Hint + ")"
}

func (f *Failure) Unwrap() error { return f.Err }

// AsFailure finds the Failure in err's chain; an error without one is wrapped
// as [FailProtocol].
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Kind: FailProtocol, Err: err}
}
