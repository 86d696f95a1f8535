package config

import (
	"time"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

// Config is a complete and valid configuration, defaults filled in.
type Config struct {
	Path   string // of the file it was read from
	Log    Log
	State  State
	HTTP   HTTP
	Feeds  []Feed
	Sinks  []Sink
	Routes []Route
}

// Log is the log block.
type Log struct {
	Level  string // trace, debug, info, warn, error
	Format string // text, json
}

// State is the state block.
type State struct {
	Dir string
}

// HTTP is the http block: the status page and metrics.
type HTTP struct {
	Listen    string             // host:port; "" = no listener
	Token     setting.Secret     // wanted of who asks for more than health; "" = nothing is
	Anonymous bool               // no token although other machines reach the listener
	TLS       transport.Listener // zero = plain HTTP
}

// Feed is one feed block: an account at a TAXII server and the collections
// followed there. Exactly one of DiscoveryURL and APIRootURL is set.
type Feed struct {
	Name              string
	DiscoveryURL      string
	APIRootURL        string
	Auth              Auth
	Collections       []string // ids, aliases or titles; "*" alone = every readable one
	PollInterval      time.Duration
	ResyncInterval    time.Duration // 0 = never
	Overlap           time.Duration
	Timeout           time.Duration
	StartFrom         StartFrom
	PageSize          int
	MatchTypes        []string
	MatchSpecVersions []string
	Identity          string // IdentityID or IdentityContent
	TrustedHosts      []string
	ProxyURL          string // "" = environment; may hold a password
	UserAgent         string // "" = the program's own
	TLS               *transport.TLS
}

// What makes two indicators of a feed the same one.
const (
	IdentityID      = "id"      // the STIX id
	IdentityContent = "content" // pattern, its type and the producer
)

// The kinds of [Auth].
const (
	AuthNone   = "none"
	AuthBasic  = "basic"
	AuthBearer = "bearer"
	AuthHeader = "header"
)

// Auth is a feed's auth block; which fields are set depends on Kind.
type Auth struct {
	Kind     string
	Token    setting.Secret // bearer
	Username string         // basic; some servers take an API key for it, so treat it as one
	Password setting.Secret // basic; may be empty
	Name     string         // header
	Value    setting.Secret // header
}

// StartFrom says how far the first poll of a feed reaches back; exactly one
// field is set.
type StartFrom struct {
	All  bool
	Age  time.Duration
	Time time.Time
}

// String returns s as it is written in a configuration.
func (s StartFrom) String() string {
	switch {
	case !s.Time.IsZero():
		return s.Time.UTC().Format(time.RFC3339Nano)
	case !s.All:
		return s.Age.String()
	}
	return "all"
}

// SinkKind is one kind of sink that a configuration may use.
type SinkKind struct {
	// Name is the first label of the sink block.
	Name string
	// New returns a pointer to the zero value of the kind's configuration, a
	// struct with hcl tags. If that pointer has a method
	//
	//	Validate() []setting.Problem
	//
	// it is called once the block is decoded.
	New func() any
}

// Sink is one sink block.
type Sink struct {
	Kind string
	Name string
	Body any // what the kind's New returned, decoded
}

// Route is one feed → sink pair of a route block. Without any route block
// there is one for every feed and sink, named "default".
type Route struct {
	Name     string
	Feed     string
	SinkKind string
	SinkName string
	Where    *Where // nil = every indicator
}
