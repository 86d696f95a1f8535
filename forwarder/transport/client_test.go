package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// scripted replaces the network by a pipe, for tests in synthetic time; serve
// is called with the header of each request read.
func scripted(c *Client, serve func(req *http.Request, conn net.Conn)) {
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if req, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
				serve(req, far)
			}
		}()
		return near, nil
	}
}

func TestTimeouts(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
	wait := func(req *http.Request, conn net.Conn) { io.Copy(io.Discard, conn) } // until the client hangs up
	tests := []struct {
		name  string
		serve func(*http.Request, net.Conn)
		err   string // "" = the body arrives
		took  time.Duration
	}{
		{"no answer", wait, "no answer within 10s", 10 * time.Second},
		{"no body", func(r *http.Request, c net.Conn) { io.WriteString(c, header); wait(r, c) },
			"nothing for 10s after 0 bytes", 10 * time.Second},
		{"stalls in the body", func(r *http.Request, c net.Conn) { io.WriteString(c, header+"ab"); wait(r, c) },
			"nothing for 10s after 2 bytes", 10 * time.Second},
		{"slow but alive", func(r *http.Request, c net.Conn) {
			io.WriteString(c, header)
			for _, b := range "body" {
				time.Sleep(9 * time.Second)
				io.WriteString(c, string(b))
			}
		}, "", 36 * time.Second},
		{"cut off", func(r *http.Request, c net.Conn) { io.WriteString(c, header+"abc") }, "cut off after 3 bytes", 0},
		{"closed", func(*http.Request, net.Conn) {}, "closed the connection without an answer", 0},
		{"not HTTP", func(_ *http.Request, c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }, "does not speak HTTP", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := mustNew(t, Options{Timeout: 10 * time.Second})
				scripted(c, func(req *http.Request, conn net.Conn) {
					io.Copy(io.Discard, req.Body)
					tt.serve(req, conn)
				})
				start := time.Now()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://taxii.example.com/?key=s3cret", strings.NewReader("x"))
				resp, err := c.Do(req)
				var data []byte
				if err == nil {
					data, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if tt.err == "" {
					if err != nil || string(data) != "body" {
						t.Fatalf("%q, %v", data, err)
					}
				} else if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "s3cret") {
					t.Fatalf("error is %v, want one with %q", err, tt.err)
				} else if !errors.As(err, new(*intel.Failure)) {
					t.Errorf("%T is no failure", err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

// TestSlowReader: while the caller works on what it has, the watch rests.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Options{Timeout: time.Second})
		scripted(c, func(_ *http.Request, conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
		})
		resp, err := c.Do(get(t, "http://taxii.example.com/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		one := make([]byte, 1)
		for range 2 {
			time.Sleep(time.Hour)
			if _, err := io.ReadFull(resp.Body, one); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSlowUpload: a batch that takes longer than the timeout to send is not
// cut off as long as it moves.
func TestSlowUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Options{Timeout: 10 * time.Second})
		scripted(c, func(req *http.Request, conn net.Conn) {
			for range 6 {
				time.Sleep(6 * time.Second)
				if _, err := io.CopyN(io.Discard, req.Body, 64<<10); err != nil {
					t.Error(err)
				}
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://siem.example.com/", bytes.NewReader(make([]byte, 6*64<<10)))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Options{})
		scripted(c, func(_ *http.Request, conn net.Conn) { io.Copy(io.Discard, conn) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Do(get(t, "http://taxii.example.com/").WithContext(ctx))
		if f := intel.AsFailure(err); !errors.Is(err, context.DeadlineExceeded) || f.Kind != intel.FailTimeout {
			t.Errorf("error is %v", err)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(errors.New("reload")) })
		_, err = c.Do(get(t, "http://taxii.example.com/").WithContext(ctx))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Options{})
		scripted(c, func(_ *http.Request, conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		})
		took := func(url string, ctx context.Context) time.Duration {
			start := time.Now()
			resp, err := c.Do(get(t, url).WithContext(ctx))
			if err == nil {
				resp.Body.Close()
			} else if ctx.Err() == nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		c.Hold("Taxii.example.com:80", time.Minute)
		c.Hold("taxii.example.com", time.Second) // does not shorten it
		if d := took("http://other.example.com/", t.Context()); d != 0 {
			t.Errorf("another host waited %s", d)
		}
		time.AfterFunc(30*time.Second, func() { c.Hold("taxii.example.com", time.Minute) })
		if d := took("http://taxii.example.com/a", t.Context()); d != 90*time.Second {
			t.Errorf("waited %s, want 1m30s", d)
		}
		if d := took("http://taxii.example.com/b", t.Context()); d != 0 {
			t.Errorf("waited %s after the hold", d)
		}
		c.Hold("taxii.example.com", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := took("http://taxii.example.com/c", ctx); d != time.Second {
			t.Errorf("gave up after %s", d)
		}
	})
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := mustNew(t, Options{})
	_, err = c.Do(get(t, "http://"+l.Addr().String()+"/?api_key=s3cret"))
	if f := intel.AsFailure(err); err == nil || f.Kind != intel.FailUnreachable || !strings.Contains(f.Hint, "nothing listens") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("refused: %v", err)
	}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "none.example.com", IsNotFound: true}}
	}
	_, err = c.Do(get(t, "https://none.example.com/"))
	if f := intel.AsFailure(err); f.Kind != intel.FailUnreachable || !strings.Contains(err.Error(), "host none.example.com is not known") {
		t.Errorf("unknown host: %v", err)
	}
	for _, u := range []string{"ftp://example.com/", "/relative"} {
		if _, err := c.Do(get(t, u)); intel.AsFailure(err).Kind != intel.FailConfig {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestProxy(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
		if !ok || user != "u" || pass != "s3cret" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		seen = append(seen, r.Host)
		io.WriteString(w, "by proxy")
	}))
	defer proxy.Close()
	direct := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "direct") }))
	defer direct.Close()
	address := strings.TrimPrefix(proxy.URL, "http://")
	withUser := "http://u:s3cret@" + address

	tests := []struct {
		name         string
		proxyURL     string
		env, noProxy string
		url          string
		want         string
	}{
		{"configured", withUser, "", "", "http://taxii.example.com/", "by proxy"},
		{"configured before environment", withUser, "http://192.0.2.1:1", "", "http://taxii.example.com/", "by proxy"},
		{"environment", "", withUser, "", "http://taxii.example.com/", "by proxy"},
		{"loopback is direct", withUser, withUser, "", direct.URL, "direct"},
		{"NO_PROXY", withUser, "", ".example.com", "http://taxii.example.com/", "direct"},
		{"NO_PROXY, other host", withUser, "", "example.net", "http://taxii.example.com/", "by proxy"},
		{"direct", ProxyDirect, withUser, "", "http://taxii.example.com/", "direct"},
		{"without password", "http://" + address, "", "", "http://taxii.example.com/", "407"},
		{"without password, https", "http://" + address, "", "", "https://taxii.example.com/", "user name and password"},
		{"unreachable", "http://u:s3cret@127.0.0.1:1", "", "", "https://taxii.example.com/", "check proxy_url"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
				t.Setenv(name, tt.env)
			}
			t.Setenv("NO_PROXY", tt.noProxy)
			t.Setenv("no_proxy", tt.noProxy)
			c := mustNew(t, Options{ProxyURL: tt.proxyURL})
			dialTo(c, map[string]string{"80": strings.TrimPrefix(direct.URL, "http://")})
			resp, err := c.Do(get(t, tt.url))
			got := fmt.Sprint(err)
			if err == nil {
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				got = fmt.Sprint(resp.StatusCode, " ", string(body))
			}
			if !strings.Contains(got, tt.want) || strings.Contains(got, "s3cret") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if len(seen) == 0 {
		t.Error("the proxy saw nothing")
	}
	for _, bad := range []string{"proxy:3128", "ftp://proxy", "http://", "http://u:s3cret@:1 /"} {
		if _, err := New(Options{ProxyURL: bad}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestCookies: HEC acknowledgements need the session's cookie on every request.
func TestCookies(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "node", Value: "7", Path: "/"})
		if c, err := r.Cookie("node"); err == nil {
			io.WriteString(w, c.Value)
		}
	}))
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	c := mustNew(t, Options{CookieJar: jar, UserAgent: "test/1"})
	for _, want := range []string{"", "7"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("x"))
		resp, err := c.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := ReadLimited(resp.Body, 10)
		resp.Body.Close()
		if string(body) != want {
			t.Errorf("cookie is %q, want %q", body, want)
		}
		if len(req.Header) != 0 {
			t.Errorf("the caller's request was changed: %v", req.Header)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		header, value string
		want          time.Duration
		ok            bool
	}{
		{"Retry-After", "120", 2 * time.Minute, true},
		{"Retry-After", " 1.5 ", 1500 * time.Millisecond, true},
		{"Retry-After", "0", 0, true},
		{"Retry-After", "-5", 0, true},
		{"Retry-After", "NaN", 0, true},
		{"Retry-After", "999999999999", 24 * time.Hour, true},
		{"Retry-After", "Sun, 01 Mar 2026 12:01:30 GMT", 90 * time.Second, true},
		{"Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT", 0, true},
		{"Retry-After", "Sunday, 01-Mar-26 12:01:30 GMT", 90 * time.Second, true},
		{"Retry-After", "2026-03-01T12:00:10Z", 10 * time.Second, true},
		{"Retry-After", "soon", 0, false},
		{"X-RateLimit-Reset", "1772366460", time.Minute, true},
		{"X-RateLimit-Reset", "1772366460000", time.Minute, true},
		{"X-RateLimit-Reset", "30", 30 * time.Second, true},
		{"RateLimit-Reset", "30", 30 * time.Second, true},
		{"X-RateLimit-Reset", "1000000000", 0, true},
		{"x-ms-retry-after-ms", "250", 250 * time.Millisecond, true},
		{"Date", "120", 0, false},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set(tt.header, tt.value)
		if got, ok := RetryAfter(h, now); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %s gives %s, %v; want %s, %v", tt.header, tt.value, got, ok, tt.want, tt.ok)
		}
	}
	h := http.Header{"Retry-After": {"5"}, "X-Ratelimit-Reset": {"100"}}
	if got, _ := RetryAfter(h, now); got != 5*time.Second {
		t.Errorf("Retry-After does not come first: %s", got)
	}
	// A server whose clock is an hour fast means by a date what it would mean if
	// both clocks were right.
	fast := now.Add(time.Hour)
	for name, value := range map[string]string{
		"Retry-After":       fast.Add(time.Minute).Format(http.TimeFormat),
		"X-RateLimit-Reset": strconv.FormatInt(fast.Add(time.Minute).Unix(), 10),
	} {
		h := http.Header{"Date": {fast.Format(http.TimeFormat)}}
		h.Set(name, value)
		if got, _ := RetryAfter(h, now); got != time.Minute {
			t.Errorf("%s of a fast clock: %s", name, got)
		}
	}
}

