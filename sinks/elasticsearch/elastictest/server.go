package elastictest

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The distributions that a [Server] can play.
const (
	Elasticsearch = "elasticsearch"
	OpenSearch    = "opensearch"
	Serverless    = "serverless"
)

// Options says what server to play. The zero value is an Elasticsearch without
// security.
type Options struct {
	Distribution string
	// APIKey ("id:key") or Username and Password are asked for when set.
	APIKey             string
	Username, Password string
	// Privileges are what the credentials may do, out of monitor,
	// manage_index_templates (cluster), index, delete, read, auto_configure,
	// view_index_metadata, manage (index); nil = everything.
	Privileges []string
	// MaxBody is http.max_content_length in bytes; 0 = 100 MiB. It bounds the body
	// after decompression too.
	MaxBody int64
	// Pressure is the memory for indexing in bytes, a tenth of the heap: requests
	// that hold more are rejected with 429 however often they come; 0 = no limit.
	Pressure int
	// GCDeletes is how long a deleted document's version is remembered; 0 = 60 s,
	// as index.gc_deletes has it; negative = for ever.
	GCDeletes time.Duration
	// RefuseAutoCreate is action.auto_create_index: false.
	RefuseAutoCreate bool
	// FailureStore makes the server treat the index as a data stream with a failure
	// store: what its mapping refuses is accepted, elsewhere.
	FailureStore bool
	// Lax leaves out the comparison of documents with the mapping, which takes
	// longer than all else; for benchmarks.
	Lax bool
	// Now is the server's clock; nil = time.Now.
	Now func() time.Time
}

// Server is a running stand-in. Its methods may be called by several
// goroutines.
type Server struct {
	options Options
	addr    string
	faults  faults

	http   *http.Server // used by NewServer, Stop, Restart and Close only
	served chan struct{}

	mu         sync.Mutex
	indices    map[string]*index
	components map[string]map[string]any
	templates  map[string]map[string]any
	poison     func(id string, doc []byte) *Error
	checker    checker
	stats      Stats
	requests   []string
	privileges []string
}

// NewServer starts a server on a loopback port.
func NewServer(o Options) *Server {
	if o.Distribution == "" {
		o.Distribution = Elasticsearch
	}
	if o.MaxBody == 0 {
		o.MaxBody = 100 << 20
	}
	if o.GCDeletes == 0 {
		o.GCDeletes = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o, addr: "127.0.0.1:0", privileges: o.Privileges, checker: checker{openSearch: o.Distribution == OpenSearch}}
	s.faults.init()
	s.forget()
	if err := s.start(); err != nil {
		panic("elastictest: " + err.Error()) // no loopback, no test
	}
	return s
}

func (s *Server) forget() {
	s.indices = map[string]*index{}
	s.components = map[string]map[string]any{}
	s.templates = map[string]map[string]any{}
}

func (s *Server) start() error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = listener.Addr().String()
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute}
	s.served = make(chan struct{})
	go func(h *http.Server, done chan struct{}) {
		defer close(done)
		_ = h.Serve(listener)
	}(s.http, s.served)
	return nil
}

func (s *Server) stop() {
	s.faults.release()
	_ = s.http.Close()
	<-s.served
}

// URL is the server's address.
func (s *Server) URL() string { return "http://" + s.addr }

// Close ends the server and every request to it.
func (s *Server) Close() { s.stop() }

// Stop makes the server refuse connections until [Server.Restart].
func (s *Server) Stop() { s.stop() }

// Restart ends the server, if it runs, and starts it again at the same
// address: with its documents and templates, or without. Faults are gone
// either way.
func (s *Server) Restart(keep bool) error {
	s.stop()
	s.faults.heal()
	if !keep {
		s.mu.Lock()
		s.forget()
		s.mu.Unlock()
	}
	return s.start()
}

// SetPrivileges changes what the credentials may do; nil = everything.
func (s *Server) SetPrivileges(p []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.privileges = p
}

// Poison makes the server refuse the documents for which f returns an error;
// nil = none.
func (s *Server) Poison(f func(id string, doc []byte) *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison = f
}

// Error is an Elasticsearch error: its status, type and reason.
type Error struct {
	Status   int
	Type     string
	Reason   string
	CausedBy *Error
}

