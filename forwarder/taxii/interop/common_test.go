//go:build interop

package interop

import (
	"net/http"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// A target is a server whose collections large and small hold largeFeed and
// smallFeed; reader may read both, writer may write to small.
type target struct {
	*server
	root, small string // URL of the API root, id of the collection
	bulk, large string
}

// conforms runs what every server has to serve for.
func (s target) conforms(t *testing.T) {
	t.Run("walk", s.walk)
	t.Run("crash", s.crash)
	t.Run("filters", s.filters)
	t.Run("arrivals", s.arrivals) // changes small
	t.Run("verdicts", s.verdicts)
}

// walk reads the large collection whole, and then again.
func (s target) walk(t *testing.T) {
	entries := largeFeed()
	f := follow(client(t, s.server, &reader), s.bulk, s.large)
	res := f.must(t)
	f.has(t, objectsOf(entries))
	last := entries[len(entries)-1].Added
	if got := res.Position.String(); got != last {
		t.Errorf("position %s, want the last date added, %s", got, last)
	}
	// A boundary or two is looked at; the pages would be 12.
	if least := largeSize / pageSize; res.Requests > least+4 {
		t.Errorf("%d requests for %d pages", res.Requests, least)
	}
	if n := f.repeats(); n > 2*pageSize {
		t.Errorf("%d objects came more than once", n)
	}

	before := len(f.times)
	again := f.must(t)
	if len(f.times) != before || again.Objects > pageSize {
		t.Errorf("the second poll brought %d objects, %d of them new", again.Objects, len(f.times)-before)
	}
	if again.Requests > 2 {
		t.Errorf("%d requests to learn that nothing is new", again.Requests)
	}
	if again.Position.String() != last {
		t.Errorf("the second poll moved the position to %s", again.Position)
	}
	for _, w := range append(res.Warnings, again.Warnings...) {
		t.Errorf("warning: %s", w)
	}
}

// crash ends walks at several pages and takes them up again.
func (s target) crash(t *testing.T) {
	const page = 50
	for _, at := range []int{1, 2, 4, 6} {
		c := clientWith(t, s.server, basic(reader), page)
		f := follow(c, s.root, s.small)
		f.onPage = func(n int) error {
			if n == at {
				return errCrash
			}
			return nil
		}
		if _, err := f.poll(t); err != errCrash {
			t.Fatalf("crash at page %d: %v", at, err)
		}
		f.onPage = nil
		f.must(t)
		f.has(t, objectsOf(smallFeed()))
		// From the third page on the dates are known to ascend, so the first pages
		// are not read again.
		if from := f.walk.From; at > 3 && from.Time().IsZero() {
			t.Errorf("a crash at page %d led back to the start", at)
		}
	}
}

// filters lets the server choose.
func (s target) filters(t *testing.T) {
	for _, c := range []struct {
		name   string
		filter taxii.Filter
		want   []stixObject
	}{
		{"one type", taxii.Filter{Types: []string{"malware"}}, ofTypes(smallFeed(), "malware")},
		{"two types", taxii.Filter{Types: []string{"indicator", "relationship"}}, ofTypes(smallFeed(), "indicator", "relationship")},
		{"no such type", taxii.Filter{Types: []string{"campaign"}}, nil},
		{"version of STIX", taxii.Filter{SpecVersions: []string{"2.1"}}, objectsOf(smallFeed())},
		{"versions of STIX", taxii.Filter{Types: []string{"indicator"}, SpecVersions: []string{"2.0", "2.1"}}, indicators(smallFeed())},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := follow(client(t, s.server, &reader), s.root, s.small)
			f.walk.Filter = c.filter
			f.must(t)
			f.has(t, c.want)
			f.must(t) // from the position
			f.has(t, c.want)
		})
	}
}

// arrivals adds objects during a walk and between polls.
func (s target) arrivals(t *testing.T) {
	want := objectsOf(smallFeed())
	f := follow(clientWith(t, s.server, basic(reader), 100), s.root, s.small)
	f.onPage = func(page int) error {
		if page == 2 {
			late := posted(3)
			s.post(t, s.root, s.small, late...)
			want = append(want, late...)
		}
		return nil
	}
	f.must(t)
	f.onPage = nil
	f.must(t) // a server may show a walk what there was at its beginning
	f.has(t, want)

	// A poll brings what is new and little else.
	few := posted(2)
	newer := want[0].with(stixObject{"modified": text(time.Now()), "name": "changed"})
	s.post(t, s.root, s.small, append(few, newer)...)
	want = append(append(want, few...), newer)
	res := f.must(t)
	f.has(t, want)
	if res.Objects > 20 {
		t.Errorf("%d objects to learn of 3", res.Objects)
	}
	before := f.repeats()
	res = f.must(t)
	if got := f.repeats() - before; got != res.Objects {
		t.Errorf("a poll of an unchanged collection brought %d new objects", res.Objects-got)
	}
	// Only the newest version is served.
	fresh := follow(client(t, s.server, &reader), s.root, s.small)
	fresh.must(t)
	fresh.has(t, want)
	if n := fresh.times[newer.id()]; n != 1 {
		t.Errorf("%d versions of %s came", n, newer.id())
	}
}

// verdicts asks for what the server must refuse.
func (s target) verdicts(t *testing.T) {
	wrong := reader
	wrong.Password = "wrong"
	stranger := account{Username: "nobody", Password: reader.Password}
	for name, a := range map[string]*account{"wrong password": &wrong, "unknown user": &stranger, "no credentials": nil} {
		t.Run(name, func(t *testing.T) {
			c := client(t, s.server, a)
			_, err := c.Discover(t.Context(), s.origin)
			isFailure(t, err, intel.FailAuth)
			_, err = c.APIRoot(t.Context(), s.root)
			isFailure(t, err, intel.FailAuth)
			_, err = c.Collections(t.Context(), s.root)
			isFailure(t, err, intel.FailAuth)
			res, err := follow(c, s.root, s.small).poll(t)
			isFailure(t, err, intel.FailAuth)
			if res.Complete || res.Requests != 1 {
				t.Errorf("complete %t after %d requests", res.Complete, res.Requests)
			}
		})
	}
	c := client(t, s.server, &reader)
	nowhere := s.origin + "/taxii2/00000000-0000-4000-8000-000000000000/"
	t.Run("unknown root", func(t *testing.T) {
		_, err := c.APIRoot(t.Context(), nowhere)
		isFailure(t, err, intel.FailNotFound)
		_, err = c.Collections(t.Context(), nowhere)
		isFailure(t, err, intel.FailNotFound)
		_, err = follow(c, nowhere, s.small).poll(t)
		isFailure(t, err, intel.FailNotFound)
	})
	t.Run("unknown collection", func(t *testing.T) {
		_, err := c.Collection(t.Context(), s.root, "00000000-0000-4000-8000-000000000000")
		isFailure(t, err, intel.FailNotFound)
		_, err = follow(c, s.root, "00000000-0000-4000-8000-000000000000").poll(t)
		isFailure(t, err, intel.FailNotFound)
	})
}

func basic(a account) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(a.Username, a.Password) }
}
