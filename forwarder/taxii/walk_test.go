package taxii

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/forwarder/transport"
)

// feed is a server with n objects in one collection, one a second unless dated
// says otherwise.
func feed(t testing.TB, o taxiitest.Options, n int, dated func(i int) time.Time) (*taxiitest.Server, *taxiitest.Collection) {
	t.Helper()
	if dated == nil {
		dated = func(i int) time.Time { return epoch.Add(time.Duration(i) * time.Second) }
	}
	s := serverFor(t, o)
	c := s.AddCollection(taxiitest.Info{ID: "all", Title: "All"})
	for i := range n {
		c.Add(dated(i), indicator(i, dated(i)))
	}
	return s, c
}

func walkOf(s *taxiitest.Server) Walk { return Walk{Root: s.RootURL(), Collection: "all"} }

// Where every page ends between two dates, nothing shows that tokens are sound,
// and each boundary is looked at: by one small request, not by another page.
func TestBoundariesBetweenDates(t *testing.T) {
	const objects, page = 600, 50
	s, _ := feed(t, taxiitest.Options{}, objects, func(i int) time.Time { return epoch.Add(time.Duration(i/5) * time.Second) })
	r := newReader(t)
	res, err := r.walk(clientFor(t, s, Options{PageSize: page}), walkOf(s))
	if err != nil {
		t.Fatal(err)
	}
	r.need(objects)
	if most := 2*objects/page - 1; res.Requests > most || res.Objects > objects+most*probeLimit {
		t.Errorf("%d requests and %d objects, want at most %d requests", res.Requests, res.Objects, most)
	}
}

func TestWalkParameters(t *testing.T) {
	s, _ := feed(t, taxiitest.Options{}, 35, nil)
	c := clientFor(t, s, Options{PageSize: 10})
	r := newReader(t)
	r.pos = StartAt(epoch.Add(-time.Hour))
	w := walkOf(s)
	w.Filter = Filter{Types: []string{"indicator", "identity"}, SpecVersions: []string{"2.1"}}
	w.Overlap = 5 * time.Minute
	if _, err := r.walk(c, w); err != nil {
		t.Fatal(err)
	}
	r.need(35)
	for _, q := range s.Requests() {
		if q.Query.Get("match[type]") != "indicator,identity" || q.Query.Get("match[spec_version]") != "2.1" {
			t.Errorf("filters were not on %s", q.Query.Encode())
		}
		if q.Query.Get("next") != "" && (q.Query.Get("limit") != "10" || q.Query.Get("added_after") != "2024-03-04T09:30:45.000000Z") {
			t.Errorf("other parameters beside next: %s", q.Query.Encode())
		}
		if got := q.Header.Values("Accept"); !slices.Equal(got, []string{"application/taxii+json;version=2.1"}) {
			t.Errorf("Accept %q", got)
		}
	}
	// The next poll begins the overlap before the last date, but never before the start.
	before := len(queries(s, "added_after"))
	if _, err := r.walk(c, w); err != nil {
		t.Fatal(err)
	}
	asked := queries(s, "added_after")
	if from := asked[before]; from != "2024-03-04T10:26:19.000000Z" {
		t.Errorf("the second poll asked from %s", from)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Error(v)
	}
	r.pos.Start = epoch
	before = len(asked)
	if _, err := r.walk(c, w); err != nil {
		t.Fatal(err)
	}
	asked = queries(s, "added_after")
	if from := asked[before]; from != "2024-03-04T10:30:45.000000Z" {
		t.Errorf("asked from %s, before the start", from)
	}
}

func TestWalkMovesPositionOnlyWhenSafe(t *testing.T) {
	s, _ := feed(t, taxiitest.Options{}, 95, nil)
	r := newReader(t)
	if _, err := r.walk(clientFor(t, s, Options{PageSize: 10}), walkOf(s)); err != nil {
		t.Fatal(err)
	}
	for i, c := range r.chunks {
		if c.Position != nil && !c.PageEnd {
			t.Errorf("chunk %d has a position in the middle of its page", i)
		}
	}
	if r.chunks[0].Position != nil {
		t.Error("one page proves no order, but moved the position")
	}
	if len(r.moved) < 8 || r.pos.Added != "2024-03-04T10:32:19.000000Z" {
		t.Errorf("%d positions, the last %s", len(r.moved), r.pos)
	}

	// A server that answers newest first must not move it before the end.
	n := 0
	d := handler(t, func(w http.ResponseWriter, q *http.Request) {
		at := epoch.Add(time.Hour - time.Duration(n)*time.Minute)
		n++
		dates(w, at, at)
		fmt.Fprintf(w, `{"more":%v,"next":"%d","objects":[%s]}`, n < 5, n, indicator(n, at))
	})
	r = newReader(t)
	res, err := d.walk(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.seen) != 5 || r.pos.Time() != epoch.Add(time.Hour) {
		t.Errorf("%d objects, position %s", len(r.seen), r.pos)
	}
	for _, p := range r.moved[:len(r.moved)-1] {
		if p.Added != "" {
			t.Errorf("the position moved to %s in the middle of a walk that is not in order", p)
		}
	}
	if !res.Complete {
		t.Error("not complete")
	}
}