func (e *Error) body() map[string]any {
	m := map[string]any{"type": e.Type, "reason": e.Reason}
	if e.CausedBy != nil {
		m["caused_by"] = e.CausedBy.body()
	}
	return m
}

func fail(status int, kind, format string, args ...any) *Error {
	return &Error{Status: status, Type: kind, Reason: fmt.Sprintf(format, args...)}
}

// call is one request being answered.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	path []string
	body []byte
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	fault, ok := s.faults.take(strings.HasSuffix(r.URL.Path, "/_bulk"))
	if ok && s.before(fault, w, r) {
		return
	}
	s.answer(w, r, fault)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, fault Fault) {
	if s.options.Distribution != OpenSearch {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
	}
	c := &call{w: w, r: r, path: strings.Split(strings.Trim(r.URL.Path, "/"), "/")}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if e := s.authenticate(r); e != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="security"`)
		c.error(e)
		return
	}
	body, e := s.read(r)
	if e != nil {
		c.error(e)
		return
	}
	c.body = body
	s.route(c, fault)
}

func (s *Server) authenticate(r *http.Request) *Error {
	var want []string
	if k := s.options.APIKey; k != "" {
		want = append(want, "ApiKey "+base64.StdEncoding.EncodeToString([]byte(k)))
	}
	if u := s.options.Username; u != "" {
		want = append(want, "Basic "+base64.StdEncoding.EncodeToString([]byte(u+":"+s.options.Password)))
	}
	got := r.Header.Get("Authorization")
	switch {
	case len(want) == 0, slices.Contains(want, got):
		return nil
	case got == "":
		return fail(401, "security_exception", "missing authentication credentials for REST request [%s]", r.URL.Path)
	}
	return fail(401, "security_exception", "unable to authenticate user for REST request [%s]", r.URL.Path)
}

// read returns the request's body, decompressed, within the limit.
func (s *Server) read(r *http.Request) ([]byte, *Error) {
	var in io.Reader = r.Body
	tooLarge := fail(413, "content_too_long_exception", "entity content is too long for the configured limit [%d]", s.options.MaxBody)
	if r.ContentLength > s.options.MaxBody {
		return nil, tooLarge
	}
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fail(400, "parse_exception", "request body is required")
		}
		in = z
	default:
		return nil, fail(415, "media_type_header_exception", "Content-Encoding [%s] is not supported", enc)
	}
	body, err := io.ReadAll(io.LimitReader(in, s.options.MaxBody+1))
	if err != nil {
		return nil, fail(400, "parse_exception", "read body: %s", err)
	}
	if int64(len(body)) > s.options.MaxBody {
		return nil, tooLarge
	}
	if len(body) > 0 {
		media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if media != "application/json" && media != "application/x-ndjson" {
			return nil, bare(406, "Content-Type header [%s] is not supported", media)
		}
	}
	return body, nil
}

// may reports whether the credentials have one of the privileges.
func (s *Server) may(one ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.privileges == nil {
		return true
	}
	return slices.ContainsFunc(one, func(p string) bool { return slices.Contains(s.privileges, p) })
}

func denied(action, what string, privileges ...string) *Error {
	return fail(403, "security_exception", "action [%s] is unauthorized for API key id [test] on %s, this action is granted by the privileges [%s]",
		action, what, strings.Join(privileges, ","))
}

// bare is an error that the server tells as text where others are an object.
func bare(status int, format string, args ...any) *Error { return fail(status, "", format, args...) }

func (c *call) error(e *Error) {
	switch {
	case e.Status == 413: // given by the HTTP layer, before there is anything to tell
		c.raw(e.Status, nil)
		return
	case e.Type == "":
		c.json(e.Status, map[string]any{"error": e.Reason, "status": e.Status})
		return
	}
	whole := e.body()
	whole["root_cause"] = []any{e.body()}
	c.json(e.Status, map[string]any{"error": whole, "status": e.Status})
}

func (c *call) json(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.raw(status, b)
}

func (c *call) raw(status int, b []byte) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(b)
	}
}

// Wait blocks until ok returns true of what arrived, which is asked after every
// request, or ctx ends.
func (s *Server) Wait(ctx context.Context, ok func(Stats) bool) error {
	for {
		changed := s.faults.changed()
		if ok(s.Stats()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errors.New("elastictest: what was waited for did not happen"), ctx.Err())
		}
	}
}
