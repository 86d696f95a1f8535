package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/forwarder/transport"
)

// epoch is the date of the first object in tests.
var epoch = time.Date(2024, 3, 4, 10, 30, 45, 0, time.UTC)

// clientFor returns a client with the server's credentials.
func clientFor(t testing.TB, s *taxiitest.Server, o Options) *Client {
	t.Helper()
	return clientWith(t, s, s.Auth(), o)
}

// clientBy is clientFor with a clock to go by, so that waiting takes no time.
func clientBy(t testing.TB, s *taxiitest.Server, c *clock, o Options) *Client {
	t.Helper()
	o.Now = c.Now
	return clientOver(t, s, transport.Options{Authorize: s.Auth().Apply, Clock: c}, o)
}

func clientWith(t testing.TB, s *taxiitest.Server, auth taxiitest.Auth, o Options) *Client {
	t.Helper()
	return clientOver(t, s, transport.Options{Authorize: auth.Apply}, o)
}

func clientOver(t testing.TB, s *taxiitest.Server, via transport.Options, o Options) *Client {
	t.Helper()
	via.Origin, via.UserAgent, via.Timeout = s.Origin(), "test/1", 10*time.Second
	h, err := transport.New(via)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	o.HTTP = h
	return New(o)
}

func serverFor(t testing.TB, o taxiitest.Options) *taxiitest.Server {
	t.Helper()
	s := taxiitest.New(o)
	t.Cleanup(s.Close)
	return s
}

// A clock stands still but for those who wait by it. It is the client's and the
// server's.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept += d
	return context.Cause(ctx)
}

// indicator makes the n-th indicator, created at a time.
func indicator(n int, created time.Time) []byte {
	const layout = "2006-01-02T15:04:05.000000Z"
	// valid_from has little to do with when an object was added.
	from := created.Add(-time.Duration(n*7919%100000) * time.Second)
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"%s","created":"%s","modified":"%s","valid_from":"%s","name":"n%d","pattern":"[ipv4-addr:value = '198.51.100.%d']","pattern_type":"stix"}`,
		id(n), created.Format(layout), created.Format(layout), from.Format(layout), n, n%256)
}

func id(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

// idOf returns the id under which an object was added; the server may have
// given it another one.
func idOf(t testing.TB, raw []byte) string {
	t.Helper()
	var o struct{ ID, Name string }
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("an object that is no JSON: %v: %.100s", err, raw)
	}
	var n int
	if _, err := fmt.Sscanf(o.Name, "n%d", &n); err == nil {
		return id(n)
	}
	return o.ID
}

// A reader is what the engine is to a walk: it keeps objects and the position,
// through the position's JSON form.
type reader struct {
	t     testing.TB
	seen  map[string]int
	pos   Position
	moved []Position
	// failAt makes the n-th Visit fail, once.
	failAt, calls int
	broken        []string
	chunks        []Chunk
}

var errCrash = errors.New("crash")

func newReader(t testing.TB) *reader { return &reader{t: t, seen: map[string]int{}} }

func (r *reader) visit(_ context.Context, c Chunk) error {
	r.calls++
	if r.calls == r.failAt {
		r.failAt = 0
		return errCrash
	}
	for _, raw := range c.Objects {
		r.seen[idOf(r.t, raw)]++
	}
	r.broken = append(r.broken, c.Broken...)
	c.Objects = nil
	r.chunks = append(r.chunks, c)
	if c.Position != nil {
		if c.Position.Time().Before(r.pos.Time()) {
			r.t.Errorf("the position moved back from %s to %s", r.pos, *c.Position)
		}
		raw, err := json.Marshal(c.Position)
		if err != nil {
			r.t.Fatal(err)
		}
		pos, err := ParsePosition(raw)
		if err != nil {
			r.t.Fatal(err)
		}
		r.pos = pos
		r.moved = append(r.moved, pos)
	}
	return nil
}

func (r *reader) walk(c *Client, w Walk) (WalkResult, error) {
	w.From, w.Visit = r.pos, r.visit
	return c.Walk(context.Background(), w)
}

// need fails unless the objects 0…n-1 were all seen.
func (r *reader) need(n int) {
	r.t.Helper()
	var missing []int
	for i := range n {
		if r.seen[id(i)] == 0 {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		r.t.Errorf("%d of %d objects were not seen, the first: %v", len(missing), n, missing[:min(10, len(missing))])
	}
}

// queries returns the values of one parameter over all requests for objects.
func queries(s *taxiitest.Server, name string) []string {
	var out []string
	for _, q := range s.Requests() {
		if len(q.Path) > 9 && q.Path[len(q.Path)-9:] == "/objects/" && q.Status == http.StatusOK {
			out = append(out, q.Query.Get(name))
		}
	}
	return slices.Clip(out)
}
