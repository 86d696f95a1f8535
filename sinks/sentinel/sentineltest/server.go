package sentineltest

import (
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The defaults of [Options], for configurations to name.
const (
	TenantID     = "11111111-2222-4333-8444-555555555555"
	ClientID     = "66666666-7777-4888-9999-aaaaaaaaaaaa"
	ClientSecret = "sentineltest-client-secret"
	WorkspaceID  = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
	Scope        = "https://management.azure.com/.default"
	APIVersion   = "2024-02-01-preview"
)

// Options says what a Server expects of its callers. Zero values stand for the
// defaults above.
type Options struct {
	TenantID, ClientID, ClientSecret string
	// ClientCertificate, when set, is what client assertions must be signed by.
	ClientCertificate *x509.Certificate
	// FederatedToken, when set, is accepted as client assertion.
	FederatedToken string
	// IdentityHeader is what managed identity requests must present; "" = none are served.
	IdentityHeader string
	WorkspaceID    string
	Scope          string
	APIVersion     string
	// TokenLifetime of issued tokens; 0 = 1 h.
	TokenLifetime time.Duration
	// RequestsPerMinute that a caller may make; 0 = 100, negative = any number.
	RequestsPerMinute int
	// Lenient accepts properties that the API does not document.
	Lenient bool
	// SwaggerNames calls the messages of a refused object
	// validationErrorMessages, as the API description does, instead of
	// errorMessages, as the documentation does.
	SwaggerNames bool
	// Forget makes the server keep no request bodies, only the current objects;
	// for long runs.
	Forget bool
}

// Server is the stand-in. Its methods are safe for use by several goroutines.
type Server struct {
	options Options
	ca      *authority
	addr    string

	// power serialises what opens and closes the port.
	power  sync.Mutex
	served chan struct{} // closed when http has let go of the port; guarded by power

	mu       sync.Mutex
	http     *http.Server // nil while refusing
	tokens   map[string]time.Time
	requests []time.Time // uploads counted within the last minute
	jtis     map[string]bool
	logins   int
	faults   faults
	store    store
	release  chan struct{} // closed to let hanging requests go
	closed   bool
	caFile   string
}

// NewServer starts a Server on a free loopback port.
func NewServer(o Options) (*Server, error) {
	def := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	def(&o.TenantID, TenantID)
	def(&o.ClientID, ClientID)
	def(&o.ClientSecret, ClientSecret)
	def(&o.WorkspaceID, WorkspaceID)
	def(&o.Scope, Scope)
	def(&o.APIVersion, APIVersion)
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.RequestsPerMinute == 0 {
		o.RequestsPerMinute = 100
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("sentineltest: make a certificate: %w", err)
	}
	s := &Server{
		options: o, ca: ca,
		tokens: map[string]time.Time{}, jtis: map[string]bool{},
		store: newStore(), release: make(chan struct{}),
	}
	if err := s.listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens the port and serves it.
func (s *Server) listen(addr string) error {
	l, err := bind(addr)
	if err != nil {
		return fmt.Errorf("sentineltest: %w", err)
	}
	srv := &http.Server{
		Handler:           s.handler(),
		TLSConfig:         s.ca.serverConfig(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	served := make(chan struct{})
	s.served = served
	s.mu.Lock()
	s.http, s.addr = srv, l.Addr().String()
	s.mu.Unlock()
	go func() { // ends with srv.Close
		defer close(served)
		srv.ServeTLS(l, "", "")
	}()
	return nil
}

// bind listens on addr. A port that was given up a moment ago may have been
// taken for somebody's outgoing connection; those end soon.
func bind(addr string) (net.Listener, error) {
	for attempt := 1; ; attempt++ {
		l, err := net.Listen("tcp", addr)
		if err == nil || attempt == 100 {
			return l, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// shut closes the port and all connections.
func (s *Server) shut() {
	s.mu.Lock()
	srv := s.http
	s.http = nil
	s.mu.Unlock()
	if srv != nil {
		srv.Close()
		<-s.served
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.openID)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.token)
	mux.HandleFunc("GET /msi/token", s.managedIdentity)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/workspaces/") {
			s.upload(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// URL is the base URL, for both endpoint and authority_host.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "https://" + s.addr
}

// CAPEM is the certificate of the server's authority.
func (s *Server) CAPEM() []byte { return s.ca.pem }

// CAFile writes the certificate of the server's authority to a file, which
// Close removes, and returns its path.
func (s *Server) CAFile() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caFile != "" {
		return s.caFile, nil
	}
	dir, err := os.MkdirTemp("", "sentineltest-")
	if err != nil {
		return "", fmt.Errorf("sentineltest: %w", err)
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, s.ca.pem, 0o644); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("sentineltest: %w", err)
	}
	s.caFile = file
	return file, nil
}

// WorkspaceID is the workspace that the server knows.
func (s *Server) WorkspaceID() string { return s.options.WorkspaceID }

// Close stops the server, cutting what is under way.
func (s *Server) Close() {
	s.power.Lock()
	defer s.power.Unlock()
	s.mu.Lock()
	dir := ""
	if s.caFile != "" {
		dir = filepath.Dir(s.caFile)
	}
	s.caFile = ""
	if !s.closed {
		s.closed = true
		close(s.release)
	}
	s.mu.Unlock()
	s.shut()
	if dir != "" {
		os.RemoveAll(dir)
	}
}
