package sentinel

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// wire is what azcore sends through: our client, and past any proxy for the
// address at which a cloud machine finds its identity.
type wire struct {
	client *transport.Client
	// metadata reaches the instance metadata service, which is not behind any
	// proxy and knows no TLS.
	metadata *transport.Client
}

// metadataHost serves tokens to the machine it runs on, in every Azure region.
const metadataHost = "169.254.169.254"

// Do is azcore's policy.Transporter.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	client := w.client
	if req.URL.Hostname() == metadataHost {
		client = w.metadata
	}
	resp, err := client.RoundTripper().RoundTrip(req)
	if n, ok := req.Context().Value(noteKey{}).(*note); ok {
		n.set(req.Header.Get("Authorization"), err)
	}
	return resp, err
}

// note remembers of an exchange what its layers do not hand back: the last
// transport error, of which the login library keeps no more than the text, and
// the token, which must not appear in any message.
type note struct {
	mu    sync.Mutex
	err   error
	token string
}

type noteKey struct{}

func (n *note) set(authorization string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.err = err
	}
	if _, token, ok := strings.Cut(authorization, " "); ok {
		n.token = token
	}
}

func (n *note) get() (token string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.token, n.err
}

// session is a login: a credential with its token cache, and a pipeline that
// authorises requests by it.
type session struct {
	pipeline runtime.Pipeline
	secrets  []string
}

func newSession(cfg *Config, w *wire, version string) (*session, error) {
	cred, err := newCredential(cfg, w)
	if err != nil {
		return nil, fmt.Errorf("credential %q: %w", cfg.Credential.Kind, err)
	}
	return &session{secrets: cfg.Credential.secrets(), pipeline: runtime.NewPipeline("taxii-forwarder", version,
		runtime.PipelineOptions{PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(cred, []string{cfg.scope()}, nil)}},
		&policy.ClientOptions{
			Transport: w,
			// azcore would retry a 429 within a second, whatever its text says.
			Retry:     policy.RetryOptions{MaxRetries: -1},
			Telemetry: policy.TelemetryOptions{Disabled: true},
		})}, nil
}

// sessions hands out the current session and replaces it when its tokens are
// no longer accepted.
type sessions struct {
	open func() (*session, error)

	mu      sync.Mutex
	current *session
}

func (s *sessions) get() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		fresh, err := s.open()
		if err != nil {
			return nil, (&intel.Failure{Kind: intel.FailConfig, Err: err})
		}
		s.current = fresh
	}
	return s.current, nil
}

// drop forgets old, so that the next get logs in anew: the login library
// offers a cached token until it expires, even one that was refused.
func (s *sessions) drop(old *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == old {
		s.current = nil
	}
}

// redact takes the session's secrets and token out of what the other side
// said: an error page may repeat the request.
func (s *session) redact(text []byte, token string) []byte {
	for _, secret := range append([]string{token}, s.secrets...) {
		if secret != "" {
			text = bytes.ReplaceAll(text, []byte(secret), []byte("**redacted**"))
		}
	}
	return text
}
