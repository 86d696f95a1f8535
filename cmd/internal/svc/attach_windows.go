package svc

import (
	"errors"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/kardianos/service"

	"taxii-forwarder/cmd/internal/app"
)

var reloadSignals []os.Signal

// surviveReaders does nothing: Windows has no signal for a closed pipe.
func surviveReaders() {}

// attach sends warnings and errors to the event log when Windows runs the
// program as a service.
func (p *program) attach(s service.Service) error {
	if service.Interactive() {
		return nil
	}
	l, err := s.Logger(nil)
	if err != nil {
		return nil // no event source, which only an installation makes
	}
	p.options.Events = &eventLog{l}
	p.failed = func(err error) {
		why := []any{"error", err}
		var c *app.ConfigError
		if errors.As(err, &c) {
			why = append(why, "details", "\r\n"+strings.ReplaceAll(c.Details(), "\n", "\r\n"))
		}
		p.options.Events.Accept(DefaultName, hclog.Error, "the service does not start", why...)
	}
	return nil
}

// run serves the service control manager. Off it, the package would miss a
// signal that came during the start, and a console window that is closed.
func (p *program) run(s service.Service) error {
	if service.Interactive() {
		return p.foreground()
	}
	return s.Run()
}

// eventLog is the hclog sink that writes to the Windows event log.
type eventLog struct{ service.Logger }

func (e *eventLog) Accept(name string, level hclog.Level, msg string, args ...any) {
	text := eventText(name, msg, args)
	switch level {
	case hclog.Warn:
		e.Warning(text)
	case hclog.Error:
		e.Error(text)
	}
}