func TestStatusFailure(t *testing.T) {
	kinds := map[int]intel.FailureKind{
		400: intel.FailProtocol, 401: intel.FailAuth, 403: intel.FailAuth, 404: intel.FailNotFound,
		406: intel.FailProtocol, 407: intel.FailAuth, 408: intel.FailTimeout, 410: intel.FailNotFound,
		413: intel.FailProtocol, 429: intel.FailThrottled, 500: intel.FailServer, 502: intel.FailServer,
		503: intel.FailThrottled, 504: intel.FailTimeout, 507: intel.FailServer, 599: intel.FailServer,
	}
	u, _ := url.Parse("https://u:s3cret@taxii.example.com/root/?key=s3cret")
	for code, kind := range kinds {
		resp := &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {"7"}}, Request: &http.Request{Method: "GET", URL: u}}
		f := StatusFailure(resp, []byte(`{"title": "no"}`))
		if f.Kind != kind {
			t.Errorf("%d: kind is %s, want %s", code, f.Kind, kind)
		}
		text := f.Error()
		if !strings.Contains(text, "GET https://taxii.example.com/root/: ") || !strings.Contains(text, fmt.Sprint(code)) ||
			!strings.Contains(text, `{"title": "no"}`) || strings.Contains(text, "s3cret") {
			t.Errorf("%d: %s", code, text)
		}
		if waits := f.RetryAfter == 7*time.Second; waits != (kind == intel.FailThrottled || kind == intel.FailServer) {
			t.Errorf("%d: retry after %s", code, f.RetryAfter)
		}
	}
	StatusFailure(&http.Response{StatusCode: 500}, nil) // no request, no headers

	for body, want := range map[string]string{
		"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1><hr>nginx</body></html>": "404 Not Found: nginx",
		"404 Not Found":       "404 Not Found",
		"404 not here":        "404 Not Found: 404 not here",
		`{"title":"No feed"}`: `404 Not Found: {"title":"No feed"}`,
	} {
		f := StatusFailure(&http.Response{StatusCode: 404, Request: &http.Request{Method: "GET", URL: u}}, []byte(body))
		if got, want := f.Err.Error(), "GET https://taxii.example.com/root/: "+want; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestSnippet(t *testing.T) {
	tests := []struct{ body, want string }{
		{"", ""},
		{"  plain\r\n\ttext\x00here ", "plain text here"},
		{"\xff\xfe", "\uFFFD"},
		{"<!DOCTYPE html><html><head><title>Bad Gateway</title><style>p{a:b}</style><SCRIPT>var s='</p>';</SCRIPT></head><body><h1>Bad&nbsp;Gateway</h1><!-- x > y --><p>nginx", "Bad Gateway nginx"},
		{"<html><head><title>404 Not Found</title></head>\n<body>\n<center><h1>404  Not Found</h1></center><hr><center>nginx/1.24</center></body></html>", "404 Not Found nginx/1.24"},
		{"<html><head><title>Sign in &amp; go</title></head><body>Use your badge</body></html>", "Sign in & go Use your badge"},
		{"<html><head><title>Only a title</title></head><body></body></html>", "Only a title"},
		{"<html><head><title>never closed", "never closed"},
		{`{"a":"<b>"}`, `{"a":"<b>"}`},
		{"<html><İ", ""},
		{strings.Repeat("ä", 500), strings.Repeat("ä", 198) + "…"},
	}
	for _, tt := range tests {
		if got := Snippet([]byte(tt.body)); got != tt.want {
			t.Errorf("%.40q: %q, want %q", tt.body, got, tt.want)
		}
	}
}

func TestReadLimited(t *testing.T) {
	if b, err := ReadLimited(strings.NewReader("1234"), 4); err != nil || string(b) != "1234" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := ReadLimited(strings.NewReader("12345"), 4); err == nil || string(b) != "1234" {
		t.Errorf("%q, %v", b, err)
	}
}
