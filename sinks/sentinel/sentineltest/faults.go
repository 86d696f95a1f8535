package sentineltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// FaultKind is a way to fail.
type FaultKind int

// The ways to fail. "Before" a request is acted on, unless said otherwise.
const (
	Hang         FaultKind = iota + 1 // never answer
	HangAfter                         // accept, then never answer
	CutBefore                         // cut the connection
	CutAfter                          // accept, then cut the connection
	HTML                              // answer Code (0 = 200) with a web page, as a proxy does
	Echo                              // answer 502 with a page that repeats the request's header, credentials included
	Slow                              // answer as usual, after Delay
	Throttle                          // answer 429 with Seconds in the Retry-After header
	ThrottleText                      // answer 429 with Seconds in the text alone
	ThrottleBare                      // answer 429 and say nothing else
	Status                            // answer Code with an error body
	BadIndex                          // accept, then name an object that was not sent
	NoMessages                        // refuse object 0, naming it without a message; the others are accepted
	Garbage                           // accept, then answer half a JSON document
	RestartKeep                       // accept, then restart with the memory kept instead of answering
	RestartLose                       // restart with the memory lost instead of accepting
)

// Fault is one way to fail, for a number of requests.
type Fault struct {
	Kind    FaultKind
	Count   int           // how many requests; 0 = until Heal
	Seconds int           // of Throttle and ThrottleText
	Code    int           // of Status and HTML
	Delay   time.Duration // of Slow
	Login   bool          // fail at the token endpoint instead
}

type faults struct {
	queue        []Fault
	poison       func(object json.RawMessage) bool
	wholeRequest bool
}

// Inject makes the server fail from the next request on. Faults are served in
// the order they were injected.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.queue = append(s.faults.queue, f)
}

// Poison makes the server refuse objects that is reports true for; nil = none
// any more. With wholeRequest it refuses every request that holds one, with a
// 400 that does not say why. is must not call the server.
func (s *Server) Poison(is func(object json.RawMessage) bool, wholeRequest bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.poison, s.faults.wholeRequest = is, wholeRequest
}

// Heal ends all injected faults, lets hanging requests go, and listens again.
// What is poisoned stays so.
func (s *Server) Heal() error {
	s.mu.Lock()
	s.faults.queue = nil
	if !s.closed {
		close(s.release)
		s.release = make(chan struct{})
	}
	s.mu.Unlock()
	return s.Accept()
}

// Refuse makes the server refuse connections, and cuts those there are.
func (s *Server) Refuse() {
	s.power.Lock()
	defer s.power.Unlock()
	s.shut()
}

// Accept listens again, on the same port.
func (s *Server) Accept() error {
	s.power.Lock()
	defer s.power.Unlock()
	return s.resume()
}

// Restart cuts all connections and comes back. Without memory it has forgotten
// its tokens and its count of requests; what was accepted is on disk, as it
// were, and stays.
func (s *Server) Restart(keepMemory bool) error {
	s.power.Lock()
	defer s.power.Unlock()
	s.shut()
	if !keepMemory {
		s.mu.Lock()
		clear(s.tokens)
		clear(s.jtis)
		s.requests = nil
		s.mu.Unlock()
	}
	return s.resume()
}

// resume listens again unless that is so or the server is closed; s.power is held.
func (s *Server) resume() error {
	s.mu.Lock()
	listening, closed, addr := s.http != nil, s.closed, s.addr
	s.mu.Unlock()
	if listening || closed {
		return nil
	}
	return s.listen(addr)
}

// nextFault takes the next fault for a login or an upload, or returns nil.
func (s *Server) nextFault(login bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults.queue {
		f := s.faults.queue[i]
		if f.Login != login {
			continue
		}
		if f.Count == 1 {
			s.faults.queue = append(s.faults.queue[:i], s.faults.queue[i+1:]...)
		} else if f.Count > 1 {
			s.faults.queue[i].Count--
		}
		return &f
	}
	return nil
}

// loginFault fails a login; it reports whether it did.
func (s *Server) loginFault(w http.ResponseWriter, r *http.Request) bool {
	f := s.nextFault(true)
	return f != nil && s.failBefore(w, r, f)
}

// failBefore fails a request that was not acted on; it reports whether the
// answer is given.
func (s *Server) failBefore(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch f.Kind {
	case Hang:
		s.hang(r)
	case CutBefore:
		panic(http.ErrAbortHandler)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(max(f.Code, http.StatusOK))
		fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to the network.</body></html>")
		return true
	case Echo:
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusBadGateway)
		r.Header.Write(w)
		return true
	case RestartLose:
		s.Restart(false)
		panic(http.ErrAbortHandler)
	case Slow:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return false
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	case Throttle, ThrottleText:
		throttled(w, f.Seconds, f.Kind == Throttle)
		return true
	case ThrottleBare:
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	case Status:
		apiError(w, f.Code, http.StatusText(f.Code), "injected")
		return true
	}
	return false
}

// failAfter fails a request of n objects that was acted on; it reports whether
// the answer is given.
func (s *Server) failAfter(w http.ResponseWriter, f *Fault, n int) bool {
	switch f.Kind {
	case HangAfter:
		s.hang(nil)
	case CutAfter:
		panic(http.ErrAbortHandler)
	case RestartKeep:
		s.Restart(true)
		panic(http.ErrAbortHandler)
	case BadIndex:
		writeJSON(w, http.StatusOK, map[string]any{"errors": []any{map[string]any{"recordIndex": n, "errorMessages": []string{"odd"}}}})
		return true
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"errors":[{"recordIndex":0,"errorMess`)
		return true
	}
	return false
}

// hang waits until Heal, Close or the end of the request, and cuts it.
func (s *Server) hang(r *http.Request) {
	s.mu.Lock()
	release := s.release
	s.mu.Unlock()
	var gone <-chan struct{}
	if r != nil {
		gone = r.Context().Done()
	}
	select {
	case <-release:
	case <-gone:
	}
	panic(http.ErrAbortHandler)
}
