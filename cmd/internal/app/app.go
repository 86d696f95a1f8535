// Package app is the running forwarder: it puts configuration, state, engine,
// status listener and command listener together, reloads and takes them down
// again. It touches neither signals nor os.Exit, so that tests and the demo run
// the real thing.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/metrics"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/web"
)

// Options say how to run.
type Options struct {
	ConfigPath string
	Version    string
	Commit     string
	LogOutput  io.Writer // nil = standard error
	// Sink returns a further place for warnings and errors, such as the Windows
	// event log; nil = none.
	Events hclog.SinkAdapter
	// RetryWithin is [forwarder.Options.RetryWithin], for tests.
	RetryWithin time.Duration
	// Notify is told of the stages of the service's life; nil = no one.
	Notify func(Stage, string)
}

// Stage is a point in the life of the service.
type Stage string

// The stages, in systemd's terms (sd_notify(3)).
const (
	Ready     Stage = "READY=1"
	Reloading Stage = "RELOADING=1"
	Stopping  Stage = "STOPPING=1"
	Working   Stage = "" // only a new text
)

// App is a running forwarder. Its methods may be called at any time after
// [Start].
type App struct {
	options Options
	log     *Logger
	metrics *metrics.Metrics
	store   *replica.Store
	engine  *forwarder.Forwarder
	control *control.Server

	mu        sync.Mutex // serialises Reload and Stop
	config    *config.Config
	loadedAt  time.Time
	reloadErr error
	web       *web.Server
	stopped   bool
}

// ConfigError is returned for a configuration with errors; its text sums them
// up.
type ConfigError struct {
	Path   string
	Report *config.Report
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s: %s", e.Path, e.Report.Summary())
}

// Details returns the whole report.
func (e *ConfigError) Details() string {
	var b strings.Builder
	e.Report.WriteTo(&b, false, 0)
	return b.String()
}

// Start loads the configuration, opens the state and starts everything. An
// error means that nothing runs and nothing stays open.
func Start(ctx context.Context, o Options) (*App, error) {
	if o.LogOutput == nil {
		o.LogOutput = os.Stderr
	}
	if o.Notify == nil {
		o.Notify = func(Stage, string) {}
	}
	cfg, report := Load(o.ConfigPath)
	if report.HasErrors() {
		return nil, &ConfigError{Path: o.ConfigPath, Report: report}
	}
	a := &App{options: o, metrics: metrics.New(), config: cfg, loadedAt: time.Now()}
	a.log = NewLogger(o.LogOutput, cfg.Log.Level, cfg.Log.Format)
	if o.Events != nil {
		a.log.RegisterSink(o.Events)
	}
	a.metrics.BuildInfo(o.Version, o.Commit)
	a.warn(report)
	// A reload may be asked for as soon as the command listener is up.
	a.mu.Lock()
	err := a.start(ctx)
	summary := a.summary()
	a.mu.Unlock()
	if err != nil {
		a.close()
		return nil, err
	}
	a.metrics.Reload(true)
	o.Notify(Ready, summary)
	return a, nil
}

func (a *App) start(ctx context.Context) (err error) {
	cfg := a.config
	a.store, err = replica.Open(ctx, replica.Options{Dir: cfg.State.Dir, Logger: a.log.Named("state"), Program: a.options.Version})
	if err != nil {
		return err
	}
	engineConfig, err := Build(cfg, a.log, a.options.Version)
	if err != nil {
		return err
	}
	a.engine = forwarder.New(forwarder.Options{Store: a.store, Logger: a.log, Metrics: a.metrics, RetryWithin: a.options.RetryWithin})
	if a.web, err = a.listen(cfg.HTTP); err != nil {
		return errors.Join(err, CloseSinks(engineConfig))
	}
	if a.control, err = control.Serve(cfg.State.Dir, a); err != nil {
		return errors.Join(err, CloseSinks(engineConfig))
	}
	if err := a.engine.Start(ctx, engineConfig); err != nil {
		return errors.Join(err, CloseSinks(engineConfig))
	}
	return nil
}

func (a *App) warn(r *config.Report) {
	for _, w := range r.Warnings() {
		a.log.Warn("configuration: " + w)
	}
}

func (a *App) summary() string {
	return fmt.Sprintf("following %d feeds, delivering to %d sinks", len(a.config.Feeds), len(a.config.Sinks))
}

