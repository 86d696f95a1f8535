//go:build interop

package interop

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/sinks/sinktest"
)

// A proxy stands before the node. It records the requests and plays the faults
// of networks and gateways.
type proxy struct {
	URL     string
	address string
	forward *httputil.ReverseProxy
	http    *http.Server
	served  chan struct{}

	mu       sync.Mutex
	fault    sinktest.Fault
	healed   chan struct{} // closed when the fault is over
	requests []string
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	target, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: "127.0.0.1:0", healed: make(chan struct{})}
	p.forward = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	p.URL = "http://" + p.address
	return p
}

func (p *proxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.address = l.Addr().String()
	p.http = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	p.served = make(chan struct{})
	go func(h *http.Server, done chan struct{}) {
		defer close(done)
		_ = h.Serve(l)
	}(p.http, p.served)
	return nil
}

func (p *proxy) close() {
	p.heal()
	_ = p.http.Close()
	<-p.served
}

// inject begins a fault; false means that the proxy can not play it.
func (p *proxy) inject(f sinktest.Fault) bool {
	if f == sinktest.RestartKeep || f == sinktest.RestartLose || f == sinktest.DiskFull {
		return false
	}
	p.mu.Lock()
	p.fault = f
	p.mu.Unlock()
	if f == sinktest.Refuse {
		_ = p.http.Close()
		<-p.served
	}
	return true
}

func (p *proxy) heal() {
	p.mu.Lock()
	f := p.fault
	p.fault = ""
	close(p.healed)
	p.healed = make(chan struct{})
	p.mu.Unlock()
	if f == sinktest.Refuse {
		if err := p.listen(); err != nil {
			panic(err)
		}
	}
}

// seen returns method and path of every request so far whose path ends so.
func (p *proxy) seen(suffix string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(r string) bool { return !strings.HasSuffix(r, suffix) })
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.URL.Path)
	fault, healed := p.fault, p.healed
	p.mu.Unlock()

	page := func(status int, text string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	const html = "<html><head><title>Gateway</title></head><body><h1>Sign in</h1></body></html>"
	switch fault {
	case sinktest.Hang:
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-healed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case sinktest.CutBeforeAccept:
		_, _ = io.CopyN(io.Discard, r.Body, 64)
		panic(http.ErrAbortHandler)
	case sinktest.CutAfterAccept:
		// The node carries it out, whatever becomes of this connection.
		p.forward.ServeHTTP(&void{header: http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
		panic(http.ErrAbortHandler)
	case sinktest.HTML:
		page(http.StatusBadGateway, html)
	case sinktest.HTML200:
		page(http.StatusOK, html)
	case sinktest.Throttle:
		w.Header().Set("Retry-After", "1")
		page(http.StatusTooManyRequests, "slow down")
	case sinktest.ServerError:
		page(http.StatusInternalServerError, "something broke")
	case sinktest.Unauthorized:
		page(http.StatusUnauthorized, "Unauthorized")
	case sinktest.NotFound:
		page(http.StatusNotFound, "404 page not found")
	case sinktest.Echo:
		var b strings.Builder
		_ = r.Header.Write(&b)
		page(http.StatusInternalServerError, "cannot handle "+r.URL.String()+": "+b.String())
	case sinktest.Slow:
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
		}
		p.forward.ServeHTTP(w, r)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// void is an answer that nobody gets.
type void struct{ header http.Header }

func (v *void) Header() http.Header         { return v.header }
func (v *void) Write(b []byte) (int, error) { return len(b), nil }
func (v *void) WriteHeader(int)             {}
