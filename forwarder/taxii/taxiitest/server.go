package taxiitest

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options says what a [Server] is like. The zero value is a strict server
// without authentication.
type Options struct {
	// Profile is whom to play; zero = the specification.
	Profile Profile
	// Auth is who may ask; zero = everyone. It replaces the profile's.
	Auth Auth
	// PageCap bounds a page, whatever limit asks for; 0 = the profile's, else 10,000.
	PageCap int
	// Now is the server's clock; nil = time.Now. It is what Date says.
	Now func() time.Time
	// Prerender keeps rendered pages until the collection changes, so that a
	// benchmark measures its client.
	Prerender bool
	// OnRequest is called before each request is dealt with; n counts the
	// requests for objects from 1 and is 0 for others. It may add objects.
	OnRequest func(n int, r *http.Request)
	// KeepRequests bounds the request log; 0 = 10,000.
	KeepRequests int
}

// Server is a TAXII 2.1 server. Its methods may be called while it serves.
type Server struct {
	o       Options
	p       Profile
	auth    Auth
	cap     int
	servers []*http.Server
	origins []string // of the discovery resource and of the API roots
	stop    chan struct{}
	once    sync.Once

	mu         sync.Mutex
	roots      []*root
	log        []Request
	violations []string
	faults     []*Fault
	objects    int // requests for objects so far
	account    meter
	refused    int // requests beyond the rate limit
	tokens     map[string]*session
	tokenSeq   int
}

type root struct {
	path, title string // path begins and ends with a slash
	collections []*Collection
}

// New starts a server. It panics when loopback can not be listened on.
func New(o Options) *Server {
	s := &Server{o: o, p: o.Profile, auth: o.Auth, cap: o.PageCap, stop: make(chan struct{}), tokens: map[string]*session{}}
	s.p.defaults()
	if s.auth == (Auth{}) {
		s.auth = s.p.Auth
	}
	s.cap = cmp.Or(s.cap, s.p.PageCap, 10000)
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	s.o.KeepRequests = cmp.Or(s.o.KeepRequests, 10000)
	s.listen()
	if s.p.TwoHosts {
		s.listen()
	}
	s.roots = append(s.roots, &root{path: s.p.RootPath, title: "API root"})
	return s
}

func (s *Server) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("taxiitest: %v", err))
	}
	srv := &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute}
	s.servers = append(s.servers, srv)
	s.origins = append(s.origins, "http://"+l.Addr().String())
	go func() { _ = srv.Serve(l) }()
}

// Close stops the server and cuts what is in flight.
func (s *Server) Close() {
	s.once.Do(func() { close(s.stop) })
	for _, srv := range s.servers {
		_ = srv.Close()
	}
}

// URL returns the discovery resource's.
func (s *Server) URL() string { return s.origins[0] + s.p.DiscoveryPath }

// Origin returns the scheme, host and port of the discovery resource.
func (s *Server) Origin() string { return s.origins[0] }

// RootURL returns the first API root's.
func (s *Server) RootURL() string { return s.origins[len(s.origins)-1] + s.p.RootPath }

// AddRoot adds an API root at path, which must begin and end with a slash.
func (s *Server) AddRoot(path, title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roots = append(s.roots, &root{path: path, title: title})
}

// Info describes a collection.
type Info struct {
	ID, Alias, Title, Description string
	NoRead, CanWrite              bool
}

// AddCollection adds a collection to the first API root.
func (s *Server) AddCollection(info Info) *Collection { return s.AddCollectionTo(s.p.RootPath, info) }

// AddCollectionTo adds a collection to the API root at path. It panics when
// there is none.
func (s *Server) AddCollectionTo(path string, info Info) *Collection {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.roots, func(r *root) bool { return r.path == path })
	if i < 0 {
		panic("taxiitest: no API root " + path)
	}
	c := &Collection{s: s, info: info, newest: map[string]head{}}
	s.roots[i].collections = append(s.roots[i].collections, c)
	return c
}

// serve deals with one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	n := 0
	if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/objects") {
		s.mu.Lock()
		s.objects++
		n = s.objects
		s.mu.Unlock()
	}
	if s.o.OnRequest != nil {
		s.o.OnRequest(n, r)
	}
	a := s.answer(r)
	s.note(r, a)
	s.send(w, r, a)
}

// An answer is what a request is given.
type answer struct {
	status int
	header http.Header
	body   []byte
	fault  *Fault
	count  int // objects in body
}

func (s *Server) json(status int, body []byte) *answer {
	a := &answer{status: status, header: http.Header{}, body: body}
	a.header.Set("Content-Type", s.p.ContentType)
	return a
}

// answer decides about a request.
func (s *Server) answer(r *http.Request) *answer {
	if f := s.fault(r); f != nil && f.replaces() {
		return f.answer()
	} else if f != nil {
		a := s.route(r)
		a.fault = f
		return a
	}
	return s.route(r)
}

// route finds the resource that a request is for.
func (s *Server) route(r *http.Request) *answer {
	if a := s.redirect(r); a != nil {
		return a
	}
	if a := s.authenticate(r); a != nil {
		return a
	}
	told, refused := s.meter(r)
	a := refused
	if a == nil {
		a = s.resource(r)
	}
	if len(told) > 0 {
		own := *a // rendered pages are shared
		if own.header = a.header.Clone(); own.header == nil {
			own.header = http.Header{}
		}
		maps.Copy(own.header, told)
		a = &own
	}
	return a
}

// resource answers a request that was let in.
func (s *Server) resource(r *http.Request) *answer {
	if a := s.acceptable(r); a != nil {
		return a
	}
	path := r.URL.Path
	if !strings.HasSuffix(path, "/") {
		s.violate(r, "the path does not end in a slash (§3.1)")
		return s.fail(http.StatusNotFound, "no such resource", "paths end in a slash")
	}
	if path == s.p.DiscoveryPath {
		return s.discovery(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, root := range s.roots {
		rest, ok := strings.CutPrefix(path, root.path)
		if !ok {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
		switch {
		case rest == "":
			return s.rootInfo(r, root)
		case parts[0] != "collections" || len(parts) > 3:
		case len(parts) == 1:
			return s.collections(r, root)
		default:
			c := root.find(parts[1])
			if c == nil {
				return s.fail(http.StatusNotFound, "collection not found", "there is no collection "+parts[1])
			}
			switch {
			case len(parts) == 2:
				return s.json(http.StatusOK, c.describe())
			case c.info.NoRead:
				return s.fail(http.StatusForbidden, "forbidden", "this collection is not readable")
			case parts[2] == "objects":
				return s.serveObjects(r, c)
			case parts[2] == "manifest" && !s.p.NoManifest:
				return s.serveManifest(r, c)
			}
		}
	}
	return s.fail(http.StatusNotFound, "not found", "there is nothing at "+path)
}

func (r *root) find(name string) *Collection {
	for _, c := range r.collections {
		if c.info.ID == name || c.info.Alias == name && name != "" {
			return c
		}
	}
	return nil
}
