package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Defaults of [Options].
const (
	DefaultTimeout = 60 * time.Second

	defaultIdleTimeout    = 90 * time.Second
	defaultMaxIdlePerHost = 4
	maxConnectTime        = 30 * time.Second
	maxHeaderBytes        = 1 << 20
)

// Options says how a [Client] connects and whom it trusts. The zero value
// connects with the system's certificate authorities and the environment's
// proxy, and has no credentials.
type Options struct {
	// TLS is the connection's tls block; nil = system defaults.
	TLS *TLS
	// ProxyURL is an http, https, socks5 or socks5h proxy; "" = HTTPS_PROXY,
	// HTTP_PROXY of the environment, "direct" = none. NO_PROXY is honoured in
	// either case, and loopback hosts are never asked through a proxy.
	ProxyURL string
	// Timeout bounds the silence: the time from the end of the request to the
	// header of the answer, and between two pieces of the body in either
	// direction. It does not bound the whole. 0 = [DefaultTimeout].
	Timeout time.Duration
	// UserAgent is sent where a request has none.
	UserAgent string

	// Authorize adds credentials to a request. It is called for requests to
	// trusted hosts only; a request to another host is refused.
	Authorize func(*http.Request)
	// Origin is the configured URL; its registrable domain is trusted.
	Origin string
	// TrustedHosts are hosts trusted besides: "host", "host:port" or "*.domain".
	TrustedHosts []string

	CookieJar          http.CookieJar
	MaxIdlePerHost     int           // 0 = 4
	IdleTimeout        time.Duration // 0 = 90 s
	DisableCompression bool          // do not ask for gzip

	Clock Clock // for holds and rate limits; nil = the system's
}

// Client is an HTTP client; see the package documentation. It is safe for use
// by several goroutines.
type Client struct {
	options   Options
	timeout   time.Duration
	trust     trust
	transport *http.Transport
	holds     holds
}

// New builds a Client. An error names the option that can not be used.
func New(o Options) (*Client, error) {
	trusted, err := newTrust(o.Origin, o.TrustedHosts)
	if err != nil {
		return nil, err
	}
	if o.Authorize != nil && o.Origin == "" && len(o.TrustedHosts) == 0 {
		return nil, errors.New("credentials without an origin: no host could be given them")
	}
	tlsConfig, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	proxy, err := proxyFunc(o.ProxyURL)
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, timeout: o.Timeout, trust: trusted}
	c.holds = holds{clock: o.Clock, until: map[string]time.Time{}, budgets: map[string]*budget{}}
	if o.Clock == nil {
		c.holds.clock = systemClock{}
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	connect := min(c.timeout, maxConnectTime)
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	c.transport = &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    connect,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    positive(o.MaxIdlePerHost, defaultMaxIdlePerHost),
		IdleConnTimeout:        positive(o.IdleTimeout, defaultIdleTimeout),
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     o.DisableCompression,
		// A peer that vanished without a word is noticed by an unanswered ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	return c, nil
}

func positive[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Do sends req and returns the answer, whatever its status; the caller closes
// the body. Redirects of GET and HEAD requests are followed by the rule in the
// package documentation, at most five; other methods get the 3xx answer.
//
// The error is an [*intel.Failure]. Do waits while the host is on hold, see
// [Client.Hold], or has said in an answer (X-RateLimit-Remaining, -Reset) that
// its rate limit is used up.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead {
		return c.send(req)
	}
	return c.follow(req)
}

// RoundTripper returns the client as a transport for other HTTP libraries:
// with its TLS, proxy, timeouts, credentials, holds and errors, but without
// redirects.
func (c *Client) RoundTripper() http.RoundTripper { return roundTripper{c} }

type roundTripper struct{ c *Client }

func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return t.c.send(req) }

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// send makes one exchange. req is not changed.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if req.URL == nil || req.URL.Host == "" || req.URL.Scheme != "https" && req.URL.Scheme != "http" {
		closeBody(req)
		return nil, intel.Fail(intel.FailConfig, "%s: not an http or https URL", describe(req))
	}
	if c.options.Authorize != nil {
		if err := c.Trusted(req.URL); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	if err := c.holds.admit(req.Context(), req.URL); err != nil {
		closeBody(req)
		if left := c.Held(req.URL.Host); left > 0 && errors.Is(err, context.DeadlineExceeded) {
			f := intel.Fail(intel.FailThrottled, "%s: the server's limit of requests is used up for another %s", describe(req), left.Round(time.Second))
			f.RetryAfter = left
			return nil, f
		}
		return nil, c.failure(req, err)
	}

	var given credentials
	ctx, cancel := context.WithCancelCause(context.WithValue(req.Context(), credentialsKey{}, &given))
	quiet := newSilence(ctx, c.timeout, cancel)
	out := req.Clone(ctx)
	quiet.watchUpload(out)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if c.options.UserAgent != "" && out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", c.options.UserAgent)
	}
	if c.options.Authorize != nil {
		before := out.Header.Clone()
		c.options.Authorize(out)
		given.note(before, out.Header)
	}
	if jar := c.options.CookieJar; jar != nil {
		for _, cookie := range jar.Cookies(out.URL) {
			out.AddCookie(cookie)
		}
	}

	resp, err := c.transport.RoundTrip(out)
	c.holds.done(req.URL, resp)
	if err != nil {
		quiet.stop()
		err = c.failure(req, withCause(ctx, err))
		cancel(nil)
		return nil, err
	}
	if jar := c.options.CookieJar; jar != nil {
		if cookies := resp.Cookies(); len(cookies) > 0 {
			jar.SetCookies(out.URL, cookies)
		}
	}
	quiet.pause()
	resp.Body = &body{ReadCloser: resp.Body, client: c, req: req, ctx: ctx, cancel: cancel, quiet: quiet}
	return resp, nil
}

// withCause adds to err why ctx ended: through our timer or the caller.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return errors.Join(context.Cause(ctx), ctx.Err(), err)
}

// closeBody keeps the promise of http.RoundTripper to close the request's body
// even when nothing is sent.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// describe names a request for messages, without anything that may be secret.
func describe(req *http.Request) string {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	return method + " " + describeURL(req.URL)
}

// describeURL is u without user, query and fragment.
func describeURL(u *url.URL) string {
	if u == nil {
		return "(no URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// body is the body of an answer whose silence is bounded and whose errors are
// failures.
type body struct {
	io.ReadCloser
	client *Client
	req    *http.Request
	ctx    context.Context
	cancel context.CancelCauseFunc
	quiet  *silence
	read   atomic.Int64
}

func (b *body) Read(p []byte) (int, error) {
	b.quiet.reset()
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	// Between two reads the caller may take its time: only our waiting counts.
	b.quiet.pause()
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.client.bodyFailure(b.req, b.read.Load(), withCause(b.ctx, err))
}

func (b *body) Close() error {
	b.quiet.stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
