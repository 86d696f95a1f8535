package splunktest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.http == nil {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.handling.Add(1)
	s.mu.Unlock()
	defer s.handling.Done()

	path := strings.TrimSuffix(r.URL.Path, "/1.0")
	endpoint, ok := map[string]string{
		"/services/collector": "event", "/services/collector/event": "event",
		"/services/collector/ack": "ack", "/services/collector/health": "health",
	}[path]
	if !ok {
		s.problem("request to %s", r.URL.Path)
		writeJSON(w, http.StatusNotFound, map[string]any{"text": "The requested URL was not found on this server.", "code": 404})
		return
	}
	if r.Method == http.MethodOptions {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	s.mu.Lock()
	s.requests[endpoint]++
	s.mu.Unlock()
	session := s.session(w, r)

	f := s.fault(endpoint)
	if f != nil && f.before(s, w, r) {
		return
	}
	switch {
	case endpoint == "health":
		if r.Method != http.MethodGet {
			writeJSON(w, http.StatusMethodNotAllowed, map[string]any{"text": "Method not allowed", "code": 404})
			return
		}
		s.write(w, r, answer(17), f)
	case r.Method != http.MethodPost:
		writeJSON(w, http.StatusMethodNotAllowed, map[string]any{"text": "Method not allowed", "code": 404})
	case endpoint == "ack":
		s.serveAck(w, r, body, session, f)
	default:
		s.serveEvents(w, r, body, session, f)
	}
}

// authorize returns the code that r's credentials deserve, 0 = good.
func (s *Server) authorize(r *http.Request) int {
	header := r.Header.Get("Authorization")
	token, isSplunk := strings.CutPrefix(header, "Splunk ")
	if _, password, ok := r.BasicAuth(); ok {
		s.problem("basic authentication")
		token, isSplunk = password, true
	}
	switch {
	case r.URL.Query().Has("token"):
		s.problem("the token is in the query, where access logs show it")
		return 16
	case header == "":
		return 2
	case !isSplunk:
		return 3
	case token != s.o.Token:
		return 4
	}
	return 0
}

func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, body []byte, session int, f *Fault) {
	if code := s.authorize(r); code != 0 {
		s.write(w, r, answer(code), f)
		return
	}
	channel := r.Header.Get("X-Splunk-Request-Channel")
	if channel == "" {
		s.problem("no channel")
	}
	switch {
	case channel == "" && s.o.Ack && s.o.Cloud:
		s.write(w, r, answer(28), f)
		return
	case channel == "" && s.o.Ack:
		s.write(w, r, answer(10), f)
		return
	case channel != "" && !guid.MatchString(channel):
		s.write(w, r, answer(11), f)
		return
	}
	if r.UserAgent() == "" || strings.HasPrefix(r.UserAgent(), "Go-http-client") {
		s.problem("no User-Agent of its own")
	}
	if ct := r.Header.Get("Content-Type"); len(body) > 0 && !strings.HasPrefix(ct, "application/json") {
		s.problem("Content-Type %q", ct)
	}
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "":
	case "gzip":
		var err error
		if body, err = gunzip(body, s.o.MaxContentLength); err != nil {
			s.write(w, r, result{code: 6, bad: 0}, f)
			return
		}
	default:
		s.problem("Content-Encoding %q", enc)
		html(w, http.StatusUnsupportedMediaType)
		return
	}
	if len(body) > s.o.MaxContentLength {
		html(w, http.StatusRequestEntityTooLarge)
		return
	}
	if s.o.CloudMaxBytes > 0 && len(body) > s.o.CloudMaxBytes {
		s.write(w, r, result{code: 6, bad: 0}, f)
		return
	}
	limit := -1
	if f != nil && f.Take && f.Part > 0 {
		limit = f.Part
	}
	s.write(w, r, s.take(body, channelKey{session, channel}, limit), f)
}

func gunzip(body []byte, limit int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, int64(limit)+1))
}

// take stores the events of body up to the first bad one, or the first limit of
// them when limit is not negative.
func (s *Server) take(body []byte, key channelKey, limit int) result {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	var taken []Event
	seen, dropped := 0, false
	res := answer(0)
loop:
	for limit < 0 || seen < limit {
		env, err := readEnvelope(dec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.problem("event %d of a request: %v", seen, err)
			res = result{code: 6, bad: seen}
			break
		}
		for _, p := range env.problems {
			s.problem("%s", p)
		}
		if env.unknown != "" {
			s.problem("unknown envelope key %q: splunk says success and drops this and all after it", env.unknown)
			if seen == 0 && dec.PeekKind() == 0 {
				return answer(5) // it was the only object
			}
			dropped = true
			break
		}
		if env.event == nil && env.fields != nil {
			s.problem("fields without event: splunk says success and skips it")
			dropped = true
			seen++
			continue
		}
		index := env.index
		if index == "" {
			index = s.o.DefaultIndex
		}
		switch code := env.verdict(s.o.Indexes, index); code {
		case 0:
		case 7:
			res = result{code: 7, bad: seen + 1} // one past, unlike the others
			break loop
		default:
			res = result{code: code, bad: seen}
			break loop
		}
		e, code := s.admit(env, index, key.channel)
		if code != 0 {
			res = result{code: code, bad: seen}
			break
		}
		seen++
		if s.o.Existing != nil && s.o.Indexes == nil && !slices.Contains(s.o.Existing, index) {
			s.problem("index %q does not exist: splunk says success and drops the event", index)
			continue
		}
		taken = append(taken, e)
	}
	if res.code == 0 && seen == 0 && limit < 0 && !dropped {
		return answer(5)
	}
	s.store(taken, key, &res, seen)
	return res
}

// admit reads an event that the envelope's rules let through, and asks poison.
func (s *Server) admit(env envelope, index, channel string) (Event, int) {
	var e Event
	var problems []string
	if s.o.CountOnly {
		e.Raw = env.event
	} else {
		e, problems = readItem(env.event)
	}
	e.Time, e.Host, e.Source, e.SourceType, e.Index, e.Channel = env.time, env.host, env.source, env.sourceType, index, channel
	s.mu.Lock()
	poison, code := s.poison, s.code
	s.mu.Unlock()
	if poison != nil && poison(e) {
		return e, code
	}
	if env.time == "" {
		problems = append(problems, "no time")
	}
	if env.sourceType == "" {
		problems = append(problems, "no sourcetype")
	}
	for _, p := range problems {
		s.problem("%s: %.200s", p, env.event)
	}
	return e, 0
}

// store keeps the taken events and, with acknowledgment, gives them an id.
func (s *Server) store(taken []Event, key channelKey, res *result, seen int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored += int64(len(taken))
	if s.o.Ack && (res.code == 0 || seen > 0) {
		st := s.channels[key]
		if st == nil {
			st = &ackState{waiting: map[int64]*pending{}}
			s.channels[key] = st
		}
		res.ackID, res.acked = st.next, true
		st.next++
		p := &pending{polls: s.o.AckPolls}
		st.waiting[res.ackID] = p
		for i := range taken {
			taken[i].receipt = p
		}
	}
	if !s.o.CountOnly {
		s.events = append(s.events, taken...)
	}
}
