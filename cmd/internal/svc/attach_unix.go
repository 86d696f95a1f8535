//go:build !windows

package svc

import (
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/kardianos/service"

	"taxii-forwarder/cmd/internal/app"
)

var reloadSignals = []os.Signal{syscall.SIGHUP}

// surviveReaders keeps the program alive when whoever reads its log, or a file
// sink's standard output, goes away: by default a write to a closed pipe as
// standard output or error ends a Go program (os/signal, "SIGPIPE").
func surviveReaders() { signal.Ignore(syscall.SIGPIPE) }

func (p *program) run(s service.Service) error { return s.Run() }

// attach makes the program tell systemd of its stages (sd_notify(3)), where
// systemd wants to know.
func (p *program) attach(service.Service) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // the abstract namespace
	}
	p.notify = func(msg string) {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return // systemd will say what it missed
		}
		defer conn.Close()
		conn.Write([]byte(msg))
	}
	p.options.Notify = func(s app.Stage, text string) {
		msg := "STATUS=" + text
		if s != app.Working {
			msg = string(s) + "\n" + msg
		}
		p.notify(msg)
	}
	return nil
}
