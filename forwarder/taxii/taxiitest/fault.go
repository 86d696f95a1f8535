package taxiitest

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Fault makes requests go wrong.
type Fault struct {
	// Match is a part of the path and query that a request must have; "" = every
	// request for objects.
	Match string
	// Skip lets that many matching requests pass; Times is how many then go wrong,
	// 0 = one, negative = all.
	Skip, Times int

	// Status, with Header and Body, is answered instead of the truth.
	Status int
	Header http.Header
	Body   string
	// Redirect answers 302 to this URL, with the request's query when it has none.
	Redirect string
	// Hang gives no answer until the client or the server gives up.
	Hang bool
	// Lose deals with the request and then closes the connection without a word.
	Lose bool
	// CutAfter sends that many bytes of the true body and closes the connection.
	CutAfter int
	// CutQuietly makes the cut look like a proper end, as of a server that gave up.
	CutQuietly bool
	// Delay waits before the answer; Pace sends the body in pieces of 1 KiB, a
	// pause after each.
	Delay, Pace time.Duration
	// Gzip compresses the body, whether asked to or not.
	Gzip bool

	used int
}

// Inject adds a fault. Of several that match, the first with something left
// is taken.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults takes all faults away.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		what := f.Match
		if what == "" {
			what = "/objects/"
		}
		if !strings.Contains(r.URL.RequestURI(), what) {
			continue
		}
		f.used++
		if n := f.used - f.Skip; n > 0 && (f.Times < 0 || n <= max(f.Times, 1)) {
			return f
		}
	}
	return nil
}

// replaces reports whether the fault has an answer of its own.
func (f *Fault) replaces() bool { return f.Status != 0 || f.Redirect != "" || f.Hang }

func (f *Fault) answer() *answer {
	a := &answer{status: f.Status, header: f.Header.Clone(), body: []byte(f.Body), fault: f}
	if a.header == nil {
		a.header = http.Header{}
	}
	if f.Redirect != "" {
		a.status = http.StatusFound
		a.header.Set("Location", f.Redirect)
	}
	return a
}

// send writes an answer, with what goes wrong about it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a *answer) {
	f := a.fault
	if f == nil {
		f = &Fault{}
	}
	if f.Hang {
		s.pause(r, time.Hour)
		panic(http.ErrAbortHandler)
	}
	if f.Delay > 0 && !s.pause(r, f.Delay) || f.Lose {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for name, v := range a.header {
		h[name] = v
	}
	if f.Redirect != "" && !strings.Contains(f.Redirect, "?") && r.URL.RawQuery != "" {
		h.Set("Location", f.Redirect+"?"+r.URL.RawQuery)
	}
	if h.Get("Date") == "" {
		h.Set("Date", s.o.Now().UTC().Format(http.TimeFormat))
	}
	if f.Gzip {
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(a.status)
		z := gzip.NewWriter(w)
		_, _ = z.Write(a.body)
		_ = z.Close()
		return
	}
	body := a.body
	if f.CutAfter > 0 && f.CutAfter < len(body) {
		if !f.CutQuietly {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
		body = body[:f.CutAfter]
	} else {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if f.Pace > 0 {
		for len(body) > 0 {
			n := min(len(body), 1<<10)
			_, _ = w.Write(body[:n])
			body = body[n:]
			_ = http.NewResponseController(w).Flush()
			if !s.pause(r, f.Pace) {
				panic(http.ErrAbortHandler)
			}
		}
	}
	_, _ = w.Write(body)
	if f.CutAfter > 0 && !f.CutQuietly {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// pause waits; false means that client or server is gone.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.stop:
	}
	return false
}
