// Package svc makes the forwarder a service of the operating system: systemd on
// Linux, the service control manager on Windows.
//
// The daemon itself is an [app.App]; this package starts and stops it when the
// service manager says so, tells the manager how it is doing, and installs and
// removes it.
package svc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/kardianos/service"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder"
)

// Name and description of the service, unless the admin gives another name.
const (
	DefaultName = "taxii-forwarder"
	description = "Keeps Splunk, Microsoft Sentinel and Elasticsearch in step with TAXII 2.1 threat intelligence feeds."
)

// program is what the service manager starts and stops.
type program struct {
	ctx     context.Context // ends when a signal asks to stop
	options app.Options
	hup     <-chan os.Signal
	notify  func(string) // tells systemd; nil = there is none
	failed  func(error)  // tells the event log why it does not start; nil = there is none

	mu     sync.Mutex
	app    *app.App
	stop   context.CancelFunc
	beside sync.WaitGroup // what runs beside the app until stop
}

// Start is called by the service manager and returns once everything runs. The
// configuration is read here and not before, so that the manager hears what is
// wrong with it.
func (p *program) Start(service.Service) error {
	// A signal to stop may come while the state is still being opened.
	ctx, stop := context.WithCancel(p.ctx)
	started := p.starting()
	a, err := app.Start(ctx, p.options)
	started()
	if err != nil {
		stop()
		if p.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // told to stop before it had started: that is no failure
		}
		if p.failed != nil {
			p.failed(err)
		}
		return err
	}
	p.mu.Lock()
	p.app, p.stop = a, stop
	p.mu.Unlock()
	if every := watchdogInterval(); p.notify != nil && every > 0 {
		p.beside.Go(func() { feedWatchdog(ctx, every, a.Alive, p.notify) })
	}
	p.beside.Go(func() {
		for {
			select {
			case <-p.hup:
				// Refusals are logged, shown on the status page and in the metrics.
				_ = a.Reload(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// Stop finishes what is in flight, within [forwarder.DrainTimeout].
func (p *program) Stop(service.Service) error {
	p.mu.Lock()
	a, stop := p.app, p.stop
	p.mu.Unlock()
	if a == nil {
		return nil
	}
	stop()
	p.beside.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), forwarder.DrainTimeout+2*time.Second)
	defer cancel()
	return a.Stop(ctx)
}

// Shutdown is called when Windows shuts down.
func (p *program) Shutdown(s service.Service) error { return p.Stop(s) }

// Run runs the forwarder until the service manager stops it, or ctx ends, which
// the caller sees to when a signal arrives.
func Run(ctx context.Context, o app.Options, stderr io.Writer) error {
	o.LogOutput = stderr
	surviveReaders()
	hup := make(chan os.Signal, 1)
	if len(reloadSignals) > 0 {
		signal.Notify(hup, reloadSignals...)
		defer signal.Stop(hup)
	}
	p := &program{ctx: ctx, options: o, hup: hup}
	s, err := service.New(p, &service.Config{
		Name: DefaultName, Description: description,
		// The package's own waiting misses a signal that came during the start.
		Option: service.KeyValue{"RunWait": func() { <-ctx.Done() }},
	})
	if err != nil {
		if !errors.Is(err, service.ErrNoServiceSystemDetected) {
			return fmt.Errorf("service manager: %w", err)
		}
		return p.foreground() // a container without an init system
	}
	if err := p.attach(s); err != nil {
		return err
	}
	return p.run(s)
}

// foreground is Run where there is no service manager of any kind.
func (p *program) foreground() error {
	if err := p.Start(nil); err != nil {
		return err
	}
	<-p.ctx.Done()
	return p.Stop(nil)
}
