package splunk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

const (
	// inFlight is how many requests one route may have under way. HEC gains
	// little from more, and each may become a repeat after a crash.
	inFlight = 4
	// idleTimeout is less than the 12 s after which a busy HEC closes idle
	// connections, so that we never write to one that it is closing.
	idleTimeout = 8 * time.Second
	// recycleAfter is how long connections are used before new ones are made:
	// behind a balancer, one connection is one indexer.
	recycleAfter = 5 * time.Minute
	maxChannels  = 16
)

// times are the waits of a sink; tests shorten them.
type times struct {
	ackFirst   time.Duration // before the first poll; doubled until ackMost
	ackMost    time.Duration // Splunk's advice is about 10 s
	ackTimeout time.Duration // after it, what is not acknowledged counts as lost; Splunk's advice
	slow       time.Duration // after an answer that says that queues are filling
}

var defaultTimes = times{ackFirst: 50 * time.Millisecond, ackMost: 10 * time.Second, ackTimeout: 5 * time.Minute, slow: time.Second}

// Sink delivers to one HTTP Event Collector with one token. It is safe for
// concurrent use.
type Sink struct {
	encoder   *Encoder
	client    *transport.Client
	log       hclog.Logger
	base      *url.URL // …/services/collector
	token     setting.Secret
	index     string
	ack       string
	gzip      bool
	maxEvents int
	times     times

	maxBytes atomic.Int64 // of a request; lowered when the destination takes less

	ackProven  atomic.Bool  // ack = "required": the token is known to have it on
	ackOn      atomic.Bool  // the token hands out ackIds
	ackSeen    atomic.Bool  // an acknowledgment came at least once
	ackLosses  atomic.Int32 // how often in a row acknowledgments did not come
	ackIgnored atomic.Bool  // ack = "auto": they never come, see [delivery.lost]

	mu       sync.Mutex
	idle     []*channel
	recycled time.Time
}

var (
	_ intel.Sink      = (*Sink)(nil)
	_ intel.Limiter   = (*Sink)(nil)
	_ intel.Previewer = (*Sink)(nil)
	_ intel.Keyer     = (*Sink)(nil)
)

// New opens a sink; it makes no request. An error says what of the
// configuration can not be used.
func New(c Config, o intel.SinkOptions) (*Sink, error) {
	if p := c.Validate(); len(p) > 0 {
		return nil, fmt.Errorf("splunk_hec %q: %s", o.Name, p[0].Message)
	}
	base, _ := collectorURL(c.URL)
	token := c.Token
	client, err := transport.New(transport.Options{
		TLS:                c.TLS,
		ProxyURL:           c.ProxyURL,
		Timeout:            c.Timeout.Or(defaultTimeout),
		UserAgent:          "taxii-forwarder/" + o.Version,
		Authorize:          func(req *http.Request) { req.Header.Set("Authorization", "Splunk "+token.Reveal()) },
		Origin:             base.String(),
		MaxIdlePerHost:     2 * inFlight,
		IdleTimeout:        idleTimeout,
		DisableCompression: true, // answers are a few bytes
	})
	if err != nil {
		return nil, fmt.Errorf("splunk_hec %q: %w", o.Name, err)
	}
	s := &Sink{
		encoder:  NewEncoder(EncoderOptions{Index: c.Index, Source: c.Source, SourceType: c.SourceType, Host: c.Host}),
		client:   client,
		log:      o.Logger,
		base:     base,
		token:    c.Token,
		index:    c.Index,
		ack:      c.Ack,
		gzip:     c.Gzip == nil || *c.Gzip,
		times:    defaultTimes,
		recycled: time.Now(),
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if s.ack == "" {
		s.ack = AckAuto
	}
	s.times.ackTimeout = c.AckTimeout.Or(defaultTimes.ackTimeout)
	events, bytes := c.limits()
	s.maxEvents = events
	s.maxBytes.Store(int64(bytes))
	if c.TLS != nil && c.TLS.InsecureSkipVerify {
		s.log.Warn("the certificate of splunk is not verified: whoever is on the way can read the token; use ca_file instead of insecure_skip_verify", "sink", o.Name)
	}
	if base.Scheme == "http" && !transport.IsLoopback(base.Hostname()) {
		s.log.Warn("the token and all events travel unencrypted; use https", "sink", o.Name, "url", base.String())
	}
	return s, nil
}

// BatchLimit makes a batch fill about two requests.
func (s *Sink) BatchLimit() (changes, inflight int) { return 2 * s.maxEvents, inFlight }

// Preview appends the events for c in their envelopes, one a line.
func (s *Sink) Preview(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	return s.encoder.Append(dst, c)
}

// Close closes idle connections.
func (s *Sink) Close() error {
	s.client.CloseIdle()
	return nil
}

// Deliver sends the events of all changes, in order, in requests within the
// sink's limits, and waits for acknowledgments where they are in use. See the
// package documentation for what an outcome means.
//
// Held of a Delivered upsert lists what Splunk was given besides the
// indicator's own observables: the further hashes of its files, and the pattern
// of an indicator that has none. Of a Rejected one, all that was accepted.
func (s *Sink) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	if s.ack == AckRequired && !s.ackProven.Load() {
		if err := s.proveAck(ctx); err != nil {
			return make([]intel.Outcome, len(batch)), err
		}
		s.ackProven.Store(true)
	}
	d := newDelivery(s, batch)
	defer d.release()
	for d.fill() {
		if err := d.drain(ctx); err != nil {
			return d.outcomes, err
		}
	}
	return d.outcomes, nil
}

// acquire returns a channel for one Deliver's own use.
func (s *Sink) acquire() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.recycled) > recycleAfter {
		s.recycled = time.Now()
		s.client.CloseIdle()
	}
	if n := len(s.idle); n > 0 {
		ch := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return ch
	}
	return newChannel()
}

// giveBack takes a channel that has no acknowledgments outstanding.
func (s *Sink) giveBack(ch *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) < maxChannels {
		ch.moved = false
		s.idle = append(s.idle, ch)
	}
}

// shrink lowers the size of requests after one of n bytes was too large.
func (s *Sink) shrink(n int) {
	to := int64(max(n/2, minMaxBytes))
	for {
		old := s.maxBytes.Load()
		if to >= old {
			return
		}
		if s.maxBytes.CompareAndSwap(old, to) {
			s.log.Warn("splunk takes smaller requests than configured; set batch.max_bytes", "refused_bytes", n, "max_bytes", to)
			return
		}
	}
}
