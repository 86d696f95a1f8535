package sentineltest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Object is what the server holds under one identity: as in Sentinel, the
// object that was accepted last.
type Object struct {
	Source, ID        string
	Created, Modified time.Time
	ValidUntil        time.Time
	Revoked           bool
	Name, Pattern     string
	Confidence        *int
	Labels            []string
	Raw               json.RawMessage
	Uploads           int // how many times an object of this identity was accepted
}

// Upload is one request that reached the objects.
type Upload struct {
	At      time.Time
	Source  string
	Objects []json.RawMessage
	Status  int
	Refused int    // objects
	Body    []byte // the whole request
}

type key struct{ source, id string }

type store struct {
	objects     map[key]*Object
	uploads     []Upload
	requests    int
	accepted    int
	repeats     int
	regressions []string
}

func newStore() store { return store{objects: map[key]*Object{}} }

// accept files an object.
func (t *store) accept(source string, raw json.RawMessage) {
	var o struct {
		ID         string    `json:"id"`
		Created    time.Time `json:"created"`
		Modified   time.Time `json:"modified"`
		ValidUntil time.Time `json:"valid_until"`
		Revoked    bool      `json:"revoked"`
		Name       string    `json:"name"`
		Pattern    string    `json:"pattern"`
		Confidence *int      `json:"confidence"`
		Labels     []string  `json:"labels"`
	}
	json.Unmarshal(raw, &o)
	k := key{source, o.ID}
	fresh := &Object{
		Source: source, ID: o.ID, Created: o.Created, Modified: o.Modified, ValidUntil: o.ValidUntil, Revoked: o.Revoked,
		Name: o.Name, Pattern: o.Pattern, Confidence: o.Confidence, Labels: o.Labels, Raw: bytes.Clone(raw), Uploads: 1,
	}
	t.accepted++
	if old := t.objects[k]; old != nil {
		fresh.Uploads += old.Uploads
		if bytes.Equal(old.Raw, raw) {
			t.repeats++
		}
		if fresh.Modified.Before(old.Modified) {
			t.regressions = append(t.regressions, fmt.Sprintf("%s: modified %s after %s", o.ID, fresh.Modified.Format(time.RFC3339Nano), old.Modified.Format(time.RFC3339Nano)))
		}
	}
	t.objects[k] = fresh
}

// note logs a request.
func (s *Server) note(u Upload, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.requests++
	if s.options.Forget {
		return
	}
	u.Body = body
	s.store.uploads = append(s.store.uploads, u)
}

// Objects returns what is held, revoked objects included, by source and id.
func (s *Server) Objects() []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Object, 0, len(s.store.objects))
	for o := range maps.Values(s.store.objects) {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Active returns what is held and not revoked.
func (s *Server) Active() []Object {
	return slices.DeleteFunc(s.Objects(), func(o Object) bool { return o.Revoked })
}

// Object returns what is held under an identity.
func (s *Server) Object(source, id string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.store.objects[key{source, id}]
	if !ok {
		return Object{}, false
	}
	return *o, true
}

// Uploads returns the requests that reached the objects, in order; none with
// Options.Forget.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.store.uploads)
}

// Requests is how many requests reached the objects.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.requests
}

// Accepted is how many objects were accepted, repeats included.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.accepted
}

// Repeats is how many accepted objects were equal to what was held already.
func (s *Server) Repeats() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.repeats
}

// Regressions describes each accepted object that was older than the one it
// replaced: the API's documentation is silent on them, so that there should be
// none.
func (s *Server) Regressions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.store.regressions)
}
