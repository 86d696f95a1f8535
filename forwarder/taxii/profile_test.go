package taxii

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestProfiles walks every known server through the same story: thousands of
// objects, many of one date across page boundaries, some that arrive during the
// walk, a crash in the middle, an incremental poll.
func TestProfiles(t *testing.T) {
	profiles := append([]taxiitest.Profile{{}}, taxiitest.Profiles()...)
	crashes := []int{0, 1, 2, 7, 19}
	if raceDetector { // nothing here depends on where goroutines meet
		crashes = []int{7}
	}
	for _, p := range profiles {
		for _, crash := range crashes {
			name := p.Name
			if name == "" {
				name = "strict"
			}
			t.Run(fmt.Sprintf("%s/crash%d", name, crash), func(t *testing.T) {
				t.Parallel()
				story(t, p, crash)
			})
		}
	}
}

func story(t *testing.T, p taxiitest.Profile, crash int) {
	const pageSize, first, late, later = 100, 3000, 60, 150
	var (
		c     *taxiitest.Collection
		added atomic.Int64
		ready atomic.Bool
	)
	now := &clock{now: epoch.Add(30 * 24 * time.Hour)}
	add := func(at time.Time, n int) {
		for range n {
			i := int(added.Add(1)) - 1
			c.Add(at, indicator(i, at))
		}
	}
	at := epoch
	s := serverFor(t, taxiitest.Options{Profile: p, Now: now.Now, OnRequest: func(n int, _ *http.Request) {
		if ready.Load() && n >= 3 && n%3 == 0 && added.Load() < first+late {
			at = at.Add(time.Second)
			add(at, 10) // arrives during the walk
		}
	}})
	c = s.AddCollection(taxiitest.Info{ID: "41", Alias: "all", Title: "All IOCs"})
	// Runs of one date, of many lengths: some end on a page boundary, some lie
	// across one, some fill more than half a page.
	for n := 0; int(added.Load()) < first; n++ {
		at = at.Add(time.Duration(1+n%3)*time.Second + time.Duration(n%2)*137*time.Microsecond)
		add(at, min([]int{1, 30, 2, 70, 1, 1, 55, 10, 31}[n%9], first-int(added.Load())))
	}
	ready.Store(true)

	client := clientBy(t, s, now, Options{PageSize: pageSize})
	root, id := findCollection(t, client, s)
	w := Walk{Root: root, Collection: id, Overlap: time.Minute}
	r := newReader(t)
	r.failAt = crash
	for try := 0; ; try++ {
		res, err := r.walk(client, w)
		if err == nil {
			if !res.Complete {
				t.Error("the walk is not complete")
			}
			if !r.pos.same(res.Position) {
				t.Errorf("the result's position is %+v, the last visited %+v", res.Position, r.pos)
			}
			break
		}
		if !errors.Is(err, errCrash) || try > 1 {
			t.Fatalf("walk: %v", err)
		}
		if !r.pos.same(res.Position) {
			t.Errorf("after a crash the result's position is %+v, the last visited %+v", res.Position, r.pos)
		}
	}
	// What arrived behind the walk's end is for the next poll.
	r.need(first)
	if r.pos.Time().IsZero() {
		t.Error("there is no position after a complete walk")
	}
	if r.pos.Time().After(now.Now()) {
		t.Errorf("the position %s is ahead of the server's clock", r.pos)
	}
	if n := s.ObjectRequests(); n > 200 {
		t.Errorf("%d requests for objects", n)
	}

	// An incremental poll, and one more of the unchanged collection.
	at = at.Add(time.Hour)
	add(at, later)
	_ = now.Sleep(t.Context(), 2*time.Hour)
	before := s.ObjectRequests()
	if _, err := r.walk(client, w); err != nil {
		t.Fatalf("incremental poll: %v", err)
	}
	r.need(int(added.Load()))
	if _, err := r.walk(client, w); err != nil {
		t.Fatalf("unchanged poll: %v", err)
	}
	if n := s.ObjectRequests() - before; n > 100 {
		t.Errorf("%d requests for two incremental polls", n)
	}
	if n := s.Refused(); n > 0 {
		t.Errorf("%d requests were beyond the rate limit", n)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("%d requests break the specification, the first: %s", len(v), v[0])
	}
	t.Logf("%d requests for objects, position %+v", s.ObjectRequests(), r.pos)
}

// findCollection goes from the discovery URL to the one collection there is.
func findCollection(t *testing.T, client *Client, s *taxiitest.Server) (root, id string) {
	t.Helper()
	d, err := client.Discover(t.Context(), s.URL())
	if err != nil {
		t.Fatalf("discover: %v", err)
	}
	if len(d.APIRoots) != 1 || d.APIRoots[0] != s.RootURL() {
		t.Fatalf("API roots %q, want %q", d.APIRoots, s.RootURL())
	}
	ar, err := client.APIRoot(t.Context(), d.APIRoots[0])
	if err != nil {
		t.Fatalf("API root: %v", err)
	}
	all, err := client.Collections(t.Context(), ar.URL)
	if err != nil {
		t.Fatalf("collections: %v", err)
	}
	picked, problems := Select(all, []string{"all iocs"})
	if len(picked) != 1 || len(problems) > 0 {
		t.Fatalf("picked %+v of %+v, problems %q", picked, all, problems)
	}
	return picked[0].Root, picked[0].ID
}