// Reload reads the configuration again. Unless all of it is good, the running
// one stays in force, untouched.
func (a *App) Reload(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return errors.New("the forwarder is stopping")
	}
	a.options.Notify(Reloading, "reading the configuration again")
	err := a.reload(ctx)
	a.reloadErr = err
	a.metrics.Reload(err == nil)
	if err != nil {
		a.log.Error("reload refused; the configuration in force stays", "error", err)
	}
	a.options.Notify(Ready, a.summary())
	return err
}

func (a *App) reload(ctx context.Context) error {
	cfg, report := Load(a.options.ConfigPath)
	if report.HasErrors() {
		return &ConfigError{Path: a.options.ConfigPath, Report: report}
	}
	if cfg.State.Dir != a.config.State.Dir {
		return fmt.Errorf("%s: state.dir can not change from %s to %s while running; restart the service", a.options.ConfigPath, a.config.State.Dir, cfg.State.Dir)
	}
	next, err := Build(cfg, a.log, a.options.Version)
	if err != nil {
		return err
	}
	relistened, err := a.relisten(cfg.HTTP)
	if err != nil {
		return errors.Join(err, CloseSinks(next))
	}
	err = a.engine.Reload(ctx, next)
	relistened(err == nil)
	if err != nil {
		return errors.Join(err, CloseSinks(next))
	}
	a.log.Configure(cfg.Log.Level, cfg.Log.Format)
	a.warn(report)
	a.config, a.loadedAt = cfg, time.Now()
	return nil
}

// Stop takes everything down: requests under way may finish, for at most
// [forwarder.DrainTimeout]. Stopping twice does nothing.
func (a *App) Stop(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return nil
	}
	a.stopped = true
	a.options.Notify(Stopping, "finishing requests under way")
	if a.engine != nil {
		if err := a.engine.Stop(ctx); err != nil {
			// A destination that hangs makes the stop late, not a failure: a service
			// manager would call the service failed, or start it again.
			a.log.Warn("stopped before everything under way was confirmed", "error", err)
		}
	}
	return a.close()
}

// close releases what start opened, in reverse order.
func (a *App) close() error {
	var errs []error
	if a.control != nil {
		errs = append(errs, a.control.Close())
	}
	errs = append(errs, closeWeb(a.web))
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// Addr returns the address of the status listener; empty when there is none.
func (a *App) Addr() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.web == nil {
		return ""
	}
	return a.web.Addr().String()
}

// Status returns the forwarder's picture of itself.
func (a *App) Status(ctx context.Context) status.Status {
	s := a.engine.Status(ctx)
	s.Version, s.Commit, s.PID = a.options.Version, a.options.Commit, os.Getpid()
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Config = status.Config{Path: a.options.ConfigPath, LoadedAt: a.loadedAt.UTC(), LastReloadOK: a.reloadErr == nil}
	if a.reloadErr != nil {
		s.Config.Error = a.reloadErr.Error()
	}
	return s
}

// Ready reports whether the forwarder does its work, and why not.
func (a *App) Ready(ctx context.Context) (bool, []status.Reason) {
	s := a.Status(ctx)
	return s.Ready()
}

// Alive reports whether the engine's loops run.
func (a *App) Alive() bool { return a.engine.Alive() }

// Replay makes routes send anew what they sent before.
func (a *App) Replay(ctx context.Context, sink, feed string, since time.Time) (int, error) {
	n, err := a.engine.Replay(ctx, sink, feed, since)
	if errors.Is(err, forwarder.ErrNoRoute) {
		return 0, NoRoute(a.routes(), sink, feed)
	}
	return n, err
}

func (a *App) routes() []config.Route {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.config.Routes)
}

// RetryDead queues dead letters for another attempt, which begins at once.
func (a *App) RetryDead(ctx context.Context, filter replica.DeadFilter) (int, error) {
	n, err := a.store.RetryDead(ctx, filter)
	a.engine.Wake()
	return n, err
}

// DropDead deletes dead letters.
func (a *App) DropDead(ctx context.Context, filter replica.DeadFilter) (int, error) {
	return a.store.DropDead(ctx, filter)
}

// NoRoute explains that no route leads to a sink.
func NoRoute(routes []config.Route, sink, feed string) error {
	var known []string
	for _, r := range routes {
		known = append(known, fmt.Sprintf("%s -> %s.%s", r.Feed, r.SinkKind, r.SinkName))
	}
	what := fmt.Sprintf("no route leads to sink %q", sink)
	if feed != "" {
		what = fmt.Sprintf("no route leads from feed %q to sink %q", feed, sink)
	}
	return fmt.Errorf("%s; the routes are: %v", what, known)
}

// StateDir returns the directory of the forwarder's state.
func (a *App) StateDir() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config.State.Dir
}
