package sentineltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of the upload API.
const (
	MaxObjects      = 100
	maxSourceSystem = 256
	maxBody         = 64 << 20
)

// upload serves the upload API, from the outside in: what a gateway checks
// first comes first.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		apiError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the request is too large")
		return
	}
	fault := s.nextFault(false)
	if fault != nil && s.failBefore(w, r, fault) {
		return
	}
	workspace, ok := strings.CutPrefix(r.URL.Path, "/workspaces/")
	workspace, isUpload := strings.CutSuffix(workspace, "/threat-intelligence-stix-objects:upload")
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !ok || !isUpload:
		apiError(w, http.StatusNotFound, "ResourceNotFound", "no such path: "+r.URL.Path)
		return
	case r.Method != http.MethodPost:
		apiError(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "only POST")
		return
	case !s.authorized(r):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		apiError(w, http.StatusUnauthorized, "Unauthorized", "the access token is missing, unknown or expired")
		return
	}
	if wait := s.overLimit(time.Now()); wait > 0 {
		throttled(w, wait, false)
		return
	}
	switch {
	case r.URL.Query().Get("api-version") != s.options.APIVersion:
		apiError(w, http.StatusBadRequest, "UnsupportedApiVersion", "unsupported api-version "+r.URL.Query().Get("api-version"))
		return
	case !isUUID(workspace):
		apiError(w, http.StatusBadRequest, "InvalidWorkspaceId", "the workspace id is not a UUID")
		return
	case !strings.EqualFold(workspace, s.options.WorkspaceID):
		apiError(w, http.StatusNotFound, "WorkspaceNotFound", "workspace "+workspace+" was not found")
		return
	case media != "application/json":
		apiError(w, http.StatusUnsupportedMediaType, "UnsupportedMediaType", "send application/json")
		return
	}
	source, objects, err := parseBody(body)
	if err != nil {
		s.note(Upload{At: time.Now(), Source: source, Objects: objects, Status: http.StatusBadRequest}, body)
		apiError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	s.judge(w, r, fault, source, objects, body)
}

// judge accepts or refuses each object and answers.
func (s *Server) judge(w http.ResponseWriter, r *http.Request, fault *Fault, source string, objects []json.RawMessage, body []byte) {
	s.mu.Lock()
	problems := make(map[int][]string)
	poisoned := false
	for i, raw := range objects {
		found := checkObject(raw, s.options.Lenient)
		if p := s.faults.poison; p != nil && p(raw) {
			poisoned = poisoned || s.faults.wholeRequest
			found = append(found, "Error for Property=pattern: the object can not be processed.")
		}
		if len(found) > 0 {
			problems[i] = found
		}
	}
	if fault != nil && fault.Kind == NoMessages {
		problems[0] = []string{}
	}
	if !poisoned {
		for i, raw := range objects {
			if problems[i] == nil {
				s.store.accept(source, raw)
			}
		}
	}
	s.mu.Unlock()

	status := http.StatusOK
	if poisoned || len(problems) == len(objects) {
		status = http.StatusBadRequest
	}
	up := Upload{At: time.Now(), Source: source, Objects: objects, Status: status, Refused: len(problems)}
	if poisoned {
		up.Refused = len(objects)
	}
	s.note(up, body)
	if fault != nil && s.failAfter(w, fault, len(objects)) {
		return
	}
	switch {
	case poisoned:
		apiError(w, status, "BadRequest", "the request could not be processed")
	case len(problems) == 0:
		w.WriteHeader(http.StatusOK) // with an empty body
	default:
		name := "errorMessages"
		if s.options.SwaggerNames {
			name = "validationErrorMessages"
		}
		list := []map[string]any{}
		for i := range objects {
			entry := map[string]any{"recordIndex": i}
			if len(problems[i]) > 0 {
				entry[name] = problems[i]
			}
			if problems[i] != nil {
				list = append(list, entry)
			}
		}
		writeJSON(w, status, map[string]any{"errors": list})
	}
}

// authorized reports whether r has a token that was issued and has not expired.
func (s *Server) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	expires, known := s.tokens[token]
	return ok && known && time.Now().Before(expires)
}

// overLimit counts a request, or says after how many seconds there is room.
func (s *Server) overLimit(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.requests) > 0 && now.Sub(s.requests[0]) >= time.Minute {
		s.requests = s.requests[1:]
	}
	if n := s.options.RequestsPerMinute; n > 0 && len(s.requests) >= n {
		return int(s.requests[0].Add(time.Minute).Sub(now)/time.Second) + 1
	}
	s.requests = append(s.requests, now)
	return 0
}

// parseBody takes the envelope apart, which has exactly two members.
func parseBody(body []byte) (source string, objects []json.RawMessage, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return "", nil, fmt.Errorf("the body is not a JSON object")
	}
	for name := range members {
		if name != "sourcesystem" && name != "stixobjects" {
			return "", nil, fmt.Errorf("unknown member %q", name)
		}
	}
	if err := json.Unmarshal(members["sourcesystem"], &source); err != nil || strings.TrimSpace(source) == "" {
		return "", nil, fmt.Errorf("sourcesystem is required")
	}
	if source == "Microsoft Sentinel" || utf8.RuneCountInString(source) > maxSourceSystem {
		return source, nil, fmt.Errorf("sourcesystem is reserved or too long")
	}
	if err := json.Unmarshal(members["stixobjects"], &objects); err != nil || bytes.HasPrefix(members["stixobjects"], []byte("null")) {
		return source, nil, fmt.Errorf("stixobjects is required and is a list")
	}
	switch {
	case len(objects) == 0:
		return source, nil, fmt.Errorf("stixobjects is empty")
	case len(objects) > MaxObjects:
		return source, objects, fmt.Errorf("stixobjects has %d objects; the most is %d", len(objects), MaxObjects)
	}
	return source, objects, nil
}

func apiError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("x-ms-error-code", code)
	writeJSON(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

// throttled answers 429 as the API does: the time is in the text. The header
// is not documented; some report it.
func throttled(w http.ResponseWriter, seconds int, header bool) {
	if header {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		writeJSON(w, http.StatusTooManyRequests, map[string]any{"statusCode": 429, "message": "Rate limit is exceeded."})
		return
	}
	writeJSON(w, http.StatusTooManyRequests, map[string]any{
		"statusCode": 429, "message": fmt.Sprintf("Rate limit is exceeded. Try again in %d seconds.", seconds),
	})
}