func TestWalkPrecision(t *testing.T) {
	for _, tt := range []struct {
		digits []int
		want   Precision
	}{{[]int{6}, Microseconds}, {[]int{3}, Milliseconds}, {[]int{0}, Seconds}} {
		s, _ := feed(t, taxiitest.Options{Profile: taxiitest.Profile{Name: "odd", Fractions: tt.digits}}, 25, func(i int) time.Time {
			return epoch.Add(time.Duration(i) * 300 * time.Microsecond)
		})
		c := clientFor(t, s, Options{PageSize: 10})
		r := newReader(t)
		r.pos = StartAt(epoch.Add(-time.Second))
		for range 2 {
			if _, err := r.walk(c, walkOf(s)); err != nil {
				t.Fatalf("%v digits: %v", tt.digits, err)
			}
		}
		r.need(25)
		if r.pos.Precision != tt.want {
			t.Errorf("%v digits: precision %d, want %d", tt.digits, r.pos.Precision, tt.want)
		}
		refused := 0
		for _, q := range s.Requests() {
			if q.Status == http.StatusBadRequest {
				refused++
			}
		}
		if refused != int(tt.want) {
			t.Errorf("%v digits: %d refusals, want %d: what was learned is remembered", tt.digits, refused, tt.want)
		}
	}
	// A server that refuses whatever it is asked is asked three times.
	s, _ := feed(t, taxiitest.Options{Profile: taxiitest.Profile{Name: "odd", Fractions: []int{}}}, 1, nil)
	r := newReader(t)
	r.pos = StartAt(epoch)
	_, err := r.walk(clientFor(t, s, Options{}), walkOf(s))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailProtocol || !strings.Contains(err.Error(), "400") || s.ObjectRequests() != 3 {
		t.Errorf("error %v after %d requests", err, s.ObjectRequests())
	}
}

func TestWalkTokenTrouble(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile taxiitest.Profile
		fault   taxiitest.Fault
		fails   bool
		lossy   bool
	}{
		{name: "expired once", fault: taxiitest.Fault{Match: "next=", Skip: 2, Status: 400}},
		{name: "error once", fault: taxiitest.Fault{Match: "next=", Skip: 3, Status: 500}},
		{name: "gone once", fault: taxiitest.Fault{Match: "next=", Skip: 1, Status: 404}},
		{name: "answer lost once", fault: taxiitest.Fault{Match: "next=", Skip: 1, Lose: true}},
		{name: "answer cut once", fault: taxiitest.Fault{Match: "next=", Skip: 1, CutAfter: 700}},
		{name: "answer lost by a stateful server", profile: taxiitest.Profile{Next: taxiitest.NextSession}, fault: taxiitest.Fault{Match: "next=", Skip: 1, Lose: true}},
		{name: "never works", fault: taxiitest.Fault{Match: "next=", Times: -1, Status: 500}},
		{name: "never works and no dates", profile: taxiitest.Profile{Dates: taxiitest.DatesNone, NoManifest: true}, fault: taxiitest.Fault{Match: "next=", Times: -1, Status: 500}, fails: true},
		{name: "never works, dates by the manifest", profile: taxiitest.Profile{Dates: taxiitest.DatesNone}, fault: taxiitest.Fault{Match: "next=", Times: -1, Status: 500}},
		{name: "unauthorized", fault: taxiitest.Fault{Match: "next=", Skip: 1, Status: 401}, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.profile.Name = "test"
			s, _ := feed(t, taxiitest.Options{Profile: tt.profile}, 95, nil)
			s.Inject(tt.fault)
			r := newReader(t)
			_, err := r.walk(clientFor(t, s, Options{PageSize: 10}), walkOf(s))
			if tt.fails != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if !tt.fails {
				r.need(95)
			}
			if n := s.ObjectRequests(); n > 40 {
				t.Errorf("%d requests", n)
			}
			if v := s.Violations(); len(v) > 0 {
				t.Error(v)
			}
		})
	}
}

