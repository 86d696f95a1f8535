package replica

import (
	"encoding/json"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// CollectionKey names a collection: the feed's name in the configuration, the
// absolute URL of the API root and the collection's id there.
type CollectionKey struct{ Feed, Root, ID string }

// TypeIndicator is the one STIX type that routes deliver; objects of all other
// types are kept for the context they give to indicators.
const TypeIndicator = "indicator"

// An Object is one version of one STIX object, reduced to what the replica
// needs to know of it.
type Object struct {
	ID   string // STIX id
	Type string // STIX type
	// Version orders the versions of an object: modified (else created) in
	// microseconds since 1970; 0 if it has neither.
	Version int64
	// Expires is the valid_until of an indicator in microseconds since 1970;
	// 0 = never. Ignored for other types.
	Expires int64
	Revoked bool
	Raw     []byte // the object's JSON as served
	// Shared: several objects of the server have this id, so that at one version
	// there can be several contents. A revoked one counts, else always the same.
	Shared bool

	// Refs names the objects that describe an indicator: its created_by_ref and
	// those object_marking_refs that are not one of TLP's fixed markings. Ignored
	// for other types.
	Refs []string
	// About names the indicator that this object says something about: the
	// source_ref of an "indicates" relationship, the sighting_of_ref of a
	// sighting. Empty for everything else; ignored for indicators.
	About string
	// Target names the object that About is said to indicate: the target_ref of
	// an "indicates" relationship. Empty without About.
	Target string
}

// A Batch is what one [Store.Apply] makes durable, all or nothing.
type Batch struct {
	Collection CollectionKey
	// Objects are in the order served. The newest version of an id counts, the
	// last one among equals.
	Objects []Object
	// Position is where the collection's next poll resumes once the objects are
	// durable; nil leaves it where it is.
	Position json.RawMessage
	// Walk is the resync this batch belongs to, from [Store.BeginWalk]; 0 = an
	// ordinary poll. A batch of a walk that is no longer the feed's newest is
	// refused with [ErrWalkOver].
	Walk int64
}

// Applied counts what became of a batch's objects; New, Updated, Unchanged,
// Older and Broken add up to the number of objects in it.
type Applied struct {
	New       int // not known before
	Updated   int // newer, or changed in content, or served again after it was gone
	Unchanged int // already here; also all but the newest of several in one batch
	Older     int // late: a newer version or a tombstone is here already
	Broken    int // without id or type; ignored
	// Renumbered indicators did not change themselves, but their context did.
	Renumbered int
	// Seq is the feed's highest change number after this batch.
	Seq int64
}

// State says whether an object is in force.
type State uint8

// The states. All but Current are tombstones: the object stays, so that a late
// or replayed old version can not bring it back.
const (
	Current State = iota
	Revoked       // by its producer
	Expired       // valid_until has passed
	Gone          // a resync no longer found it at the server
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case Current:
		return "current"
	case Revoked:
		return "revoked"
	case Expired:
		return "expired"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// A Route is the way from a feed to a sink, with its delivery state.
type Route struct {
	ID          int64
	Feed, Sink  string
	Fingerprint string // of the configuration that decides what the route sends
	// Cursor is the highest change number up to which everything is settled, as
	// of [Store.OpenRoute].
	Cursor int64
	// Epoch grows whenever the cursor is set back; see [ErrRouteMoved].
	Epoch int64
}

// A Record is the newest state of one indicator, as a route reads it.
type Record struct {
	Seq, OID   int64
	ID         string // STIX id
	Collection string // id of the collection that first served it
	Version    int64  // µs since 1970
	State      State
	Raw        []byte
	// Context holds the raw objects that enrich the indicator; see [Object] for
	// which. Only current ones, in no particular order. Records share these
	// slices; treat them as read-only.
	Context [][]byte
	// Ledger is what the route last did with this indicator; nil = its
	// destination holds nothing of it and never refused it.
	Ledger *Entry
}

// An Entry of the ledger records what a route's destination was given of one
// indicator.
type Entry struct {
	Version int64  // of the indicator
	Digest  uint64 // of the context it was enriched with; the engine's to define
	Status  intel.Status
	Reason  string
	// Refs are the keys of the observables that the destination holds
	// ([intel.Ref.String]).
	Refs        []string
	First, Last time.Time // first and latest delivery
	// Replay asks for the indicator to be sent anew, changed or not.
	Replay bool
}

// A Settlement ends one change on a route.
type Settlement struct {
	Seq, OID int64
	// Entry replaces the ledger's; nil = the destination holds nothing any more.
	Entry *Entry
	// Dead is set when the destination refused the change for good. Without it,
	// an earlier dead letter of this object on this route is removed, unless Open.
	Dead *DeadLetter
	// Open says that what became of the change is not known: the change is
	// offered again, and a dead letter stays as it is, queued for a retry or not.
	Open bool
}

// A DeadLetter is a change that a destination refused for good. There is at
// most one per route and object: the latest refusal, as long as no later
// settlement went well.
type DeadLetter struct {
	ID         int64 // 0 when handed to [Store.Settle]
	Feed, Sink string
	STIXID     string
	OID, Seq   int64
	Version    int64
	Time       time.Time // of the refusal; zero = now
	Reason     string    // short, fit for a metric label
	Detail     string    // the destination's own words
	Sent       []byte    // what was sent
	Raw        []byte    // the object as the replica holds it now; ignored by Settle
	Attempts   int       // refusals so far
	Retry      bool      // queued by [Store.RetryDead]
}

// A DeadFilter selects dead letters; a zero field selects all.
type DeadFilter struct {
	Feed, Sink, Reason string
	IDs                []int64
	After              int64 // only ids above it, for paging
	Limit              int   // at most so many, lowest ids first
}

// Stats describes the whole state.
type Stats struct {
	Feeds       []FeedStats
	Collections []CollectionStats
	Routes      []RouteStats
	DeadLetters int64
	// DeadDropped counts dead letters that were dropped, oldest first, because
	// there were more than Options.MaxDeadLetters.
	DeadDropped int64
	Bytes       int64 // on disk, write-ahead log included
}

// FeedStats describes one feed.
type FeedStats struct {
	Feed       string
	Objects    int64 // of every type and state
	Indicators int64 // of every state
	// Indicators by state.
	Current, Revoked, Expired, Gone int64
	Head                            int64 // highest change number
}

// CollectionStats describes one collection.
type CollectionStats struct {
	CollectionKey
	Position    json.RawMessage // nil = never set
	Fingerprint string
	Updated     time.Time // when the position was last written
}

// RouteStats describes one route.
type RouteStats struct {
	ID         int64
	Feed, Sink string
	Cursor     int64
	// Pending is how many indicators lie above the cursor. It is exact if
	// PendingExact, else an upper bound.
	Pending      int64
	PendingExact bool
	// Delivered, Skipped and Rejected count indicators by what last became of
	// them on this route; Skipped and Rejected by reason.
	Delivered         int64
	Skipped, Rejected map[string]int64
	Dead              map[string]int64 // dead letters by reason
	Retrying          int64            // dead letters queued for another attempt
}

// PruneReport counts what [Store.Prune] removed.
type PruneReport struct {
	Feeds, Routes             []string // names; a route reads "feed -> sink"
	Objects, Ledger, DeadRows int64
}
