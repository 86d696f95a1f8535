package sinktest

import (
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// A Harness tells [Run] how to make a sink and its destination, and what is
// particular about them.
type Harness struct {
	// New starts an empty destination. The suite calls it once per case and
	// closes what it returns.
	New func(t testing.TB) Destination
	// Holds returns the Refs under which the destination holds ind; none when it
	// can not hold it. Nil means one per observable.
	Holds func(ind *intel.Indicator) []intel.Ref
	// Secrets are the credentials that the destination demands. None may appear
	// in an error, an outcome, a preview or the log.
	Secrets []string
	// Local says that the destination is this machine's disk, whose every failure
	// is of kind [intel.FailLocal].
	Local bool
	// Package is the sink's import path. When set, a closed sink must leave no
	// goroutine of that package behind.
	Package string
}

// A Destination is the fake at the other end of a sink. The suite calls its
// methods from one goroutine, but for Open's sink.
type Destination interface {
	// Open returns a new sink for the destination, with the credentials it
	// demands; timeout is how long the sink shall wait for an answer, or the least
	// or most it can be told to if that is out of its range. It may be
	// called again after the sink was closed, as when the forwarder restarts.
	Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error)
	// Contents returns what the destination holds as current: what a search
	// would find, with all that was withdrawn left out.
	Contents() (Contents, error)
	// Inject begins a fault, which lasts until Heal. False means that it can not
	// happen to this destination.
	Inject(f Fault) bool
	// Heal ends the fault.
	Heal()
	// Poison makes the destination refuse whatever it is sent for the indicators
	// with these ids, and nothing else. False means that it never refuses single
	// objects.
	Poison(ids ...string) bool
	// Close releases the destination.
	Close()
}

// Held identifies one thing that a destination holds. Ref is zero where it
// holds whole indicators.
type Held struct {
	Feed, ID string
	Ref      intel.Ref
}

// Contents is what a destination holds, each with the indicator's version in
// microseconds as [intel.Indicator.Version] gives it; 0 where the destination
// does not say.
type Contents map[Held]int64

// A Fault is one way in which a destination as a whole goes wrong.
type Fault string

// The faults.
const (
	Refuse          Fault = "refuse"            // nobody listens
	Hang            Fault = "hang"              // takes the request and never answers
	CutBeforeAccept Fault = "cut_before_accept" // closes the connection and has taken nothing
	CutAfterAccept  Fault = "cut_after_accept"  // takes it all, then closes the connection instead of answering
	HTML            Fault = "html"              // a proxy's or load balancer's page with status 502
	HTML200         Fault = "html_200"          // such a page with status 200: a captive portal, a login page
	Slow            Fault = "slow"              // answers rightly, but late: within the time-out
	Throttle        Fault = "throttle"          // asks to come back later
	ServerError     Fault = "server_error"      // says that it is broken
	Unauthorized    Fault = "unauthorized"      // no longer accepts the credentials
	NotFound        Fault = "not_found"         // the workspace, index or endpoint is gone
	Echo            Fault = "echo"              // an error page that repeats the request's headers, credentials included
	RestartKeep     Fault = "restart_keep"      // restarts in the middle of the next delivery, keeping its memory
	RestartLose     Fault = "restart_lose"      // likewise, and forgets what it had accepted but not stored durably
	DiskFull        Fault = "disk_full"         // has no room
)

// faultTable says what a sink makes of each fault: the kinds of failure it may
// report. None at all means that it must not fail.
var faultTable = []struct {
	fault Fault
	kinds []intel.FailureKind
}{
	{Refuse, []intel.FailureKind{intel.FailUnreachable}},
	{Hang, []intel.FailureKind{intel.FailTimeout}},
	{CutBeforeAccept, []intel.FailureKind{intel.FailUnreachable, intel.FailTimeout}},
	{CutAfterAccept, []intel.FailureKind{intel.FailUnreachable, intel.FailTimeout}},
	{HTML, []intel.FailureKind{intel.FailServer, intel.FailProtocol}},
	{HTML200, []intel.FailureKind{intel.FailProtocol}},
	{Slow, nil},
	{Throttle, []intel.FailureKind{intel.FailThrottled}},
	{ServerError, []intel.FailureKind{intel.FailServer}},
	{Unauthorized, []intel.FailureKind{intel.FailAuth}},
	{NotFound, []intel.FailureKind{intel.FailNotFound, intel.FailConfig}},
	{Echo, []intel.FailureKind{intel.FailServer, intel.FailProtocol, intel.FailAuth}},
	{RestartKeep, []intel.FailureKind{intel.FailUnreachable, intel.FailTimeout, intel.FailServer, intel.FailProtocol}},
	{RestartLose, []intel.FailureKind{intel.FailUnreachable, intel.FailTimeout, intel.FailServer, intel.FailProtocol}},
	{DiskFull, []intel.FailureKind{intel.FailLocal, intel.FailServer, intel.FailThrottled}},
}

// Faults returns every fault, in the order in which the suite tries them.
func Faults() []Fault {
	var all []Fault
	for _, row := range faultTable {
		all = append(all, row.fault)
	}
	return all
}
