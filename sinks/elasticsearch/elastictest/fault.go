package elastictest

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Fault is a way for a bulk request to go wrong.
type Fault uint8

// The faults.
const (
	None         Fault = iota
	Refuse             // the connection is closed before anything is read
	Hang               // no answer until the fault is healed or the client gives up; nothing is written
	HangAfter          // the same, but the documents are written
	CutBefore          // the connection is cut in the middle of the request; nothing is written
	CutAfter           // the documents are written, the answer never comes
	CutReply           // the documents are written, the answer breaks off in the middle
	HTML               // a proxy's page with status 200
	BadGateway         // a proxy's page with status 502
	Slow               // the answer comes, late and in drops
	Throttle           // 429 for the whole request
	Unavailable        // 503 for the whole request
	Unauthorized       // 401
	Forbidden          // 403 security_exception
	TooLarge           // 413 whatever the size
	BusyItems          // every other item has status 429, the others are written
	ErrorItems         // every third item has status 503
	ShortReply         // the documents are written, the last item is missing from the reply
	LongReply          // the reply has an item that nobody asked for
	Shuffled           // the items come in another order than the operations
	EmptyReply         // status 200 and no body
	ReadOnly           // every item meets a cluster_block_exception with 403
	DiskFull           // every item meets a cluster_block_exception with 429, as above the flood stage
	IndexGone          // every item meets an index_not_found_exception
	NotFound           // 404 for the whole request, from a proxy that knows no such path
	ServerError        // 500 for the whole request
	Echo               // a page with status 500 that repeats the request's headers
)

var faultNames = [...]string{"none", "refuse", "hang", "hang after accepting", "cut before accepting", "cut after accepting",
	"cut in the reply", "html", "bad gateway", "slow", "throttle", "unavailable", "unauthorized", "forbidden", "too large",
	"busy items", "error items", "short reply", "over-long reply", "shuffled reply", "empty reply", "read-only", "disk full", "index gone", "not found", "server error", "echo"}

// String returns the fault's name.
func (f Fault) String() string { return faultNames[f] }

// Faults returns all faults but [None].
func Faults() []Fault {
	all := make([]Fault, 0, len(faultNames)-1)
	for f := Refuse; int(f) < len(faultNames); f++ {
		all = append(all, f)
	}
	return all
}

// faults is what is to go wrong with the next bulk requests.
type faults struct {
	mu      sync.Mutex
	fault   Fault
	left    int           // how many requests; negative = all
	healed  chan struct{} // closed when what hangs may go on
	news    chan struct{} // closed and replaced at every change of what arrived
	pending int           // requests that hang
}

func (f *faults) init() {
	f.healed, f.news = make(chan struct{}), make(chan struct{})
}

// Inject makes the next n bulk requests go wrong, or, when n is negative, every
// request until [Server.Heal]. What is said of items happens to bulk requests
// only.
func (s *Server) Inject(f Fault, n int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.fault, s.faults.left = f, n
}

// Heal ends all faults; requests that hang are let go.
func (s *Server) Heal() { s.faults.heal() }

// Hanging returns how many requests hang.
func (s *Server) Hanging() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.pending
}

func (f *faults) heal() {
	f.mu.Lock()
	f.fault, f.left = None, 0
	f.mu.Unlock()
	f.release()
}

func (f *faults) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.healed)
	f.healed = make(chan struct{})
}

func (f *faults) take(bulk bool) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 || f.fault == None || f.left > 0 && !bulk {
		return None, false
	}
	if f.left > 0 {
		f.left--
	}
	return f.fault, true
}

func (f *faults) hang(r *http.Request) {
	f.mu.Lock()
	f.pending++
	healed := f.healed
	close(f.news)
	f.news = make(chan struct{})
	f.mu.Unlock()
	select {
	case <-healed:
	case <-r.Context().Done():
	}
	f.mu.Lock()
	f.pending--
	f.mu.Unlock()
}

func (f *faults) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

func (f *faults) announce() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.news)
	f.news = make(chan struct{})
}

// before plays the faults that happen before the request is understood; true
// ends the request.
func (s *Server) before(f Fault, w http.ResponseWriter, r *http.Request) bool {
	cut := func() { panic(http.ErrAbortHandler) } // closes the connection without a word
	page := func(status int) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html><head><title>Gateway</title></head><body><h1>Sign in</h1></body></html>")
	}
	refuse := func(e *Error) {
		_, _ = io.Copy(io.Discard, r.Body)
		if s.options.Distribution != OpenSearch {
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
		}
		(&call{w: w, r: r}).error(e)
	}
	switch f {
	case Refuse:
		cut()
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices when the client leaves
		s.faults.hang(r)
		cut()
	case CutBefore:
		_, _ = io.CopyN(io.Discard, r.Body, 64)
		cut()
	case HTML:
		page(http.StatusOK)
	case BadGateway:
		page(http.StatusBadGateway)
	case Throttle:
		w.Header().Set("Retry-After", "1")
		refuse(s.rejected("rejected execution of coordinating operation"))
	case Unavailable:
		refuse(fail(503, "unavailable_shards_exception", "primary shard is not active"))
	case Unauthorized:
		refuse(fail(401, "security_exception", "unable to authenticate with provided credentials"))
	case Forbidden:
		refuse(denied("indices:data/write/bulk", "indices [x]", "create_doc", "create", "delete", "index", "write", "all"))
	case NotFound:
		_, _ = io.Copy(io.Discard, r.Body)
		http.NotFound(w, r)
	case ServerError:
		refuse(fail(500, "illegal_state_exception", "something broke"))
	case Echo:
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, "cannot handle %s %s: %v", r.Method, r.URL, r.Header)
	case TooLarge:
		refuse(fail(413, "content_too_long_exception", "entity content is too long"))
	case EmptyReply:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusOK)
	default:
		return false
	}
	return true
}

// reply writes the answer to a bulk request in the way that the fault wants it.
func (s *Server) reply(c *call, f Fault, body []byte) {
	switch f {
	case HangAfter:
		s.faults.hang(c.r)
		panic(http.ErrAbortHandler)
	case CutAfter:
		panic(http.ErrAbortHandler)
	case CutReply:
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusOK)
		_, _ = c.w.Write(body[:len(body)/2])
		_ = http.NewResponseController(c.w).Flush()
		panic(http.ErrAbortHandler)
	case Slow:
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusOK)
		for len(body) > 0 {
			n := min(len(body), 1<<10)
			_, _ = c.w.Write(body[:n])
			_ = http.NewResponseController(c.w).Flush()
			body = body[n:]
			select {
			case <-time.After(time.Millisecond):
			case <-c.r.Context().Done():
				return
			}
		}
	default:
		c.raw(http.StatusOK, body)
	}
}
