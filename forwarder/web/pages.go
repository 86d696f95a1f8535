package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/status"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": status.Count,
	"bytes": status.Bytes,
	"lag":   status.Lag,
	"ago":   status.Ago,
	"span":  func(seconds int64) string { return status.Span(time.Duration(seconds) * time.Second) },
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"note":  func(f status.Failure, now time.Time) note { return note{f, now} },
	"style": func() template.CSS { return template.CSS(pageStyle) },
}).Parse(pageText))

// note is a failure with what its times are seen from.
type note struct {
	F   status.Failure
	Now time.Time
}

// policy lets the page use its own style and nothing else: no script, no image,
// no frame, no form.
var policy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	s := h.Source.Status(r.Context())
	if s.Time.IsZero() {
		s.Time = time.Now()
	}
	var buf bytes.Buffer
	if err := page.Execute(&buf, &s); err != nil {
		h.Logger.Error("render the status page", "error", err)
		http.Error(w, "the status page could not be rendered; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(buf.Bytes())
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	s := h.Source.Status(r.Context())
	h.json(w, http.StatusOK, &s)
}

// healthz says whether this process works, whatever its surroundings do.
func (h *handler) healthz(w http.ResponseWriter, r *http.Request) {
	code, answer := http.StatusOK, "ok\n"
	if !h.Source.Alive() {
		code, answer = http.StatusServiceUnavailable, "stuck: the forwarder's loops make no progress; restart it and report this\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	w.Write([]byte(answer))
}

// readiness is the body of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Degraded: something that is not ours fails, a feed or a destination.
	Degraded bool            `json:"degraded"`
	Reasons  []status.Reason `json:"reasons,omitempty"` // only for those who have the token
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	ready, reasons := h.Source.Ready(r.Context())
	body := readiness{Ready: ready}
	for i := range reasons {
		body.Degraded = body.Degraded || !reasons[i].OK
	}
	if h.authorized(r) {
		body.Reasons = reasons
	}
	code := http.StatusOK
	if !ready || body.Degraded && r.URL.Query().Has("strict") {
		code = http.StatusServiceUnavailable
	}
	h.json(w, code, &body)
}

func (h *handler) json(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		h.Logger.Error("encode the status", "error", err)
		http.Error(w, "the status could not be encoded; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(b, '\n'))
}
