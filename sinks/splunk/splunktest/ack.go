package splunktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// channelKey names the memory that holds a channel's acknowledgments: each
// indexer has its own.
type channelKey struct {
	session int
	channel string
}

type ackState struct {
	next    int64
	waiting map[int64]*pending
}

// pending is an acknowledgment: due after so many polls, and given.
type pending struct {
	polls int
	given bool
}

const cookieName = "HECSESSION"

// session returns the indexer that r ends up at, 0 without a load balancer.
func (s *Server) session(w http.ResponseWriter, r *http.Request) int {
	if !s.o.Sticky {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(cookieName); err == nil && c.Value == strconv.Itoa(s.sessions) {
		return s.sessions
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: strconv.Itoa(s.sessions), Path: "/", HttpOnly: true})
	return s.sessions
}

// MoveSessions makes the load balancer of a Sticky server send every session to
// another indexer from now on, which knows nothing of earlier acknowledgments.
func (s *Server) MoveSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
}

func (s *Server) serveAck(w http.ResponseWriter, r *http.Request, body []byte, session int, f *Fault) {
	if code := s.authorize(r); code != 0 {
		s.write(w, r, answer(code), f)
		return
	}
	channel := r.Header.Get("X-Splunk-Request-Channel")
	switch {
	case !s.o.Ack:
		s.write(w, r, answer(14), f)
		return
	case channel == "" && s.o.Cloud:
		s.write(w, r, answer(28), f)
		return
	case channel == "":
		s.write(w, r, answer(10), f)
		return
	case !guid.MatchString(channel):
		s.write(w, r, answer(11), f)
		return
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gunzip(body, 1<<20); err != nil {
			s.write(w, r, answer(6), f)
			return
		}
	}
	var question struct{ Acks []int64 }
	if err := json.Unmarshal(body, &question); err != nil || len(question.Acks) == 0 {
		s.problem("ack request %.200s", body)
		s.write(w, r, answer(6), f)
		return
	}
	acks := make(map[string]bool, len(question.Acks))
	s.mu.Lock()
	st := s.channels[channelKey{session, channel}]
	for _, id := range question.Acks {
		name := fmt.Sprint(id)
		acks[name] = false
		if st == nil || st.waiting[id] == nil {
			continue // unknown, of another channel or indexer, or told before
		}
		p := st.waiting[id]
		if p.polls > 0 {
			p.polls--
			continue
		}
		acks[name] = true
		delete(st.waiting, id)
		p.given = true
	}
	s.mu.Unlock()
	if f != nil && f.after(s, w, r, answer(0)) {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"acks": acks})
}
