package taxii

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// MediaType is what a TAXII 2.1 client accepts, to the letter: servers have
// been seen to refuse a list of types, a space after the semicolon and a
// quality value.
const MediaType = "application/taxii+json;version=2.1"

// Defaults and bounds of [Options].
const (
	DefaultPageSize       = 1000
	DefaultMaxObjectBytes = 8 << 20

	// maxWait is how long a request waits by itself when the server asks it to,
	// enough for limits by the minute; longer waits are left to the caller.
	maxWait = 90 * time.Second
	// maxThrottled bounds how often one request is put off.
	maxThrottled = 5
	// maxMeta bounds the answers that are read whole.
	maxMeta = 16 << 20
)

// Options says how a [Client] works.
type Options struct {
	// HTTP does the requests, with the feed's credentials. Required.
	HTTP *transport.Client
	// Logger may be nil.
	Logger hclog.Logger
	// PageSize is the limit of each page; 0 = [DefaultPageSize].
	PageSize int
	// MaxObjectBytes is the size up to which an object is taken; longer ones are
	// skipped and reported. 0 = [DefaultMaxObjectBytes].
	MaxObjectBytes int
	// Now is the clock; nil = time.Now. It judges the age of tokens, never a position.
	Now func() time.Time
}

// Client talks to the TAXII 2.1 servers of one feed. It is safe for use by
// several goroutines. Its errors are [*intel.Failure] values.
type Client struct {
	http      *transport.Client
	log       hclog.Logger
	pageSize  int
	maxObject int
	now       func() time.Time
}

// New returns a client.
func New(o Options) *Client {
	c := &Client{http: o.HTTP, log: o.Logger, pageSize: o.PageSize, maxObject: o.MaxObjectBytes, now: o.Now}
	if c.log == nil {
		c.log = hclog.NewNullLogger()
	}
	if c.pageSize <= 0 {
		c.pageSize = DefaultPageSize
	}
	if c.maxObject <= 0 {
		c.maxObject = DefaultMaxObjectBytes
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// get asks for u until it has an answer that is not "later", waiting as long
// as a server may ask within reason. An answer other than 2xx, or of a kind
// that can not be TAXII 2.1, is an error: a [*statusError] or [*intel.Failure].
// requests counts what was sent.
func (c *Client) get(ctx context.Context, u string, requests *int) (*http.Response, error) {
	for tries := 1; ; tries++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			return nil, intel.Fail(intel.FailConfig, "%q is no URL", u)
		}
		req.Header.Set("Accept", MediaType)
		if wait := c.http.Held(req.URL.Host); wait > 5*time.Second {
			c.log.Info("the server's limit of requests is used up; waiting", "host", req.URL.Host, "wait", wait.Round(time.Second).String())
		}
		*requests++
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 2 {
			if err := accept(resp); err != nil {
				resp.Body.Close()
				return nil, err
			}
			return resp, nil
		}
		failed := readStatus(resp)
		f := failed.failure
		if f.Kind != intel.FailThrottled {
			return nil, failed
		}
		wait, asked := transport.RetryAfter(resp.Header, c.now())
		if !asked {
			return nil, failed
		}
		// Whatever else is asked of this host has to wait as well: limits are
		// per account or address, not per collection.
		c.http.Hold(resp.Request.URL.Host, wait)
		f.RetryAfter = wait
		if wait > maxWait || tries >= maxThrottled {
			return nil, failed
		}
		c.log.Debug("server asks to wait", "url", plain(resp.Request.URL), "status", resp.StatusCode, "wait", wait)
	}
}

// document gets u and reads its members. A body that is no JSON object is an
// error that says what it is instead.
func (c *Client) document(ctx context.Context, u string) (members, *http.Response, error) {
	var requests int
	resp, err := c.get(ctx, u, &requests)
	if err != nil {
		if c.speaks20(ctx, u, err) {
			return nil, nil, failure20(u)
		}
		return nil, nil, plainFailure(err)
	}
	defer resp.Body.Close()
	body, err := bodyOf(resp)
	if err != nil {
		return nil, nil, err
	}
	data, err := transport.ReadLimited(body, maxMeta)
	if err != nil {
		return nil, nil, intel.AsFailure(fmt.Errorf("GET %s: %w", plain(resp.Request.URL), err))
	}
	m, err := parseMembers(data)
	if err != nil {
		return nil, nil, notTAXII(resp, err)
	}
	return m, resp, nil
}

// speaks20 asks a server that refused our media type whether TAXII 2.0's
// would do.
func (c *Client) speaks20(ctx context.Context, u string, cause error) bool {
	var status *statusError
	if !errors.As(cause, &status) || status.code != http.StatusNotAcceptable {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Accept", "application/vnd.oasis.taxii+json; version=2.0")
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	return resp.StatusCode/100 == 2 && is20(resp)
}

// bodyOf returns resp's body without a gzip encoding that was not asked for,
// which net/http leaves in place.
func bodyOf(resp *http.Response) (io.Reader, error) {
	if resp.Uncompressed || !strings.EqualFold(strings.TrimSpace(resp.Header.Get("Content-Encoding")), "gzip") {
		return resp.Body, nil
	}
	z, err := gzip.NewReader(resp.Body)
	if err == io.EOF {
		return strings.NewReader(""), nil
	}
	if err != nil {
		return nil, notTAXII(resp, err)
	}
	return z, nil
}

// folder completes a URL that must end in a slash (§3.1).
func folder(u *url.URL) *url.URL {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	if !strings.HasSuffix(v.Path, "/") {
		v.Path += "/"
		if v.RawPath != "" {
			v.RawPath += "/"
		}
	}
	return &v
}

// parseURL reads a URL from the configuration or a server.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, intel.Fail(intel.FailConfig, "%q is not an http or https URL", s)
	}
	return u, nil
}

// plain is u without user, query and fragment, for messages.
func plain(u *url.URL) string {
	if u == nil {
		return "(no URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
