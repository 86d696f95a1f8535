package taxiitest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// A Request is an entry of the request log.
type Request struct {
	Path   string
	Query  url.Values
	Header http.Header
	Status int
	Count  int // objects in the answer
}

// Requests returns the requests so far, oldest first, up to a bound.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// ObjectRequests returns how many requests there were for objects.
func (s *Server) ObjectRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects
}

// Violations returns what was wrong with requests by the specification.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

func (s *Server) violate(r *http.Request, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violateLocked(r, text)
}

func (s *Server) violateLocked(r *http.Request, text string) {
	if len(s.violations) < 1000 {
		s.violations = append(s.violations, fmt.Sprintf("%s %s: %s", r.Method, r.URL.RequestURI(), text))
	}
}

func (s *Server) note(r *http.Request, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) < s.o.KeepRequests {
		s.log = append(s.log, Request{Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(), Status: a.status, Count: a.count})
	}
}
