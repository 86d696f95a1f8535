package elasticsearch

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// Sink delivers to one index of one cluster.
type Sink struct {
	config       Config // with its defaults
	name         string
	log          hclog.Logger
	client       *transport.Client
	nodes        *nodes
	encoder      Encoder
	maxDocuments int
	maxBytes     atomic.Int64 // lowered when the server answers 413
	bulks, zips  sync.Pool
	secrets      *strings.Replacer
	pause        func(ctx context.Context, d time.Duration) error
	now          func() time.Time

	mu       sync.Mutex   // held while preparing
	prepared atomic.Int64 // when the template was seen in place, Unix nanoseconds; 0 = not since a failure
	warned   string       // the last warning of prepare, so that it is said once
}

// The abilities of a Sink.
var (
	_ intel.Sink      = (*Sink)(nil)
	_ intel.Limiter   = (*Sink)(nil)
	_ intel.Previewer = (*Sink)(nil)
	_ intel.Refresher = (*Sink)(nil)
)

// New returns a sink for a valid configuration. It does not connect.
func New(c Config, o intel.SinkOptions) (*Sink, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", problems[0].Path, problems[0].Message)
	}
	c = c.withDefaults()
	urls, err := c.addresses()
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, u := range urls {
		hosts = append(hosts, u.Host)
	}
	client, err := transport.New(transport.Options{
		TLS:            c.TLS,
		ProxyURL:       c.ProxyURL,
		Timeout:        c.Timeout.Or(0),
		UserAgent:      "taxii-forwarder/" + o.Version,
		Authorize:      authorize(&c),
		Origin:         urls[0].String(),
		TrustedHosts:   hosts,
		MaxIdlePerHost: inFlight,
	})
	if err != nil {
		return nil, err
	}
	s := &Sink{
		config: c,
		name:   o.Name,
		log:    o.Logger,
		client: client,
		nodes: &nodes{
			rt:      client.RoundTripper(),
			product: c.Distribution != OpenSearch,
			opaque:  "taxii-forwarder",
			urls:    urls,
			until:   make([]time.Time, len(urls)),
		},
		maxDocuments: c.Batch.MaxDocuments,
		secrets:      redact(&c),
		pause:        pause,
		now:          time.Now,
	}
	s.maxBytes.Store(int64(c.Batch.MaxBytes))
	s.bulks.New = func() any { return new(bulk) }
	s.zips.New = func() any { return newZip() }
	return s, nil
}

// authorization is the value of the header of that name; "" without
// credentials.
func authorization(c *Config) string {
	switch {
	case c.APIKey != "":
		key := c.APIKey.Reveal()
		if strings.Contains(key, ":") { // id:key, where the encoded form is wanted
			key = base64.StdEncoding.EncodeToString([]byte(key))
		}
		return "ApiKey " + key
	case c.Username != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password.Reveal()))
	}
	return ""
}

// authorize returns what adds the credentials to a request; nil without any.
func authorize(c *Config) func(*http.Request) {
	value := authorization(c)
	if value == "" {
		return nil
	}
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

// redact takes the credentials, in whatever form, out of what a server says: an
// error page may repeat the request.
func redact(c *Config) *strings.Replacer {
	var pairs []string
	_, header, _ := strings.Cut(authorization(c), " ")
	for _, secret := range []string{c.APIKey.Reveal(), header, c.Password.Reveal()} {
		if secret != "" {
			pairs = append(pairs, secret, "**redacted**")
		}
	}
	return strings.NewReplacer(pairs...)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &intel.Failure{Kind: intel.FailTimeout, Err: context.Cause(ctx)}
	}
}

// inFlight is how many bulk requests one route may have under way.
const inFlight = 4

// BatchLimit asks for batches of about one bulk request.
func (s *Sink) BatchLimit() (changes, flights int) { return s.maxDocuments, inFlight }

// Preview appends what Deliver would send for c: action lines and documents.
func (s *Sink) Preview(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	if c.Action == intel.Upsert {
		if reason := unsearchable(c.Indicator); reason != "" {
			return dst, intel.Outcome{Status: intel.Skipped, Reason: reason}
		}
	}
	var b bulk
	_ = b.addChange(&s.encoder, 0, c, func() error { return nil })
	return append(dst, b.buf...), intel.Outcome{Status: intel.Delivered}
}

// Close ends idle connections.
func (s *Sink) Close() error {
	s.client.CloseIdle()
	return nil
}

// fail wraps an error with the operation and the sink.
func (s *Sink) fail(operation string, err error) error {
	return fmt.Errorf("%s to elasticsearch %s: %w", operation, s.name, intel.AsFailure(err))
}

// lowerLimit makes later requests smaller, after one was too large.
func (s *Sink) lowerLimit(n int) {
	n = max(n, minMaxBytes)
	for {
		old := s.maxBytes.Load()
		if int64(n) >= old {
			return
		}
		if s.maxBytes.CompareAndSwap(old, int64(n)) {
			s.log.Info("server refuses bulk requests of this size, using smaller ones", "max_bytes", n)
			return
		}
	}
}

// release gives a bulk's memory back for reuse, unless a huge indicator made
// it grow.
func (s *Sink) release(b *bulk) {
	if cap(b.buf) <= 2*defaultMaxBytes+s.config.Batch.MaxBytes {
		s.bulks.Put(b)
	}
}

// index returns the index name as it goes into a path.
func (s *Sink) index() string { return url.PathEscape(s.config.Index) }