// With the position that a crash leaves, a server without dates is taken up by
// its token, not from the beginning.
func TestWalkResumesByToken(t *testing.T) {
	p, _ := taxiitest.ProfileNamed("opencti")
	s, _ := feed(t, taxiitest.Options{Profile: p}, 200, nil)
	clock := epoch.Add(time.Hour)
	c := clientFor(t, s, Options{PageSize: 10, Now: func() time.Time { return clock }})
	r := newReader(t)
	r.failAt = 15
	if _, err := r.walk(c, walkOf(s)); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if r.pos.Window == nil {
		t.Fatalf("no window in %+v", r.pos)
	}
	before := s.ObjectRequests()
	stale := *r
	if _, err := r.walk(c, walkOf(s)); err != nil {
		t.Fatal(err)
	}
	r.need(200)
	if n := s.ObjectRequests() - before; n > 8 {
		t.Errorf("%d requests after the crash", n)
	}
	if r.pos.Window != nil || r.pos.Added == "" {
		t.Errorf("position at the end: %+v", r.pos)
	}
	// A token of yesterday is not tried.
	clock = clock.Add(25 * time.Hour)
	before = len(s.Requests())
	if _, err := stale.walk(c, walkOf(s)); err != nil {
		t.Fatal(err)
	}
	if q := s.Requests()[before].Query; q.Get("next") != "" {
		t.Errorf("an old token was sent: %s", q.Encode())
	}
}

func TestWalkHiddenTie(t *testing.T) {
	tie := epoch.Add(time.Minute)
	dated := func(i int) time.Time {
		switch {
		case i < 30:
			return epoch.Add(time.Duration(i) * time.Second)
		case i < 80:
			return tie
		}
		return tie.Add(time.Duration(i) * time.Second)
	}
	for _, tt := range []struct {
		name    string
		profile taxiitest.Profile
		cap     int
		lost    bool
	}{
		{"larger pages help", taxiitest.Profile{Next: taxiitest.NextNone}, 0, false},
		{"larger pages help, more never said", taxiitest.Profile{Next: taxiitest.NextNone, More: taxiitest.MoreNever}, 0, false},
		{"capped", taxiitest.Profile{Next: taxiitest.NextNone}, 20, true},
		{"capped, more never said", taxiitest.Profile{Next: taxiitest.NextNone, More: taxiitest.MoreNever}, 20, true},
		{"larger pages refused", taxiitest.Profile{Next: taxiitest.NextNone, LimitMax: 20}, 0, true},
		{"tokens help", taxiitest.Profile{}, 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.profile.Name = "test"
			s, _ := feed(t, taxiitest.Options{Profile: tt.profile, PageCap: tt.cap}, 120, dated)
			r := newReader(t)
			_, err := r.walk(clientFor(t, s, Options{PageSize: 20}), walkOf(s))
			if n := s.ObjectRequests(); n > 30 {
				t.Errorf("%d requests", n)
			}
			if !tt.lost {
				if err != nil {
					t.Fatal(err)
				}
				r.need(120)
				return
			}
			if err == nil || !strings.Contains(err.Error(), "page_size") {
				t.Errorf("error %v", err)
			}
			if r.pos.Time().After(tie) {
				t.Errorf("the position %s is behind objects that were not seen", r.pos)
			}
			for i := range 120 {
				if r.seen[id(i)] == 0 && (i < 30 || i >= 80) {
					t.Errorf("object %d, which is not in the tie, was not seen", i)
				}
			}
		})
	}
}

// handlerClient is a client of a handler that is no TAXII server of ours.
type handlerClient struct {
	*Client
	root string
	n    *int
}

func handler(t testing.TB, f http.HandlerFunc) handlerClient {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Content-Type", MediaType)
		f(w, r)
	}))
	t.Cleanup(s.Close)
	h, err := transport.New(transport.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	return handlerClient{New(Options{HTTP: h, PageSize: 5}), s.URL + "/", &n}
}

func (h handlerClient) walk(r *reader) (WalkResult, error) {
	return r.walk(h.Client, Walk{Root: h.root, Collection: "c"})
}

