package forwarder

import (
	"context"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// Config says what one generation of loops does. It is complete and valid: what
// can be wrong with it is found before it gets here.
type Config struct {
	Feeds  []Feed
	Sinks  []Sink
	Routes []Route
}

// Feed is one account at one TAXII server and the collections followed there.
type Feed struct {
	Name string
	// DiscoveryURL is asked for the API roots, unless APIRootURL is set.
	DiscoveryURL string
	APIRootURL   string
	Collections  []string // ids, aliases or titles; "*" = every readable one
	PollInterval time.Duration
	// ResyncInterval is how often the whole feed is walked to find what is gone
	// from the server; 0 = never.
	ResyncInterval time.Duration
	Overlap        time.Duration
	StartFrom      StartFrom
	// ByContent knows indicators by what they look for and who says so rather
	// than by their STIX ids ([stix.ByContent]).
	ByContent bool
	Filter    taxii.Filter
	Client    FeedClient
}

// FeedClient is what the engine needs of a TAXII client; *[taxii.Client] is one.
type FeedClient interface {
	Discover(ctx context.Context, url string) (taxii.Discovery, error)
	Collections(ctx context.Context, root string) ([]taxii.Collection, error)
	Walk(ctx context.Context, w taxii.Walk) (taxii.WalkResult, error)
}

// StartFrom says how far back the first poll of a collection reaches. The zero
// value is everything.
type StartFrom struct {
	Age  time.Duration // this long before the first poll
	Time time.Time     // this instant
}

// String returns s as it is written in the configuration.
func (s StartFrom) String() string {
	switch {
	case !s.Time.IsZero():
		return s.Time.UTC().Format(time.RFC3339)
	case s.Age > 0:
		return s.Age.String()
	}
	return "all"
}

// Sink is an open destination under the name that its routes know it by.
type Sink struct {
	Kind string
	Name string
	intel.Sink
}

// ID returns the sink's name in references and in the state: kind.name.
func (s Sink) ID() string { return s.Kind + "." + s.Name }

// Route connects one feed with one sink.
type Route struct {
	Feed string
	Sink string // Sink.ID
	// Where decides which indicators take the route; nil = all.
	Where Filter
}

// Filter decides about indicators. Its text identifies it: a route whose
// filter's text changed is walked again from the start.
type Filter interface {
	Match(*intel.Indicator) bool
	String() string
}

// A Volatile filter may change its mind about an indicator that has not
// changed, as time passes. A route with one is walked again now and then.
type Volatile interface{ Volatile() bool }

// rewalk is how often a route with a [Volatile] filter is walked again.
const rewalk = 6 * time.Hour

func (r Route) volatile() bool {
	v, ok := r.Where.(Volatile)
	return ok && v.Volatile()
}

// fingerprint identifies what decides over the route's indicators; when it
// changes, the route is walked again.
func (r Route) fingerprint(now time.Time) string {
	switch {
	case r.Where == nil:
		return ""
	case r.volatile():
		return r.Where.String() + " @ " + now.UTC().Truncate(rewalk).Format(time.RFC3339)
	}
	return r.Where.String()
}
