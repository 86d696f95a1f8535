// Package status is the picture a running forwarder gives of itself: what the
// /status page serves as JSON, what the HTML page shows, and what the status
// command prints with [WriteTable].
//
// The JSON keys are an interface: scripts and dashboards read them. Keys are
// added, never renamed or given another meaning. Times are RFC 3339 in UTC and
// absent when there is nothing to say; nothing in a Status is secret, and
// whoever fills one keeps it so.
package status

import (
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Status is a snapshot of the whole forwarder.
type Status struct {
	Version string    `json:"version"`
	Commit  string    `json:"commit,omitempty"`
	Running bool      `json:"running"`          // false when read from the state of a stopped forwarder
	PID     int       `json:"pid,omitempty"`    // of the running forwarder
	Time    time.Time `json:"time"`             // when the snapshot was taken
	Started time.Time `json:"started,omitzero"` // when the engine started
	Uptime  int64     `json:"uptime"`           // whole seconds since Started
	State   Store     `json:"state"`
	Config  Config    `json:"config"`
	Feeds   []Feed    `json:"feeds"`
	Sinks   []Sink    `json:"sinks"`
	Routes  []Route   `json:"routes"`
	// Stalled names the forwarder's own loops that make no progress, with what they
	// are stuck at; a restart is due.
	Stalled []string `json:"stalled,omitempty"`
}

// Store describes the state database.
type Store struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Error string `json:"error,omitempty"` // why it can not be used right now: full disk, locked
}

// Config describes the configuration in force.
type Config struct {
	Path         string    `json:"path"`
	LoadedAt     time.Time `json:"loaded_at,omitzero"` // when the configuration in force was loaded
	LastReloadOK bool      `json:"last_reload_ok"`     // true when there was no reload yet
	Error        string    `json:"error,omitempty"`    // why the last reload was refused
}

// State is the condition of a feed, a sink or a route in one word.
type State string

// The states.
const (
	StateStarting   State = "starting"    // nothing has succeeded or failed yet
	StateOK         State = "ok"          // the last attempt succeeded
	StatePolling    State = "polling"     // feed: a poll is under way and nothing is wrong
	StateCatchingUp State = "catching_up" // route: changes are pending and nothing is wrong
	StateFailing    State = "failing"     // the last attempt failed; it is tried again
	StateStopped    State = "stopped"     // the forwarder is not running
)

// Feed is one account at one TAXII server.
type Feed struct {
	Name  string `json:"name"`
	URL   string `json:"url,omitempty"` // without user information and query
	State State  `json:"state"`
	Failure
	LastPoll    time.Time    `json:"last_poll,omitzero"`    // end of the last attempt
	LastSuccess time.Time    `json:"last_success,omitzero"` // end of the last poll in which every collection succeeded
	NextPoll    time.Time    `json:"next_poll,omitzero"`
	NextResync  time.Time    `json:"next_resync,omitzero"`
	Objects     int64        `json:"objects"`    // STIX objects of any type in the replica
	Indicators  int64        `json:"indicators"` // of those, indicators
	Current     int64        `json:"current"`    // of those, neither revoked nor expired nor gone
	Revoked     int64        `json:"revoked"`
	Expired     int64        `json:"expired"`
	Gone        int64        `json:"gone"`
	Collections []Collection `json:"collections"`
}

// Collection is one collection that a feed follows.
type Collection struct {
	Root        string    `json:"root"` // API root URL
	ID          string    `json:"id"`
	Title       string    `json:"title,omitempty"`
	Alias       string    `json:"alias,omitempty"`
	State       State     `json:"state"`
	AddedAfter  time.Time `json:"added_after,omitzero"` // the position: everything added until then is in the replica
	LagSeconds  int64     `json:"lag_seconds"`          // seconds since the last time the collection was read to its end; -1 = never
	LastPoll    time.Time `json:"last_poll,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	NextPoll    time.Time `json:"next_poll,omitzero"`
	Pages       int64     `json:"pages"`   // in the last poll, or so far in the one under way
	Objects     int64     `json:"objects"` // received in the last poll, or so far in the one under way
	New         int64     `json:"new"`     // of those, new in the replica
	Updated     int64     `json:"updated"` // of those, newer than the replica's
	Unchanged   int64     `json:"unchanged"`
	Broken      int64     `json:"broken"` // entries that were no usable STIX object
	Polling     bool      `json:"polling"`
	Warnings    []string  `json:"warnings,omitempty"`
	Failure
}

// Sink is one destination, over all routes to it.
type Sink struct {
	Name        string    `json:"name"` // the label in the configuration
	Kind        string    `json:"kind"` // "splunk_hec", …
	State       State     `json:"state"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Failure
}

// Route is the delivery of one feed to one sink.
type Route struct {
	Feed        string           `json:"feed"`
	Sink        string           `json:"sink"`
	State       State            `json:"state"`
	Cursor      int64            `json:"cursor"`            // change number delivered up to
	Head        int64            `json:"head"`              // newest change number of the feed
	Pending     int64            `json:"pending"`           // changes not yet settled; exact or a little too high
	Delivered   int64            `json:"delivered"`         // indicators the destination holds
	Skipped     map[string]int64 `json:"skipped,omitempty"` // indicators the destination can not hold, by reason
	Rejected    int64            `json:"rejected"`          // refused by the destination since the start
	DeadLetters int64            `json:"dead_letters"`      // refused and not yet retried or dropped
	LastSuccess time.Time        `json:"last_success,omitzero"`
	Failure
}

// Failure is what is wrong with the thing it is part of; zero = nothing.
type Failure struct {
	Error        string            `json:"error,omitempty"` // what, where and what to do, in one line
	FailureKind  intel.FailureKind `json:"failure_kind,omitempty"`
	FailingSince time.Time         `json:"failing_since,omitzero"`
	RetryAt      time.Time         `json:"retry_at,omitzero"`
}

// Reason says why one part of the forwarder is or is not ready.
type Reason struct {
	Part    Part   `json:"part"`
	Name    string `json:"name,omitempty"` // of the feed or sink
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // what is wrong, or what is being waited for
	// Kind is set when a feed or a sink failed.
	Kind intel.FailureKind `json:"failure_kind,omitempty"`
}

// Part names a part of the forwarder in a [Reason].
type Part string

// The parts.
const (
	PartConfig Part = "config"
	PartState  Part = "state"
	PartLoops  Part = "loops" // listed only when one is stuck
	PartFeed   Part = "feed"
	PartSink   Part = "sink"
)

// Skips returns the number of indicators that r's sink could not hold.
func (r *Route) Skips() int64 {
	var n int64
	for _, v := range r.Skipped {
		n += v
	}
	return n
}