func dates(w http.ResponseWriter, first, last time.Time) {
	w.Header().Set("X-TAXII-Date-Added-First", Microseconds.format(first))
	w.Header().Set("X-TAXII-Date-Added-Last", Microseconds.format(last))
}

// No answer makes a walk endless.
func TestWalkEnds(t *testing.T) {
	five := func(from int) string {
		var parts []string
		for i := range 5 {
			parts = append(parts, string(indicator(from+i, epoch)))
		}
		return strings.Join(parts, ",")
	}
	n := 0
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		fails bool
	}{
		{"same page, same token", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"more":true,"next":"x","objects":[%s]}`, five(0))
		}, true},
		{"same page, other token", func(w http.ResponseWriter, _ *http.Request) {
			n++
			fmt.Fprintf(w, `{"more":true,"next":"%d","objects":[%s]}`, n, five(0))
		}, true},
		{"empty pages for ever", func(w http.ResponseWriter, _ *http.Request) {
			n++
			fmt.Fprintf(w, `{"more":true,"next":"%d"}`, n)
		}, true},
		{"more without a way on", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"more":true,"objects":[%s]}`, five(0)) }, true},
		{"more and nothing else", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"more":true}`) }, true},
		{"full page without a way on", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"objects":[%s]}`, five(0)) }, true},
		{"all at once, without dates", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"objects":[%s,%s]}`, five(0), five(5))
		}, false},
		{"same page with a date, more", func(w http.ResponseWriter, _ *http.Request) {
			dates(w, epoch, epoch)
			fmt.Fprintf(w, `{"more":true,"objects":[%s]}`, five(0))
		}, true},
		{"same page with a date that moves", func(w http.ResponseWriter, _ *http.Request) {
			n++
			dates(w, epoch, epoch.Add(time.Duration(n)*time.Second))
			fmt.Fprintf(w, `{"objects":[%s]}`, five(0))
		}, false},
		{"same page with a date that moves, more", func(w http.ResponseWriter, _ *http.Request) {
			n++
			dates(w, epoch, epoch.Add(time.Duration(n)*time.Second))
			fmt.Fprintf(w, `{"more":true,"objects":[%s]}`, five(0))
		}, true},
		{"token and next of an empty last page", func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Query().Get("next") == "" {
				fmt.Fprintf(w, `{"more":true,"next":"a","objects":[%s]}`, five(0))
			} else {
				fmt.Fprint(w, `{"more":false,"next":"b"}`)
			}
		}, false},
		{"next without more", func(w http.ResponseWriter, q *http.Request) {
			page, _ := strconv.Atoi(q.URL.Query().Get("next"))
			fmt.Fprintf(w, `{"next":"%d","objects":[%s]}`, min(page+1, 3), five(5*min(page, 3)))
		}, false},
		{"dates ahead of the clock", func(w http.ResponseWriter, _ *http.Request) {
			dates(w, time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour))
			fmt.Fprintf(w, `{"more":false,"objects":[%s]}`, five(0))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n = 0
			h := handler(t, tt.serve)
			r := newReader(t)
			res, err := h.walk(r)
			if tt.fails != (err != nil) {
				t.Errorf("error %v", err)
			}
			var f *intel.Failure
			if err != nil && !errors.As(err, &f) {
				t.Errorf("%T is no failure", err)
			}
			if *h.n > 50 {
				t.Errorf("%d requests", *h.n)
			}
			if res.Complete == tt.fails {
				t.Errorf("complete %v", res.Complete)
			}
			if r.pos.Time().After(time.Now()) {
				t.Errorf("position %s", r.pos)
			}
		})
	}
}

func TestWalkWithoutDates(t *testing.T) {
	clock := epoch.Add(100 * 24 * time.Hour)
	for _, tt := range []struct {
		name    string
		profile taxiitest.Profile
		want    time.Time
	}{
		{"manifest", taxiitest.Profile{Dates: taxiitest.DatesUndefined}, epoch.Add(94 * time.Second)},
		{"no manifest", taxiitest.Profile{Dates: taxiitest.DatesNone, NoManifest: true}, clock.Add(-time.Hour)},
	} {
		s, _ := feed(t, taxiitest.Options{Profile: tt.profile, Now: func() time.Time { return clock }}, 95, nil)
		r := newReader(t)
		if _, err := r.walk(clientFor(t, s, Options{PageSize: 10}), walkOf(s)); err != nil {
			t.Fatal(err)
		}
		r.need(95)
		if !r.pos.Time().Equal(tt.want) {
			t.Errorf("%s: position %s, want %s", tt.name, r.pos, tt.want)
		}
	}
	// Nothing came: the position stays, whatever the clock says.
	s, _ := feed(t, taxiitest.Options{}, 0, nil)
	r := newReader(t)
	r.pos = StartAt(epoch)
	if res, err := r.walk(clientFor(t, s, Options{}), walkOf(s)); err != nil || res.Position.Time() != epoch || r.pos.Added != "" {
		t.Errorf("position %+v, error %v", res.Position, err)
	}
}

func TestWalkCutOff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault taxiitest.Fault
		kinds []intel.FailureKind
	}{
		{"in the middle", taxiitest.Fault{Skip: 0, CutAfter: 4000}, []intel.FailureKind{intel.FailUnreachable}},
		{"in the middle, looking complete", taxiitest.Fault{CutAfter: 4000, CutQuietly: true}, []intel.FailureKind{intel.FailUnreachable}},
		{"before the first byte", taxiitest.Fault{Lose: true}, []intel.FailureKind{intel.FailUnreachable}},
	} {
		s, _ := feed(t, taxiitest.Options{}, 50, nil)
		s.Inject(tt.fault)
		c := clientFor(t, s, Options{})
		r := newReader(t)
		_, err := r.walk(c, walkOf(s))
		// net/http repeats a request whose connection was closed before an answer.
		if err == nil && tt.fault.Lose {
			continue
		}
		if f := intel.AsFailure(err); f == nil || !slices.Contains(tt.kinds, f.Kind) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(r.moved) > 0 {
			t.Errorf("%s: the position moved to %s", tt.name, r.pos)
		}
		if _, err := r.walk(c, walkOf(s)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		r.need(50)
	}
}

func TestWalkBrokenObjects(t *testing.T) {
	s, c := feed(t, taxiitest.Options{}, 10, nil)
	at := epoch.Add(time.Minute)
	c.Add(at, []byte(`{"id":"x","type":}`), []byte(`null`), []byte(`{"id":"big","type":"`+strings.Repeat("b", 5000)+`"}`))
	c.Add(at.Add(time.Second), indicator(10, at))
	r := newReader(t)
	res, err := r.walk(clientFor(t, s, Options{MaxObjectBytes: 2000}), walkOf(s))
	if err != nil || !res.Complete {
		t.Fatal(err)
	}
	r.need(11)
	if len(r.broken) != 3 {
		t.Errorf("broken: %q", r.broken)
	}
}

func TestWalkChunks(t *testing.T) {
	s := serverFor(t, taxiitest.Options{})
	c := s.AddCollection(taxiitest.Info{ID: "all"})
	const n = 4500
	for i := range n {
		c.Add(epoch, indicator(i, epoch))
	}
	sizes := []int{}
	_, err := clientFor(t, s, Options{PageSize: 10000}).Walk(t.Context(), Walk{Root: s.RootURL(), Collection: "all", Visit: func(_ context.Context, c Chunk) error {
		sizes = append(sizes, len(c.Objects))
		return nil
	}})
	if err != nil || !slices.Equal(sizes, []int{2000, 2000, 500}) {
		t.Errorf("chunks %v, error %v", sizes, err)
	}
}

func TestWalkCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, _ := feed(t, taxiitest.Options{OnRequest: func(int, *http.Request) { cancel() }}, 5, nil)
	s.Inject(taxiitest.Fault{Hang: true, Times: -1})
	_, err := clientFor(t, s, Options{}).Walk(ctx, Walk{Root: s.RootURL(), Collection: "all", Visit: func(context.Context, Chunk) error { return nil }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// What is committed late, with a date before the position, is within the overlap.
func TestWalkLateCommit(t *testing.T) {
	s, c := feed(t, taxiitest.Options{}, 10, nil)
	client := clientFor(t, s, Options{})
	r := newReader(t)
	w := walkOf(s)
	w.Overlap = 5 * time.Minute
	if _, err := r.walk(client, w); err != nil {
		t.Fatal(err)
	}
	c.Add(epoch.Add(5*time.Second), indicator(10, epoch)) // dated before what was read
	if _, err := r.walk(client, w); err != nil {
		t.Fatal(err)
	}
	r.need(11)
}
