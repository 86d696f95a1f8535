// Package web serves what the forwarder says of itself over HTTP, read-only: a
// status page for people, /status as JSON, /metrics for Prometheus, and
// /healthz and /readyz for supervisors.
//
// /healthz is about this process alone: 200 while its loops make progress. A
// TAXII server or a SIEM that is down never makes it fail, since a restart would
// not help. /readyz is 200 once the configuration is loaded and the state is
// usable, and lists what it knows of each feed and sink; with ?strict it is 503
// while any of them fails.
//
// # Who may read it
//
// Whoever can reach the listener, which is on loopback unless configured
// otherwise; with a token, whoever has it. Over loopback only requests that
// name a loopback host are answered, so that a page in the admin's browser can
// not read the status through a name of its own that resolves to 127.0.0.1 (DNS
// rebinding).
package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/status"
)

// A Source says how the forwarder is. Its methods are called by many
// goroutines and return fast.
type Source interface {
	// Status returns a snapshot, complete and free of secrets.
	Status(ctx context.Context) status.Status
	// Ready reports whether the forwarder does its work, and why not;
	// [status.Status.Ready] answers for most.
	Ready(ctx context.Context) (bool, []status.Reason)
	// Alive reports whether the forwarder's own loops make progress.
	Alive() bool
}

// Options says what is served, and to whom.
type Options struct {
	Source   Source
	Gatherer prometheus.Gatherer
	// Token, when set, is demanded for all but the bare verdicts of /healthz and
	// /readyz: as a bearer token or, for browsers, as the password of any user.
	Token setting.Secret
	// Hosts are names besides loopback ones under which the listener is reached
	// over loopback: a reverse proxy's, say. Without ports, in lower case.
	Hosts  []string
	Logger hclog.Logger // nil = silent
}

// Handler returns the pages.
func Handler(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	h := &handler{Options: o}
	metrics := promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: o.Logger.StandardLogger(nil), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", h.healthz)
	mux.HandleFunc("/readyz", h.readyz)
	mux.Handle("/metrics", h.private(func(w http.ResponseWriter, r *http.Request) {
		o.Source.Status(r.Context()) // brings the gauges up to date
		metrics.ServeHTTP(w, r)
	}))
	mux.Handle("/status", h.private(h.status))
	mux.Handle("/{$}", h.private(h.page))
	return h.guard(mux)
}

type handler struct{ Options }

// guard refuses what no page answers, and sets the headers that every answer
// has.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
			return
		}
		if !h.knownHost(r) {
			http.Error(w, "this host name is not served over loopback", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether the request names a host that it could mean: any on
// a public listener; over loopback a loopback one or a configured one.
func (h *handler) knownHost(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	if addr, err := netip.ParseAddrPort(local.String()); err != nil || !addr.Addr().Unmap().IsLoopback() {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback() || slices.Contains(h.Hosts, host)
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(h.Hosts, host)
}

// private serves next to those who have the token.
func (h *handler) private(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="taxii-forwarder: any user, the token as password", charset="UTF-8"`)
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		next(w, r)
	})
}

func (h *handler) authorized(r *http.Request) bool {
	if h.Token == "" {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		_, given, _ = r.BasicAuth()
	}
	// Digests have equal lengths, so that the comparison tells nothing of the token's.
	a, b := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(h.Token.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
