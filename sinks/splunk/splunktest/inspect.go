package splunktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// maxProblems bounds what Problems returns.
const maxProblems = 100

// Event is one stored event.
type Event struct {
	Time, Host, Source, SourceType, Index string // the envelope; Time is decimal seconds
	Channel                               string
	Raw                                   []byte // the event itself

	Action  string // "upsert" or "withdraw"
	ItemKey string
	STIXID  string
	Type    string // observable_type
	Value   string // observable_value
	Version int64

	receipt *pending // the acknowledgment that makes it durable; nil = it is
}

// durable reports whether the event survives a crash of the indexer.
func (e *Event) durable() bool { return e.receipt == nil || e.receipt.given }

// Fields returns the event as decoded JSON.
func (e Event) Fields() map[string]any {
	var m map[string]any
	_ = json.Unmarshal(e.Raw, &m) // not an object: no fields
	return m
}

// Field returns one field as text, "" if there is none.
func (e Event) Field(name string) string {
	switch v := e.Fields()[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Events returns what was stored, in order of arrival.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Stored returns how many events were stored since the server was made,
// CountOnly or not.
func (s *Server) Stored() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}

// Latest returns the newest event of each item_key, by time and then by
// arrival: what a search for latest(*) by item_key finds.
func (s *Server) Latest() map[string]Event {
	latest := map[string]Event{}
	at := map[string]float64{}
	for _, e := range s.Events() {
		t, _ := strconv.ParseFloat(e.Time, 64)
		if old, ok := at[e.ItemKey]; !ok || t >= old {
			latest[e.ItemKey], at[e.ItemKey] = e, t
		}
	}
	return latest
}

// Current returns the latest events that are upserts: what Splunk's users see
// as the threat intelligence in force.
func (s *Server) Current() map[string]Event {
	latest := s.Latest()
	for key, e := range latest {
		if e.Action != "upsert" {
			delete(latest, key)
		}
	}
	return latest
}

// Repeats returns how many stored events say what an earlier one said: the same
// item_key, version and action.
func (s *Server) Repeats() int {
	type said struct {
		key, action string
		version     int64
	}
	seen := map[said]bool{}
	n := 0
	for _, e := range s.Events() {
		k := said{e.ItemKey, e.Action, e.Version}
		if seen[k] {
			n++
		}
		seen[k] = true
	}
	return n
}

// Requests returns how many requests came to an endpoint: "event", "ack" or
// "health".
func (s *Server) Requests(endpoint string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[endpoint]
}

// Problems returns what clients did that no client should, the first 100.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Forget empties the server: events, counts, problems and acknowledgments.
// Faults and poison stay.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.stored, s.problems = nil, 0, nil
	clear(s.requests)
	clear(s.channels)
}

func (s *Server) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}
