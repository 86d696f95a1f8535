package taxiitest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A meter counts what the requests of a window cost.
type meter struct {
	began time.Time
	spent float64
}

// meter charges a request to the account and says what is left of its limit in
// the header that it returns; with refused set there was too little. The header
// is nil on a server that does not tell.
func (s *Server) meter(r *http.Request) (h http.Header, refused *answer) {
	if s.p.RateLimit == 0 {
		return nil, nil
	}
	cost := 1.0
	if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/objects") {
		cost = s.p.ObjectsCost
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	m := &s.account
	if now.Sub(m.began) >= s.p.RateWindow {
		*m = meter{began: now}
	}
	left := float64(s.p.RateLimit) - m.spent
	if left < cost {
		s.refused++
		refused = s.fail(http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED", "too many requests")
	} else {
		m.spent += cost
		left -= cost
	}
	reset := m.began.Add(s.p.RateWindow)
	switch {
	case s.p.RateHeaders:
		until := reset.Unix()
		if s.p.ResetByDelta {
			until = int64(reset.Sub(now).Seconds())
		}
		h = http.Header{}
		h.Set("X-RateLimit-Limit", strconv.Itoa(s.p.RateLimit))
		h.Set("X-RateLimit-Remaining", strconv.FormatFloat(left, 'f', -1, 64))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(until, 10))
	case refused != nil:
		refused.header.Set("Retry-After", strconv.Itoa(int(reset.Sub(now).Seconds())+1))
	}
	return h, refused
}

// Refused returns how many requests were beyond the rate limit.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}
