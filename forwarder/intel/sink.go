package intel

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A Sink delivers changes to one destination. Its methods may be called by
// several goroutines at once: every route to the same sink calls it, and a
// route may have more than one batch in flight.
type Sink interface {
	// Deliver blocks until the destination has durably accepted or refused every
	// change in batch, and reports one Outcome per change, in order.
	//
	// A non-nil error means that the destination as a whole could not take the
	// batch; it is (or wraps) a *[Failure]. Outcomes already known are returned
	// beside it, with Status Unknown where nothing is known, and those changes
	// are offered again later. A nil error leaves no outcome Unknown.
	//
	// Deliver does not retry a failed destination: it returns promptly, and the
	// engine backs off. It does retry part of a batch (halving, bisecting,
	// resending a suffix), as only it knows how. It never keeps a reference to
	// batch after it returns. When ctx ends it stops as soon as it can.
	Deliver(ctx context.Context, batch []Change) ([]Outcome, error)

	// Check proves that the destination would accept a batch, without leaving
	// anything in it. The error is (or wraps) a *[Failure] whose text an admin can
	// act on.
	Check(ctx context.Context) error

	// Close releases what the sink holds. No other method is called afterwards.
	Close() error
}

// A Limiter is a [Sink] that wants its batches bounded.
type Limiter interface {
	// BatchLimit returns the most changes that one Deliver should be given, and
	// how many Deliver calls one route may have in flight. Zero = no preference.
	BatchLimit() (changes, inFlight int)
}

// A Refresher is a [Sink] whose destination forgets what is not touched now
// and then.
type Refresher interface {
	// RefreshInterval is how often Refresh wants to be called.
	RefreshInterval() time.Duration
	// Refresh touches what the destination holds and returns how much that was.
	Refresh(ctx context.Context) (int64, error)
}

// A Keyer is a [Sink] that files an indicator under more than the Refs of its
// observables.
type Keyer interface {
	// AlsoHeld returns what Deliver would give the destination for an upsert
	// besides the indicator's own observables: the Held of its [Outcome], known
	// beforehand, so that it can be withdrawn even if no outcome ever comes.
	AlsoHeld(c *Change) []Ref
}

// A Previewer is a [Sink] that can show what it would send.
type Previewer interface {
	// Preview appends to dst what Deliver would send for c, one JSON document a
	// line, secrets left out. The Outcome is Skipped with its reason when nothing
	// would be sent, Delivered otherwise.
	Preview(dst []byte, c *Change) ([]byte, Outcome)
}

// SinkOptions is what every sink is given besides its own configuration.
type SinkOptions struct {
	Name    string       // the sink's label in the configuration
	Logger  hclog.Logger // never nil
	Version string       // the forwarder's version, for User-Agent and the like
}
