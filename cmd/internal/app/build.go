package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
	"taxii-forwarder/forwarder/transport"
	"taxii-forwarder/sinks"
)

// Kinds returns the sink kinds in the form that the configuration wants.
func Kinds() []config.SinkKind {
	var out []config.SinkKind
	for _, k := range sinks.Kinds() {
		out = append(out, config.SinkKind{Name: k.Name, New: k.NewConfig})
	}
	return out
}

// Load reads and validates a configuration. All that is wrong with it is in
// the report.
func Load(path string) (*config.Config, *config.Report) { return config.Load(path, Kinds()) }

// Build opens everything that the engine needs to run cfg. On an error nothing
// stays open.
func Build(cfg *config.Config, log hclog.Logger, version string) (forwarder.Config, error) {
	var out forwarder.Config
	for _, f := range cfg.Feeds {
		feed, err := Feed(f, log, version)
		if err != nil {
			return forwarder.Config{}, err
		}
		out.Feeds = append(out.Feeds, feed)
	}
	for _, s := range cfg.Sinks {
		sink, err := Sink(s, log, version)
		if err != nil {
			CloseSinks(out)
			return forwarder.Config{}, err
		}
		out.Sinks = append(out.Sinks, sink)
	}
	for _, r := range cfg.Routes {
		route := forwarder.Route{Feed: r.Feed, Sink: r.SinkKind + "." + r.SinkName}
		if r.Where != nil {
			route.Where = r.Where
		}
		out.Routes = append(out.Routes, route)
	}
	return out, nil
}

// CloseSinks closes the sinks of a configuration that did not come to run.
func CloseSinks(c forwarder.Config) error {
	var errs []error
	for _, s := range c.Sinks {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Sink opens one configured sink.
func Sink(s config.Sink, log hclog.Logger, version string) (forwarder.Sink, error) {
	opened, err := sinks.Open(s.Kind, s.Body, intel.SinkOptions{
		Name: s.Name, Version: version, Logger: log.Named("sink").With("sink", s.Kind+"."+s.Name),
	})
	if err != nil {
		return forwarder.Sink{}, fmt.Errorf("sink %s.%s: %w", s.Kind, s.Name, err)
	}
	return forwarder.Sink{Kind: s.Kind, Name: s.Name, Sink: opened}, nil
}

// Feed builds one configured feed with its TAXII client.
func Feed(f config.Feed, log hclog.Logger, version string) (forwarder.Feed, error) {
	client, err := Client(f, log, version)
	if err != nil {
		return forwarder.Feed{}, fmt.Errorf("feed %s: %w", f.Name, err)
	}
	return forwarder.Feed{
		Name: f.Name, DiscoveryURL: f.DiscoveryURL, APIRootURL: f.APIRootURL, Collections: f.Collections,
		PollInterval: f.PollInterval, ResyncInterval: f.ResyncInterval, Overlap: f.Overlap,
		StartFrom: forwarder.StartFrom{Age: f.StartFrom.Age, Time: f.StartFrom.Time},
		ByContent: f.Identity == config.IdentityContent,
		Filter:    taxii.Filter{Types: f.MatchTypes, SpecVersions: f.MatchSpecVersions},
		Client:    client,
	}, nil
}

// Client builds the TAXII client of a feed.
func Client(f config.Feed, log hclog.Logger, version string) (*taxii.Client, error) {
	origin := f.APIRootURL
	if origin == "" {
		origin = f.DiscoveryURL
	}
	agent := f.UserAgent
	if agent == "" {
		agent = "taxii-forwarder/" + version
	}
	h, err := transport.New(transport.Options{
		TLS: f.TLS, ProxyURL: f.ProxyURL, Timeout: f.Timeout, UserAgent: agent,
		TrustedHosts: f.TrustedHosts, Origin: origin, Authorize: authorize(f.Auth),
		MaxIdlePerHost: 4, IdleTimeout: 90 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return taxii.New(taxii.Options{HTTP: h, Logger: log.Named("taxii").With("feed", f.Name), PageSize: f.PageSize}), nil
}

// authorize returns what puts a feed's credentials on a request; nil = none.
func authorize(a config.Auth) func(*http.Request) {
	switch a.Kind {
	case "bearer":
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+a.Token.Reveal()) }
	case "basic":
		value := "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password.Reveal()))
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	case "header":
		return func(r *http.Request) { r.Header.Set(a.Name, a.Value.Reveal()) }
	}
	return nil
}
