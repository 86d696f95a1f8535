package taxiitest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// NextStyle is how a server makes its next tokens.
type NextStyle int

// The styles of tokens seen.
const (
	NextKeyset    NextStyle = iota // opaque, holds the last object's place; bound to the query
	NextNone                       // there is no token
	NextSession                    // medallion: one token for all pages, moved on by each use; expires
	NextMicros                     // OpenTAXII: keyset, refused when its date has no microseconds
	NextPage                       // MITRE: a page number, ignored without limit
	NextTwice                      // misp-taxii: an offset that is applied twice
	NextAfterDate                  // Arango: goes on behind the last date, whatever else has that date
	NextCreated                    // Pulsedive: "2024-01-15 10:30:45|12345"
)

// sessionLife is how long medallion keeps a token.
const sessionLife = 30 * time.Second

// A session is what medallion's memory backend keeps for a token.
type session struct {
	key  string
	left []*record
	made time.Time
}

// token makes the token behind rec.
func (s *Server) token(q *query, limit int, rec *record) string {
	pageOf := func() int { n, _ := strconv.Atoi(q.next); return n + 1 }
	switch s.p.Next {
	case NextKeyset:
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d|%d|%s", rec.key.UnixMicro(), rec.seq, q.key()))
	case NextMicros:
		// Python's isoformat leaves the fraction out when it is zero.
		text := rec.key.Format("2006-01-02T15:04:05.000000")
		text = strings.TrimSuffix(text, ".000000")
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s|%d", text, rec.seq))
	case NextPage, NextTwice:
		return strconv.Itoa(pageOf())
	case NextAfterDate:
		return rec.id + " " + rec.key.Format(layoutMicro)
	case NextCreated:
		return fmt.Sprintf("%s|%d", rec.key.Format("2006-01-02 15:04:05"), rec.seq)
	}
	return ""
}

// position finds where a query begins: an index, and how many selected records
// to skip from there.
func (s *Server) position(r *http.Request, c *Collection, q *query, limit int) (start, skip int, refused *answer) {
	if q.hasAfter {
		start = c.from(q.after)
	}
	if q.next == "" {
		return start, 0, nil
	}
	bad := func() (int, int, *answer) {
		return 0, 0, s.fail(http.StatusBadRequest, "bad request", "the next token can not be parsed")
	}
	behind := func(key time.Time, seq int) int {
		return sort.Search(len(c.all), func(i int) bool {
			k := c.all[i].key
			return k.After(key) || k.Equal(key) && c.all[i].seq > seq
		})
	}
	switch s.p.Next {
	case NextKeyset:
		raw, err := base64.StdEncoding.DecodeString(q.next)
		parts := strings.SplitN(string(raw), "|", 3)
		if err != nil || len(parts) != 3 {
			s.violateLocked(r, "a next token that was never given")
			return bad()
		}
		if parts[2] != q.key() {
			s.violateLocked(r, "a next token with other filters than it was given for (§3.5)")
			return 0, 0, s.fail(http.StatusBadRequest, "bad request", "the filters changed while next was followed")
		}
		micro, _ := strconv.ParseInt(parts[0], 10, 64)
		seq, _ := strconv.Atoi(parts[1])
		return behind(time.UnixMicro(micro).UTC(), seq), 0, nil
	case NextMicros:
		raw, err := base64.StdEncoding.DecodeString(q.next)
		date, number, ok := strings.Cut(string(raw), "|")
		if err != nil || !ok || !strings.Contains(date, ".") {
			return bad()
		}
		key, err := time.Parse("2006-01-02T15:04:05.000000", date)
		if err != nil {
			return bad()
		}
		seq, _ := strconv.Atoi(number)
		return behind(key, seq), 0, nil
	case NextPage, NextTwice:
		if q.limit == 0 {
			return start, 0, nil
		}
		n, err := strconv.Atoi(q.next)
		if err != nil {
			return bad()
		}
		if s.p.Next == NextTwice {
			n *= 2
		}
		return start, n * limit, nil
	case NextAfterDate:
		i := strings.LastIndexByte(q.next, ' ')
		if i < 0 {
			return bad()
		}
		key, err := time.Parse(layoutMicro, q.next[i+1:])
		if err != nil {
			return bad()
		}
		return sort.Search(len(c.all), func(i int) bool { return c.all[i].key.After(key) }), 0, nil
	case NextCreated:
		date, number, ok := strings.Cut(q.next, "|")
		key, err := time.Parse("2006-01-02 15:04:05", date)
		if !ok || err != nil {
			return bad()
		}
		seq, _ := strconv.Atoi(number)
		return behind(key, seq), 0, nil
	}
	s.violateLocked(r, "a next token that was never given")
	return bad()
}

// sessionPage plays medallion's memory backend: the rest of the result lies at
// the server, and each use of the token takes a page of it, so that a repeated
// request gets the following page.
func (s *Server) sessionPage(r *http.Request, c *Collection, q *query, limit int) (page, *answer) {
	var (
		ses  *session
		name = q.next
	)
	if name != "" {
		ses = s.tokens[name]
		switch {
		case q.limit == 0:
			return page{}, s.fail(http.StatusInternalServerError, "KeyError", "'limit'")
		case ses == nil || s.o.Now().Sub(ses.made) > sessionLife:
			delete(s.tokens, name)
			return page{}, s.fail(http.StatusBadRequest, "bad request", "the server did not understand the request or filter parameters: 'next' not valid")
		case ses.key != q.key():
			s.violateLocked(r, "a next token with other filters than it was given for (§3.5)")
			return page{}, s.fail(http.StatusBadRequest, "bad request", "'next' with other filters")
		}
	} else {
		ses = &session{key: q.key(), made: s.o.Now()}
		start := 0
		if q.hasAfter {
			start = c.from(q.after)
		}
		for i := start; i < len(c.all); i++ {
			if rec := c.all[i]; c.selects(&rec, q) {
				ses.left = append(ses.left, &rec)
			}
		}
	}
	n := min(limit, len(ses.left))
	pg := page{records: ses.left[:n], more: n < len(ses.left)}
	ses.left = ses.left[n:]
	switch {
	case !pg.more:
		delete(s.tokens, name)
	case name == "":
		s.tokenSeq++
		name = fmt.Sprintf("b7e6b1f4-0000-4000-8000-%012d", s.tokenSeq)
		s.tokens[name] = ses
		pg.next = name
	default:
		pg.next = name
	}
	return pg, nil
}
