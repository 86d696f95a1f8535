package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Server is a running listener.
type Server struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{}
}

// Listen serves the pages on addr ("127.0.0.1:9464"; port 0 = any) until
// Close. certificate may be nil: plain HTTP. The error says what is wrong with
// the address.
func Listen(addr string, certificate *tls.Config, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w%s", addr, err, listenHint(err))
	}
	if certificate != nil {
		certificate = certificate.Clone()
		certificate.MinVersion = max(certificate.MinVersion, tls.VersionTLS12)
		certificate.NextProtos = []string{"h2", "http/1.1"}
		listener = tls.NewListener(listener, certificate)
	}
	s := &Server{
		listener: listener,
		done:     make(chan struct{}),
		http: &http.Server{
			Handler:           Handler(o),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      60 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the status listener ended", "address", addr, "error", err)
		}
	}()
	return s, nil
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
