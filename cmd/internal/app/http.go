package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/transport"
	"taxii-forwarder/forwarder/web"
)

// pages is what an http block asks for, ready to be served.
type pages struct {
	config.HTTP
	certificate *tls.Config // nil = plain HTTP
	options     web.Options
}

func (a *App) pages(h config.HTTP) (pages, error) {
	p := pages{HTTP: h, options: web.Options{Source: a, Gatherer: a.metrics.Registry(), Token: h.Token, Logger: a.log.Named("http")}}
	if h.TLS == (transport.Listener{}) {
		return p, nil
	}
	var err error
	if p.certificate, err = h.TLS.Config(); err != nil {
		return p, fmt.Errorf("http listener: %w", err)
	}
	return p, nil
}

// listen starts the status listener; an empty address means none.
func (a *App) listen(h config.HTTP) (*web.Server, error) {
	if h.Listen == "" {
		return nil, nil
	}
	p, err := a.pages(h)
	if err != nil {
		return nil, err
	}
	s, err := web.Listen(h.Listen, p.certificate, p.options)
	if err != nil {
		return nil, fmt.Errorf("http listener: %w", err)
	}
	scheme := "http"
	if p.certificate != nil {
		scheme = "https"
	}
	a.log.Info("status page", "url", scheme+"://"+s.Addr().String(), "token", h.Token != "")
	return s, nil
}

// relisten prepares the change to another http block. What it returns is to be
// called exactly once: with true to make the change, with false to drop it.
func (a *App) relisten(h config.HTTP) (finish func(bool), err error) {
	if h == a.config.HTTP {
		return func(bool) {}, nil
	}
	if a.web != nil && h.Listen == a.config.HTTP.Listen {
		p, err := a.pages(h)
		return func(ok bool) {
			if ok {
				a.web.Use(p.certificate, p.options)
			}
		}, err
	}
	next, err := a.listen(h)
	return func(ok bool) {
		if !ok {
			closeWeb(next)
			return
		}
		closeWeb(a.web)
		a.web = next
	}, err
}

// closeWeb closes a status listener, if there is one; pages being served may
// finish.
func closeWeb(s *web.Server) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.Close(ctx)
}
