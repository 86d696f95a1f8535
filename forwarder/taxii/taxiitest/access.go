package taxiitest

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Auth is who may ask.
type Auth struct {
	// Kind is none, bearer, basic, header, or any (of the three).
	Kind                    string
	Token                   string // bearer
	Username, Password      string // basic
	HeaderName, HeaderValue string // header
}

func (a Auth) admits(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	basic := r.Header.Get("Authorization") != "" && user == a.Username && password == a.Password
	bearer := r.Header.Get("Authorization") == "Bearer "+a.Token
	header := a.HeaderName != "" && r.Header.Get(a.HeaderName) == a.HeaderValue
	switch a.Kind {
	case "bearer":
		return bearer
	case "basic":
		return basic
	case "header":
		return header
	case "any":
		return bearer || basic || header
	}
	return true
}

// Apply adds the credentials to a request, as a client would.
func (a Auth) Apply(r *http.Request) {
	switch a.Kind {
	case "bearer", "any":
		r.Header.Set("Authorization", "Bearer "+a.Token)
	case "basic":
		r.SetBasicAuth(a.Username, a.Password)
	case "header":
		r.Header.Set(a.HeaderName, a.HeaderValue)
	}
}

// Auth returns who may ask.
func (s *Server) Auth() Auth { return s.auth }

const mediaType = "application/taxii+json;version=2.1"

// authenticate refuses requests by their method and credentials.
func (s *Server) authenticate(r *http.Request) *answer {
	if r.Method != http.MethodGet {
		s.violate(r, "the method is not GET")
		return s.fail(http.StatusMethodNotAllowed, "method not allowed", "only GET is served")
	}
	if !s.auth.admits(r) {
		a := s.fail(http.StatusUnauthorized, "unauthorized", "the credentials are missing or wrong")
		a.header.Set("WWW-Authenticate", `Basic realm="taxii"`)
		return a
	}
	return nil
}

// acceptable refuses requests that do not accept what is served.
func (s *Server) acceptable(r *http.Request) *answer {
	accept := r.Header.Values("Accept")
	if len(accept) != 1 || accept[0] != mediaType {
		s.violate(r, fmt.Sprintf("Accept is %q, not %q", accept, mediaType))
		return s.fail(http.StatusNotAcceptable, "not acceptable", "only "+mediaType+" is served")
	}
	return nil
}

// moved is the path under which a redirecting profile really serves.
const moved = "/moved"

// redirect plays a server whose collections are elsewhere.
func (s *Server) redirect(r *http.Request) *answer {
	if !s.p.Redirect {
		return nil
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, moved); ok {
		r.URL.Path = rest
		return nil
	}
	if !strings.HasPrefix(r.URL.Path, s.p.RootPath) {
		return nil
	}
	a := &answer{status: http.StatusMovedPermanently, header: http.Header{}}
	to := *r.URL
	to.Path = moved + to.Path
	a.header.Set("Location", to.RequestURI())
	return a
}

// fail writes an error in the profile's shape.
func (s *Server) fail(status int, title, text string) *answer {
	var body any
	switch s.p.Errors {
	case ErrorNested:
		body = map[string]any{"error": map[string]any{"code": strings.ToUpper(strings.ReplaceAll(title, " ", "_")), "message": text}}
	case ErrorOpen:
		body = map[string]any{"code": status, "name": title, "description": text}
		if status == http.StatusBadRequest { // what is wrong, by parameter
			body = map[string]any{"code": status, "name": "validation error", "description": map[string]any{title: []string{text}}}
		}
	case ErrorHTML:
		a := &answer{status: status, header: http.Header{"Content-Type": {"text/html"}}}
		a.body = []byte("<!DOCTYPE html><html><body><h1>" + html.EscapeString(title) + "</h1></body></html>")
		return a
	default:
		body = map[string]any{"title": title, "description": text, "http_status": strconv.Itoa(status)}
	}
	b, _ := json.Marshal(body)
	return s.json(status, b)
}
