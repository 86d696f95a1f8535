package splunktest

import (
	"cmp"
	"net/http"
	"strconv"
	"time"
)

// Fault is one way to fail. The constructors below make the usual ones.
type Fault struct {
	// Endpoint is "event", "ack" or "health"; "" = "event".
	Endpoint string
	Skip     int // requests that are let through first
	Times    int // requests that it hits then; 0 = all until [Server.Clear]

	// Take: the events are stored as if nothing were wrong, and only the answer
	// fails; with Part > 0 only the first Part of them.
	Take bool
	Part int

	Delay      time.Duration // before anything else
	Hang       bool          // no answer, until the client leaves or the server stops
	Cut        bool          // the connection is closed without an answer
	HTML       int           // a page of this status, as of a balancer
	Code       int           // HEC's answer with this code; with Part, event number Part
	RetryAfter time.Duration // with Code or HTML; 0 = no header
	Body       string        // exactly this, with status 200
	Do         func()        // called when it hits a request; must not wait for the server

	cleared chan struct{}
}

// CutBefore closes the connection without taking the events.
func CutBefore() Fault { return Fault{Cut: true} }

// CutAfter takes the events and closes the connection.
func CutAfter() Fault { return Fault{Cut: true, Take: true} }

// Code answers with one of HEC's codes without taking the events. Code 24 and
// 25, which are successes, need Take.
func Code(code int) Fault { return Fault{Code: code} }

// Throttle answers with code 26 and Retry-After.
func Throttle(d time.Duration) Fault { return Fault{Code: 26, RetryAfter: d} }

// Inject adds f to the faults; the first that fits a request is used.
func (s *Server) Inject(f Fault) {
	if f.Endpoint == "" {
		f.Endpoint = "event"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.cleared = s.cleared
	s.faults = append(s.faults, &f)
}

// Clear removes all faults and releases what hangs.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cleared)
	s.cleared = make(chan struct{})
	s.faults = nil
}

// Poison makes the server refuse each event for which bad is true, with code
// (6, 12, 13 or 15) and the event's number. nil = none.
func (s *Server) Poison(bad func(Event) bool, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison, s.code = bad, cmp.Or(code, 6)
}

// fault returns the fault that hits the current request, if any.
func (s *Server) fault(endpoint string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Endpoint != endpoint {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return f
	}
	return nil
}

// before applies f ahead of the request's own handling; true = it is over.
func (f *Fault) before(s *Server, w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if f.Do != nil {
		f.Do()
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-down:
		case <-r.Context().Done():
		}
	}
	if f.Take {
		return false
	}
	return f.after(s, w, r, answer(0))
}

// after replaces the answer res; true = it did. With Cut and Hang it does not
// return.
func (f *Fault) after(s *Server, w http.ResponseWriter, r *http.Request, res result) bool {
	if f.Hang {
		s.mu.Lock()
		down := s.down
		s.mu.Unlock()
		select {
		case <-f.cleared:
		case <-down:
		case <-r.Context().Done():
		}
	}
	if f.Cut || f.Hang {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	switch {
	case f.HTML > 0:
		html(w, f.HTML)
	case f.Body != "":
		_, _ = w.Write([]byte(f.Body))
	case f.Code > 0:
		c := codes[f.Code]
		m := map[string]any{"text": c.text, "code": f.Code}
		if f.Part > 0 {
			m["invalid-event-number"] = f.Part
		}
		if c.status == http.StatusOK && res.acked {
			m["ackId"] = res.ackID
		}
		writeJSON(w, c.status, m)
	default:
		return false
	}
	return true
}
