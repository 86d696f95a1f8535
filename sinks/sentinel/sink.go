package sentinel

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// Sink delivers to one Sentinel workspace.
type Sink struct {
	url      string
	source   string // for Check
	encoder  *Encoder
	sessions sessions
	pace     *pace
	wire     *wire
	logger   hclog.Logger
	// accepted is set once any object was accepted.
	accepted atomic.Bool
	// warned is set once a compound pattern was remarked on.
	warned atomic.Bool
}

var (
	_ intel.Sink      = (*Sink)(nil)
	_ intel.Limiter   = (*Sink)(nil)
	_ intel.Previewer = (*Sink)(nil)
)

// New builds a Sink from a valid configuration. It sends nothing.
func New(c Config, o intel.SinkOptions) (*Sink, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("sink %q: %s: %s", o.Name, problems[0].Path, problems[0].Message)
	}
	options := transport.Options{
		TLS: c.TLS, ProxyURL: c.ProxyURL, Timeout: c.Timeout.Or(0), UserAgent: "taxii-forwarder/" + or(o.Version, "unknown"),
	}
	client, err := transport.New(options)
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", o.Name, err)
	}
	metadata, err := transport.New(transport.Options{ProxyURL: transport.ProxyDirect, Timeout: options.Timeout, UserAgent: options.UserAgent})
	if err != nil {
		return nil, fmt.Errorf("sink %q: %w", o.Name, err)
	}
	logger := o.Logger
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	rate := c.RequestsPerMinute
	if rate == 0 {
		rate = DefaultRequestsPerMinute
	}
	s := &Sink{
		url:    c.uploadURL(),
		source: or(c.SourceSystem, fallbackSourceSystem),
		encoder: NewEncoder(EncoderOptions{
			SourceSystem: c.SourceSystem, Compound: c.Compound,
			DefaultValidity: c.DefaultValidity.Or(DefaultValidity), PatternTypes: c.PatternTypes,
		}),
		wire:   &wire{client: client, metadata: metadata},
		logger: logger,
	}
	s.sessions.open = func() (*session, error) { return newSession(&c, s.wire, o.Version) }
	// Built now, so that a set-up that can not work is known before it runs.
	if _, err := s.sessions.get(); err != nil {
		return nil, fmt.Errorf("sink %q: %w", o.Name, err)
	}
	s.pace = joinPacer(c.endpoint()+" "+c.authority()+" "+c.Credential.identity(), rate)
	return s, nil
}

// BatchLimit implements [intel.Limiter]: one request a batch, and enough of
// them in flight that the allowance is used up in spite of Sentinel's latency.
func (s *Sink) BatchLimit() (changes, inFlight int) { return maxObjects, 4 }

// Preview implements [intel.Previewer].
func (s *Sink) Preview(dst []byte, c *intel.Change) ([]byte, intel.Outcome) {
	return s.encoder.Append(dst, c)
}

// Check implements [intel.Sink]. It logs in and uploads an empty list, which
// leaves nothing behind: Sentinel looks at token, role and workspace before it
// looks at the objects, so that an acceptance and a complaint about the empty
// list both prove that it would take objects. It counts as one request against
// the allowance.
func (s *Sink) Check(ctx context.Context) error {
	d := &delivery{sink: s}
	_, err := s.upload(ctx, d.body(s.source, nil), 0)
	var r *refusal
	if errors.As(err, &r) {
		s.logger.Debug("sentinel refuses an empty upload, as it may", "answer", r.text)
		return nil
	}
	return err
}

// Close implements [intel.Sink].
func (s *Sink) Close() error {
	s.pace.leave()
	s.wire.client.CloseIdle()
	s.wire.metadata.CloseIdle()
	return nil
}
