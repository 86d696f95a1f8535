package splunktest

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// DefaultToken is the token of a server whose Options name none.
const DefaultToken = "00000000-1111-4222-8333-444444444444"

// defaultMaxContent is max_content_length of Splunk 10.
const defaultMaxContent = 838_860_800

// Options says what kind of collector a Server is. The zero value is one
// without acknowledgment that takes events for every index.
type Options struct {
	Token        string // "" = DefaultToken
	DefaultIndex string // for events that name none; "" = "main"
	// Indexes is the token's allow-list; an event for another is refused with
	// code 7. nil = no list.
	Indexes []string
	// Existing are the indexes that exist. Without an allow-list an event for
	// another is answered with success and dropped, as Splunk does. nil = all.
	Existing []string

	Ack      bool // the token has indexer acknowledgment on
	AckPolls int  // polls that say false before an acknowledgment is given
	// Sticky puts a load balancer with session cookies in front of several
	// indexers; see [Server.MoveSessions].
	Sticky bool
	// Cloud answers as Splunk Cloud does, with code 28 for a missing channel.
	Cloud bool
	// MaxContentLength is the size from which on a request is refused with 413;
	// 0 = Splunk 10's.
	MaxContentLength int
	// CloudMaxBytes is the size from which on a request is refused with code 6
	// and event number 0, as Splunk Cloud does; 0 = none.
	CloudMaxBytes int

	// CountOnly keeps no events, only their number and that of requests.
	CountOnly bool
	// IdleTimeout after which connections are closed; 0 = 12 s, as a busy Splunk.
	IdleTimeout time.Duration
	// TLS makes the server speak https.
	TLS *tls.Config
}

// Server is a running collector on loopback. Its methods are safe for
// concurrent use.
type Server struct {
	o    Options
	addr string

	mu       sync.Mutex
	http     *http.Server
	running  sync.WaitGroup // Serve of http
	handling sync.WaitGroup // requests
	down     chan struct{}  // closed when http stops; ends what hangs
	faults   []*Fault
	cleared  chan struct{} // closed by Clear; ends what hangs
	poison   func(Event) bool
	code     int // what poison is refused with
	events   []Event
	stored   int64
	requests map[string]int // by endpoint
	problems []string
	channels map[channelKey]*ackState
	sessions int // the current indexer, for Sticky
}

// NewServer starts a server on a free loopback port. It panics when there is
// none, as nothing could be tested then.
func NewServer(o Options) *Server {
	o.Token = cmp.Or(o.Token, DefaultToken)
	o.DefaultIndex = cmp.Or(o.DefaultIndex, "main")
	o.MaxContentLength = cmp.Or(o.MaxContentLength, defaultMaxContent)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 12*time.Second)
	s := &Server{o: o, addr: "127.0.0.1:0", cleared: make(chan struct{}), requests: map[string]int{}, channels: map[channelKey]*ackState{}}
	if err := s.Start(); err != nil {
		panic("splunktest: " + err.Error())
	}
	return s
}

// URL returns the value for the sink's url.
func (s *Server) URL() string {
	scheme := "http://"
	if s.o.TLS != nil {
		scheme = "https://"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return scheme + s.addr
}

// Token returns the one token that the server knows.
func (s *Server) Token() string { return s.o.Token }

// Start listens again, at the same address, after Stop.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	if s.o.TLS != nil {
		l = tls.NewListener(l, s.o.TLS)
	}
	srv := &http.Server{
		Handler:           s,
		IdleTimeout:       s.o.IdleTimeout,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.http, s.down = srv, make(chan struct{})
	s.running.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.problem("serve: %v", err)
		}
	})
	return nil
}

// Stop closes the listener and every connection at once: connections are
// refused until Start. Everything the server knows stays.
func (s *Server) Stop() {
	s.mu.Lock()
	srv := s.http
	s.http = nil
	if srv != nil {
		close(s.down)
	}
	s.mu.Unlock()
	if srv != nil {
		_ = srv.Close()
		s.running.Wait()
		s.handling.Wait() // they end, as their connections are closed and what hangs is released
	}
}

// Restart stops and starts the server. Splunk keeps acknowledgments in memory,
// so they are forgotten; with keep false, events that were accepted and not yet
// acknowledged are lost too, as they are with an indexer that crashes.
func (s *Server) Restart(keep bool) error {
	s.Stop()
	s.mu.Lock()
	if !keep && s.o.Ack {
		kept := s.events[:0]
		for _, e := range s.events {
			if e.durable() {
				kept = append(kept, e)
			}
		}
		s.events = kept
	}
	clear(s.channels)
	s.mu.Unlock()
	return s.Start()
}

// Close ends the server.
func (s *Server) Close() { s.Stop() }
