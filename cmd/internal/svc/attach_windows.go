package svc

import (
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/kardianos/service"
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
	return nil
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
