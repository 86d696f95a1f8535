package taxiitest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A query is the parsed question for objects or a manifest.
type query struct {
	after    time.Time
	hasAfter bool
	limit    int // 0 = none
	next     string
	match    map[string][]string
}

// key is what must not change while next is followed.
func (q *query) key() string {
	after := ""
	if q.hasAfter {
		after = q.after.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(after, "|", q.match["id"], q.match["type"], q.match["version"], q.match["spec_version"])
}

var known = map[string]bool{
	"added_after": true, "limit": true, "next": true,
	"match[id]": true, "match[type]": true, "match[version]": true, "match[spec_version]": true,
}

// parse reads the parameters by the letter (§3.4, §5.4); the answer is not nil
// when they are refused.
func (s *Server) parse(r *http.Request) (query, *answer) {
	q := query{match: map[string][]string{}}
	refuse := func(format string, args ...any) (query, *answer) {
		text := fmt.Sprintf(format, args...)
		s.violateLocked(r, text)
		return q, s.fail(http.StatusBadRequest, "bad request", text)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse("the query can not be parsed: %v", err)
	}
	for name, v := range values {
		if !known[name] {
			return refuse("unknown parameter %s", name)
		}
		if len(v) != 1 {
			return refuse("parameter %s is given %d times (§3.4)", name, len(v))
		}
		if v[0] == "" {
			return refuse("parameter %s is empty", name)
		}
	}
	if text := values.Get("added_after"); text != "" {
		digits, ok := fraction(text)
		if !ok {
			return refuse("added_after %q is no UTC timestamp (§2)", text)
		}
		if !slices.Contains(s.p.Fractions, digits) {
			// A quirk of the profile, not a mistake of the client's.
			a := s.fail(http.StatusBadRequest, "bad request", fmt.Sprintf("added_after %q does not match the expected format", text))
			if s.p.Name == "" {
				s.violateLocked(r, fmt.Sprintf("added_after %q has %d digits, not six (§2)", text, digits))
			}
			return q, a
		}
		q.after, _ = time.Parse(time.RFC3339Nano, text)
		q.hasAfter = true
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return refuse("limit %q is not a positive integer (§3.4)", text)
		}
		if s.p.LimitMax > 0 && n > s.p.LimitMax {
			return q, s.fail(http.StatusBadRequest, "bad request", fmt.Sprintf("limit must not exceed %d", s.p.LimitMax))
		}
		q.limit = n
	}
	q.next = values.Get("next")
	for _, name := range []string{"id", "type", "version", "spec_version"} {
		if text := values.Get("match[" + name + "]"); text != "" {
			q.match[name] = strings.Split(text, ",")
		}
	}
	return q, nil
}

// fraction returns how many digits of a second a timestamp of the form
// YYYY-MM-DDTHH:MM:SS[.s+]Z has.
func fraction(text string) (int, bool) {
	if _, err := time.Parse(time.RFC3339Nano, text); err != nil || !strings.HasSuffix(text, "Z") || strings.Contains(text, ",") {
		return 0, false
	}
	i := strings.IndexByte(text, '.')
	if i < 0 {
		return 0, true
	}
	return len(text) - i - 2, true
}

// selects reports whether a record passes the match parameters; by default
// the newest version of each object does (§3.4.1).
func (c *Collection) selects(rec *record, q *query) bool {
	if len(q.match) == 0 {
		return c.newest[rec.id].seq == rec.seq
	}
	in := func(name, value string) bool {
		want := q.match[name]
		return len(want) == 0 || slices.Contains(want, value)
	}
	kind := rec.kind
	if c.s.p.MatchSubtype {
		kind = rec.about
	}
	if !in("id", rec.id) || !in("type", kind) || !in("spec_version", rec.spec) {
		return false
	}
	versions := q.match["version"]
	if len(versions) == 0 {
		versions = []string{"last"}
	}
	for _, v := range versions {
		switch v {
		case "all":
			return true
		case "last":
			if c.newest[rec.id].seq == rec.seq {
				return true
			}
		default:
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil && t.Equal(rec.ver) {
				return true
			}
		}
	}
	return false
}
