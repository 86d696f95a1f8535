package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// A chunk is handed out when it has this many entries or bytes.
const (
	chunkObjects = 2000
	chunkBytes   = 4 << 20
)

// clockSkew is how far ahead of its own clock a server's dates may be and
// still be believed.
const clockSkew = 5 * time.Minute

// A page is what one request for objects brought, without the objects.
type page struct {
	envelope
	number      int
	first, last stamp     // X-TAXII-Date-Added-First and -Last, where usable
	date        time.Time // the server's clock
	count       int       // entries, broken ones included
	fresh       int       // entries not seen shortly before
	digest      uint64    // of the entries, in any order
	tail        uint64    // hash of the last object
	tailRaw     []byte    // the last object
	anchored    bool      // the object looked for was among the entries
}

// A query is what is asked of the objects or manifest resource.
type query struct {
	after string // added_after; "" = none
	limit int
	next  string
	// anyType leaves match[type] out.
	anyType bool
}

// url builds the request (§5.4, §3.4). Parameters are always escaped: tokens
// hold spaces, pluses and bars.
func (r *walker) url(q query) string {
	v := url.Values{}
	if q.after != "" {
		v.Set("added_after", q.after)
	}
	if q.limit > 0 {
		v.Set("limit", strconv.Itoa(q.limit))
	}
	if q.next != "" {
		v.Set("next", q.next)
	}
	types := r.w.Filter.Types
	if q.anyType || r.choosing() {
		types = nil
	}
	for name, values := range map[string][]string{"match[type]": types, "match[spec_version]": r.w.Filter.SpecVersions} {
		if len(values) > 0 {
			v.Set(name, strings.Join(values, ","))
		}
	}
	return r.base + "/objects/?" + v.Encode()
}

// collectionURL returns the URL of a collection below the API root at base,
// without a slash at the end.
func collectionURL(base *url.URL, id string) string {
	root := *base
	root.RawQuery, root.ForceQuery = "", false
	return root.String() + "collections/" + url.PathEscape(id)
}

// visitError is an error of the caller's Visit, which ends a walk at once.
type visitError struct{ err error }

func (e visitError) Error() string { return e.err.Error() }
func (e visitError) Unwrap() error { return e.err }

// fetch asks for one page and gives it to Visit in chunks as it comes in. The
// last chunk waits until the page is complete and plan has said what it means,
// so that a page that is cut off moves nothing.
func (r *walker) fetch(ctx context.Context, q query, plan func(*page) decision) (decision, error) {
	resp, err := r.c.get(ctx, r.url(q), &r.res.Requests)
	if err != nil {
		return decision{}, err
	}
	defer resp.Body.Close()
	r.res.Pages++
	p := &page{number: r.res.Pages, date: date(resp)}
	r.readHeaders(p, resp.Header)

	chunk := Chunk{Page: p.number}
	bytes := 0
	room := func() error {
		if len(chunk.Objects)+len(chunk.Broken) < chunkObjects && bytes < chunkBytes {
			return nil
		}
		err := r.visit(ctx, chunk)
		chunk, bytes = Chunk{Page: p.number}, 0
		return err
	}
	note := func(raw []byte) {
		h := r.seen.hash(raw)
		p.count++
		p.digest += h
		if r.seen.add(h) {
			p.fresh++
		}
		p.tail = h
		p.anchored = p.anchored || r.probe != nil && h == r.probe.anchor
	}
	body, err := bodyOf(resp)
	if err != nil {
		return decision{}, err
	}
	env, scan, err := readEnvelope(body, r.c.maxObject,
		func(raw []byte) error {
			if err := room(); err != nil {
				return err
			}
			note(raw)
			p.tailRaw = raw
			if r.undecided() && !r.told || r.choosing() {
				kind := typeOf(raw)
				r.came.add(kind)
				r.told = r.told || r.telling(kind)
				if r.choosing() && !r.wanted(kind) {
					return nil
				}
			}
			if chunk.Objects == nil {
				chunk.Objects = make([]json.RawMessage, 0, min(chunkObjects, max(16, q.limit)))
			}
			chunk.Objects = append(chunk.Objects, raw)
			bytes += len(raw)
			r.res.Objects++
			return nil
		},
		func(why string, raw []byte) error {
			if err := room(); err != nil {
				return err
			}
			if raw != nil {
				note(raw)
			} else {
				p.count++
			}
			chunk.Broken = append(chunk.Broken, why)
			return nil
		})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return decision{}, err
	case errors.As(err, new(visitError)):
		return decision{}, err
	case errors.Is(err, errShort):
		// The connection may not say so: a body without a length ends where it ends.
		return decision{}, intel.Fail(intel.FailUnreachable, "GET %s: the answer was cut off after %d bytes, in its %s object",
			plain(resp.Request.URL), scan.read, ordinal(p.count+1)).WithHint("the connection was cut, or the server gave up half-way; the page is asked for again")
	default:
		return decision{}, notTAXII(resp, err)
	}
	if env.problem != "" {
		return decision{}, intel.Fail(intel.FailProtocol, "GET %s: status %d but an error: %s", plain(resp.Request.URL), resp.StatusCode, env.problem)
	}
	scan.drain()
	p.envelope = env
	d := plan(p)
	chunk.Position, chunk.PageEnd = d.position, true
	if len(chunk.Objects)+len(chunk.Broken) > 0 || chunk.Position != nil {
		if err := r.visit(ctx, chunk); err != nil {
			return decision{}, err
		}
	}
	return d, d.err
}

// drain reads on to the end of the stream, within reason, so that the
// connection can be used again.
func (s *scanner) drain() {
	s.mark = -1
	for limit := s.read + 64<<10; s.read < limit; {
		s.pos = s.end
		if !s.fill() {
			return
		}
	}
}

// visit gives a chunk to the caller and, once it is taken, counts its position
// as acknowledged.
func (r *walker) visit(ctx context.Context, chunk Chunk) error {
	if err := ctx.Err(); err != nil {
		return visitError{context.Cause(ctx)}
	}
	if err := r.w.Visit(ctx, chunk); err != nil {
		return visitError{err}
	}
	if chunk.Position != nil {
		r.res.Position = *chunk.Position
	}
	return nil
}

// readHeaders takes the dates of a page. One that lies ahead of the server's
// own clock is no date added, whatever it is.
func (r *walker) readHeaders(p *page, h http.Header) {
	limit := p.date
	if limit.IsZero() {
		limit = r.c.now().Add(24 * time.Hour)
	}
	limit = limit.Add(clockSkew)
	read := func(name string) stamp {
		s, ok := parseStamp(h.Get(name))
		switch {
		case ok && !s.time.After(limit):
			return s
		case ok:
			r.warn("%s is ahead of the server's clock and not used: %s", name, s.text)
		}
		return stamp{}
	}
	p.first, p.last = read("X-TAXII-Date-Added-First"), read("X-TAXII-Date-Added-Last")
	if r.res.ServerTime.IsZero() || !p.date.IsZero() {
		r.res.ServerTime = p.date
	}
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
