package intel

import "time"

// Action is what a destination has to do about an indicator.
type Action uint8

// The two actions.
const (
	Upsert   Action = iota + 1 // hold this version
	Withdraw                   // hold no version any more
)

// String returns "upsert" or "withdraw".
func (a Action) String() string {
	switch a {
	case Upsert:
		return "upsert"
	case Withdraw:
		return "withdraw"
	}
	return "unknown"
}

// Reason says why an indicator is withdrawn.
type Reason string

// The reasons for a withdrawal.
const (
	ReasonRevoked     Reason = "revoked"     // the producer revoked it
	ReasonExpired     Reason = "expired"     // valid_until has passed
	ReasonFiltered    Reason = "filtered"    // it no longer satisfies the route's where
	ReasonGone        Reason = "gone"        // a resync no longer found it at the server
	ReasonBenign      Reason = "benign"      // a new version declares it benign
	ReasonUnsupported Reason = "unsupported" // a new version has nothing this sink can hold
)

// Change is one step for a destination: hold this version of the indicator, or
// hold it no more. A batch holds at most one change per indicator.
type Change struct {
	// Seq is the change's number in the replica; ascending within a batch.
	Seq    int64
	Action Action
	// Reason is set when Action is Withdraw.
	Reason Reason
	// Indicator is the newest version, complete, whatever the Action.
	Indicator *Indicator
	// Remove lists observables that the destination was given by an earlier
	// delivery and must hold no longer: on Withdraw all it was given, on Upsert
	// those that the new version lacks.
	Remove []Ref
	// Whole reports that an earlier delivery gave the destination, or may have
	// given it, the indicator at a time when it had no observables. What a sink
	// holds of such an indicator under a key of its own is to be removed, unless
	// the new version has none either.
	Whole bool
	// At is when the change was handed to the sink; sinks use it as forwarding
	// time, so that what they send is a function of the Change alone.
	At time.Time
	// FirstDelivered is when the destination first got this indicator; zero for
	// a first delivery.
	FirstDelivered time.Time
}

// Status is the fate of one change at a destination.
type Status uint8

// The fates. The zero value is no fate: a sink that forgot to say so has not
// delivered.
const (
	Unknown   Status = iota // not known; the change is offered again
	Delivered               // durably accepted, or already so
	Skipped                 // this destination can not hold such an indicator; counted, never an error
	Rejected                // the destination refused it for good; becomes a dead letter
)

// String returns the status in lower case.
func (s Status) String() string {
	switch s {
	case Delivered:
		return "delivered"
	case Skipped:
		return "skipped"
	case Rejected:
		return "rejected"
	}
	return "unknown"
}

// Outcome reports what became of one change.
type Outcome struct {
	Status Status
	// Reason is a short word from the sink's fixed list, fit for a metric label:
	// "mapper_parsing_exception", "pattern_type", "hec_code_6". Empty when Delivered.
	Reason string
	// Detail is the destination's own explanation, free of secrets.
	Detail string
	// Sent is what was sent for a Rejected change, free of secrets.
	Sent []byte
	// Held lists what the destination was given of an upsert and has to be told
	// of when it is withdrawn: for a Rejected one the observables that were
	// accepted all the same, for a Delivered one what it holds beyond the
	// indicator's observables, under a Ref of the sink's own making. Change.Remove
	// brings both back, also where the new version holds them still.
	Held []Ref
}
