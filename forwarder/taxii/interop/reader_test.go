//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
	"taxii-forwarder/forwarder/transport"
)

// client returns a TAXII client that logs in as a; nil = nobody.
func client(t *testing.T, s *server, a *account) *taxii.Client {
	t.Helper()
	var authorize func(*http.Request)
	if a != nil {
		authorize = basic(*a)
	}
	return clientWith(t, s, authorize, pageSize)
}

func clientWith(t *testing.T, s *server, authorize func(*http.Request), page int) *taxii.Client {
	t.Helper()
	h, err := transport.New(transport.Options{Origin: s.origin, Authorize: authorize, UserAgent: "taxii-forwarder/interop", Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	return taxii.New(taxii.Options{HTTP: h, PageSize: page})
}

// A follower does with a collection what the engine does: it keeps what it is
// given and the position, in the position's stored form.
type follower struct {
	client  *taxii.Client
	walk    taxii.Walk
	stored  []byte
	times   map[string]int    // how often an id came
	version map[string]string // its newest modified
	// onPage is called for every chunk that ends a page, before it is kept; an
	// error is a crash at that point.
	onPage func(page int) error
}

func follow(c *taxii.Client, root, collection string) *follower {
	return &follower{
		client: c, walk: taxii.Walk{Root: root, Collection: collection, Overlap: time.Second},
		times: map[string]int{}, version: map[string]string{},
	}
}

var errCrash = errors.New("crash")

// poll walks from the stored position to the end.
func (f *follower) poll(t *testing.T) (taxii.WalkResult, error) {
	t.Helper()
	var err error
	if f.walk.From, err = taxii.ParsePosition(f.stored); err != nil {
		t.Fatal(err)
	}
	f.walk.Visit = func(_ context.Context, c taxii.Chunk) error {
		if f.onPage != nil && c.PageEnd {
			if err := f.onPage(c.Page); err != nil {
				return err
			}
		}
		for _, why := range c.Broken {
			t.Errorf("an entry is said to be broken: %s", why)
		}
		for _, raw := range c.Objects {
			var o struct{ ID, Modified string }
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Errorf("an object is no JSON: %v", err)
			}
			f.times[o.ID]++
			f.version[o.ID] = max(f.version[o.ID], o.Modified)
		}
		f.store(t, c.Position)
		return nil
	}
	started := time.Now()
	res, err := f.client.Walk(t.Context(), f.walk)
	t.Logf("walk from %s: %d objects on %d pages by %d requests in %s, position %s, error %v, warnings %q",
		f.walk.From, res.Objects, res.Pages, res.Requests, time.Since(started).Round(time.Millisecond), res.Position, err, res.Warnings)
	if err == nil {
		f.store(t, &res.Position)
	}
	return res, err
}

func (f *follower) store(t *testing.T, p *taxii.Position) {
	if p == nil {
		return
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	f.stored = raw
}

// must polls and fails the test unless that goes well.
func (f *follower) must(t *testing.T) taxii.WalkResult {
	t.Helper()
	res, err := f.poll(t)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Complete {
		t.Error("the walk is not complete")
	}
	return res
}

// has fails the test unless exactly the objects are there, in these versions.
func (f *follower) has(t *testing.T, objects []stixObject) {
	t.Helper()
	want := map[string]string{}
	missing, old := 0, 0
	for _, o := range objects {
		modified, _ := o["modified"].(string) // observables have none
		want[o.id()] = max(want[o.id()], modified)
	}
	for id, modified := range want {
		switch {
		case f.times[id] == 0:
			missing++
			if missing <= 5 {
				t.Errorf("%s is missing", id)
			}
		case f.version[id] != modified:
			old++
			if old <= 5 {
				t.Errorf("%s is of %s, not %s", id, f.version[id], modified)
			}
		}
	}
	for id := range f.times {
		if _, ok := want[id]; !ok {
			t.Errorf("%s does not belong here", id)
		}
	}
	if missing+old > 0 {
		t.Errorf("of %d objects, %d are missing and %d old", len(want), missing, old)
	}
}

// repeats returns how many objects came more than once.
func (f *follower) repeats() int {
	n := 0
	for _, times := range f.times {
		n += times - 1
	}
	return n
}

// isFailure fails the test unless err is a failure of a kind that says what to
// do about it.
func isFailure(t *testing.T, err error, kind intel.FailureKind) {
	t.Helper()
	var f *intel.Failure
	switch {
	case !errors.As(err, &f):
		t.Errorf("got %v, want a failure of kind %s", err, kind)
	case f.Kind != kind:
		t.Errorf("got %v of kind %s, want %s", err, f.Kind, kind)
	case f.Hint == "":
		t.Errorf("%v has no hint", err)
	default:
		t.Logf("verdict: %v", err)
	}
}
