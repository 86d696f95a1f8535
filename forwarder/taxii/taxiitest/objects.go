package taxiitest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// serveObjects is GET {root}/collections/{id}/objects/ (§5.4).
func (s *Server) serveObjects(r *http.Request, c *Collection) *answer {
	if a := c.pages[r.URL.RawQuery]; a != nil {
		return a
	}
	q, refused := s.parse(r)
	if refused != nil {
		return refused
	}
	pg, refused := s.page(r, c, &q)
	if refused != nil {
		return refused
	}
	a := s.json(http.StatusOK, s.p.render(pg))
	a.count = len(pg.records)
	s.p.dates(a.header, pg.records)
	if s.o.Prerender && s.p.Next != NextSession {
		if c.pages == nil || len(c.pages) > 4096 {
			c.pages = map[string]*answer{}
		}
		c.pages[r.URL.RawQuery] = a
	}
	return a
}

// A page is what one request is given.
type page struct {
	records []*record
	more    bool
	next    string
}

// page finds the records that a query is for.
func (s *Server) page(r *http.Request, c *Collection, q *query) (page, *answer) {
	limit := min(q.limit, s.cap)
	if q.limit == 0 {
		limit = s.cap
		if s.p.WholeWithoutLimit {
			limit = len(c.all) + 1
		}
	}
	if s.p.Next == NextSession {
		return s.sessionPage(r, c, q, limit)
	}
	start, skip, refused := s.position(r, c, q, limit)
	if refused != nil {
		return page{}, refused
	}
	var pg page
	for i := start; i < len(c.all); i++ {
		rec := &c.all[i]
		if !c.selects(rec, q) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(pg.records) == limit {
			pg.more = true
			break
		}
		if pg.records == nil {
			pg.records = make([]*record, 0, min(limit, 1024))
		}
		pg.records = append(pg.records, rec)
	}
	if q.next != "" && len(pg.records) == 0 && s.p.PastEnd404 {
		return page{}, s.fail(http.StatusNotFound, "not found", "there is no such page")
	}
	if len(pg.records) > 0 && (pg.more || s.p.NextOnLast) {
		pg.next = s.token(q, limit, pg.records[len(pg.records)-1])
	}
	return pg, nil
}

// render writes a page's body.
func (p *Profile) render(pg page) []byte {
	size := 256
	for _, rec := range pg.records {
		size += len(rec.raw) + 1
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	if p.Bundle {
		b.WriteString(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d"`)
	} else {
		b.WriteByte('{')
	}
	sep := func() {
		if c := b.Bytes()[b.Len()-1]; c != '{' {
			b.WriteByte(',')
		}
	}
	tail := func() {
		if p.More == MoreAlways || p.More == MoreWhenTrue && pg.more {
			sep()
			if pg.more {
				b.WriteString(`"more":true`)
			} else {
				b.WriteString(`"more":false`)
			}
		}
		switch {
		case pg.next != "":
			sep()
			b.WriteString(`"next":`)
			text, _ := json.Marshal(pg.next)
			b.Write(text)
		case p.NextNull:
			sep()
			b.WriteString(`"next":null`)
		}
	}
	if !p.ObjectsFirst && (len(pg.records) > 0 || !p.BareWhenEmpty) {
		tail()
	}
	if len(pg.records) > 0 || p.FirstObject != nil {
		sep()
		b.WriteString(`"objects":[`)
		if p.FirstObject != nil {
			b.Write(p.FirstObject)
			if len(pg.records) > 0 {
				b.WriteByte(',')
			}
		}
		for i, rec := range pg.records {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(rec.raw)
		}
		b.WriteByte(']')
	}
	if p.ObjectsFirst {
		tail()
	}
	b.WriteByte('}')
	return b.Bytes()
}

// dates sets X-TAXII-Date-Added-First and -Last, which an empty page can not
// have (oasis-tcs/cti-taxii2#117).
func (p *Profile) dates(h http.Header, records []*record) {
	if p.Dates == DatesNone || len(records) == 0 {
		return
	}
	write := func(name string, rec *record) {
		switch p.Dates {
		case DatesUndefined:
			h.Set(name, "undefined")
		case DatesValidFrom:
			h.Set(name, rec.from.UTC().Format(layoutMicro))
		case DatesJS:
			h.Set(name, rec.key.UTC().Format("Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)"))
		default:
			layout := layoutMicro
			if p.Unit == time.Second {
				layout = "2006-01-02T15:04:05Z"
			}
			h.Set(name, rec.key.UTC().Format(layout))
		}
	}
	write("X-TAXII-Date-Added-First", records[0])
	write("X-TAXII-Date-Added-Last", records[len(records)-1])
}

const layoutMicro = "2006-01-02T15:04:05.000000Z"

// serveManifest is GET {root}/collections/{id}/manifest/ (§5.3).
func (s *Server) serveManifest(r *http.Request, c *Collection) *answer {
	q, refused := s.parse(r)
	if refused != nil {
		return refused
	}
	type entry struct {
		ID        string `json:"id"`
		DateAdded string `json:"date_added"`
		Version   string `json:"version"`
		MediaType string `json:"media_type"`
	}
	var out struct {
		More    bool    `json:"more"`
		Objects []entry `json:"objects,omitempty"`
	}
	limit := s.cap
	if q.limit > 0 {
		limit = min(limit, q.limit)
	}
	start := 0
	if q.hasAfter {
		start = c.from(q.after)
	}
	for i := start; i < len(c.all); i++ {
		rec := &c.all[i]
		if !c.selects(rec, &q) {
			continue
		}
		if len(out.Objects) == limit {
			out.More = true
			break
		}
		out.Objects = append(out.Objects, entry{rec.id, rec.key.Format(layoutMicro), rec.ver.UTC().Format(layoutMicro), "application/stix+json;version=2.1"})
	}
	body, _ := json.Marshal(out)
	return s.json(http.StatusOK, body)
}
