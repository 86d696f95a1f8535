package taxii

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Position is how far a collection has been read, and what was learned about
// its server on the way. Its JSON form is what the replica stores; it belongs
// to one API root, collection and [Filter], and a changed one of these must
// drop it. The zero value is the very start.
type Position struct {
	// Start is the oldest date added that is of interest; zero = all.
	Start time.Time `json:"start,omitzero"`
	// Added is the newest date added up to which everything was read, as the
	// server wrote it; "" = nothing yet. Objects with this very date may be
	// missing still, so a walk always begins before it.
	Added string `json:"added,omitempty"`
	// Precision is what the server was found to take in added_after.
	Precision Precision `json:"precision,omitempty"`
	// LossyNext: the server's next tokens were caught skipping objects.
	LossyNext bool `json:"lossy_next,omitempty"`
	// SoundNext: a token was seen to continue in the middle of objects of one
	// date, so tokens need no check.
	SoundNext bool `json:"sound_next,omitempty"`
	// SaysMore: the server was seen to say more, so that its absence means no.
	SaysMore bool `json:"says_more,omitempty"`
	// OtherDates: the X-TAXII-Date-Added headers hold other dates than those
	// that added_after is compared with.
	OtherDates bool `json:"other_dates,omitempty"`
	// Match is what the server takes match[type] for, if the filter has types.
	Match Matching `json:"match,omitempty"`
	// Window is an unfinished walk of a server whose headers can not tell how
	// far it got.
	Window *Window `json:"window,omitempty"`
}

// A Window is a walk that can be taken up by its next token. The token is a
// hint: when the server no longer knows it, the walk begins again.
type Window struct {
	After  string    `json:"after,omitempty"`
	Next   string    `json:"next"`
	Limit  int       `json:"limit"`
	Filter string    `json:"filter,omitempty"`
	Newest string    `json:"newest,omitempty"` // newest date added that a header named
	Began  time.Time `json:"began,omitzero"`   // the server's Date at the first answer
	Saved  time.Time `json:"saved"`
}

// windowLife bounds how old a token may be that is tried again: the longer
// ago, the more objects may have shifted below a token that is an offset.
const windowLife = time.Hour

// StartAt returns the position of a collection of which only what was added
// after t is of interest.
func StartAt(t time.Time) Position { return Position{Start: t.UTC()} }

// ParsePosition reads a position's JSON form; nothing and null are the very
// start.
func ParsePosition(raw []byte) (Position, error) {
	var p Position
	if len(raw) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return Position{}, fmt.Errorf("position of a collection: %w", err)
	}
	if err := p.valid(); err != nil {
		return Position{}, err
	}
	return p, nil
}

func (p *Position) valid() error {
	if p.Added != "" {
		if _, ok := parseStamp(p.Added); !ok {
			return fmt.Errorf("position of a collection: %q is no date", p.Added)
		}
	}
	if p.Precision < Microseconds || p.Precision > Seconds {
		return fmt.Errorf("position of a collection: unknown precision %d", p.Precision)
	}
	switch p.Match {
	case MatchUnknown, MatchType, MatchOwn, MatchHere:
	default:
		return fmt.Errorf("position of a collection: unknown matching %q", p.Match)
	}
	if w := p.Window; w != nil && (w.Next == "" || w.Limit <= 0) {
		return fmt.Errorf("position of a collection: a window without a token or limit")
	}
	return nil
}

// Time returns the date that [Position.Added] stands for, else
// [Position.Start]; zero at the very start.
func (p Position) Time() time.Time {
	if s := p.added(); s.ok() {
		return s.time
	}
	return p.Start
}

// String is for people.
func (p Position) String() string {
	switch {
	case p.Added != "":
		return p.Added
	case !p.Start.IsZero():
		return Microseconds.format(p.Start)
	}
	return "start"
}

func (p *Position) added() stamp {
	s, _ := parseStamp(p.Added)
	return s
}

// advance moves Added to s unless that would be backwards, and reports whether
// it moved.
func (p *Position) advance(s stamp) bool {
	if !s.ok() || !s.time.After(p.added().time) {
		return false
	}
	p.Added = s.text
	return true
}

// after returns the added_after from which a walk begins: overlap before Added,
// but at least one unit of its precision, and not before Start. ok is false
// when there is none.
func (p *Position) after(overlap time.Duration) (t time.Time, ok bool) {
	s := p.added()
	if !s.ok() {
		return p.Start, !p.Start.IsZero()
	}
	t = s.time.Add(-max(overlap, s.unit, p.Precision.unit()))
	if t.Before(p.Start) {
		t = p.Start
	}
	return t, true
}

func (p Position) same(q Position) bool {
	if (p.Window == nil) != (q.Window == nil) || p.Window != nil && *p.Window != *q.Window {
		return false
	}
	p.Window, q.Window = nil, nil
	return p == q
}
