package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Server is a running listener.
type Server struct {
	listener *listener
	http     *http.Server
	handler  atomic.Pointer[http.Handler]
	done     chan struct{}
}

// listener speaks TLS with those who come while it has a certificate.
type listener struct {
	net.Listener
	tls atomic.Pointer[tls.Config] // nil = plain HTTP
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if conf := l.tls.Load(); conf != nil {
		return tls.Server(c, conf), nil
	}
	return c, nil
}

// Listen serves the pages on addr ("127.0.0.1:9464"; port 0 = any) until
// Close. certificate may be nil: plain HTTP. The error says what is wrong with
// the address.
func Listen(addr string, certificate *tls.Config, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w%s", addr, err, listenHint(err))
	}
	s := &Server{
		listener: &listener{Listener: tcp},
		done:     make(chan struct{}),
		http: &http.Server{
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      60 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		},
	}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) })
	s.Use(certificate, o)
	go func() {
		defer close(s.done)
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the status listener ended", "address", addr, "error", err)
		}
	}()
	return s, nil
}

// Use changes what is served, and how, on the same address: the options from the
// next request on, the certificate for whoever connects from now on. Connections
// of those who came by plain HTTP do not outlive a change to TLS.
func (s *Server) Use(certificate *tls.Config, o Options) {
	if certificate != nil {
		certificate = certificate.Clone()
		certificate.MinVersion = max(certificate.MinVersion, tls.VersionTLS12)
		certificate.NextProtos = []string{"h2", "http/1.1"}
	}
	s.listener.tls.Store(certificate)
	h := Handler(o)
	if certificate != nil {
		h = encrypted(h)
	}
	s.handler.Store(&h)
}

// encrypted turns away requests on connections from before there was TLS.
func encrypted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "this listener speaks TLS now; connect again", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wsaAddrInUse is what Windows says for EADDRINUSE.
const wsaAddrInUse = syscall.Errno(10048)

func listenHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, wsaAddrInUse):
		return " (is another forwarder running? else set another http listen address)"
	case errors.Is(err, syscall.EACCES):
		return " (ports below 1024 need a privilege; choose a higher one)"
	}
	return ""
}

// Addr returns the address listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close stops listening and lets requests under way end until ctx does.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	<-s.done
	return err
}
