package taxii

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

const aDomain = `{"type":"indicator","spec_version":"2.1","id":"%s","created":"2024-03-04T10:30:45Z","modified":"2024-03-04T10:30:45Z","name":"n%d","pattern":"[domain-name:value = 'a.example.com']","pattern_type":"stix","valid_from":"2024-03-04T10:30:45Z"}`

// TestMatchTypes: match_types means the same on every server, or it is said
// that it does not.
func TestMatchTypes(t *testing.T) {
	soc, _ := taxiitest.ProfileNamed("socdefenders")
	for _, tt := range []struct {
		name    string
		profile taxiitest.Profile
		types   []string
		match   Matching
		addrs   bool // the indicators of addresses come
		domains bool // those of domains
		other   bool // other objects come
		warns   string
		again   int // requests of a poll in which nothing is new
	}{
		{"specified", taxiitest.Profile{}, []string{"indicator"}, MatchType, true, true, false, "", 1},
		{"specified, another type", taxiitest.Profile{}, []string{"identity"}, MatchType, false, false, true, "", 1},
		{"nothing of the type", taxiitest.Profile{}, []string{"indicators"}, MatchUnknown, false, false, false,
			"match[type]=indicators finds nothing in this collection; what is in it begins with objects of type identity, indicator", 2},
		{"subtype, by type", soc, []string{"indicator"}, MatchHere, true, true, false, "everything is read and chosen from here", 1},
		{"subtype, by types", soc, []string{"indicator", "identity"}, MatchHere, true, true, true, "everything is read and chosen from here", 1},
		{"subtype, by subtype", soc, []string{"ipv4-addr"}, MatchOwn, true, false, true, "values that this provider documents", 1},
		{"subtype, none of it", soc, []string{"mutex"}, MatchOwn, false, false, true, "values that this provider documents", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const addrs, domains = 2000, 500
			now := &clock{now: epoch.Add(24 * time.Hour)}
			s := serverFor(t, taxiitest.Options{Profile: tt.profile, Now: now.Now})
			c := s.AddCollection(taxiitest.Info{ID: "all"})
			c.Add(epoch, []byte(`{"type":"identity","spec_version":"2.1","id":"identity--00000000-0000-4000-8000-000000000001","created":"2024-03-04T10:30:45Z","modified":"2024-03-04T10:30:45Z","name":"Someone","identity_class":"individual"}`))
			for n := range addrs {
				c.Add(epoch.Add(time.Duration(n/7)*time.Second), indicator(n, epoch))
			}
			for n := addrs; n < addrs+domains; n++ {
				c.Add(epoch.Add(time.Duration(n)*time.Second), fmt.Appendf(nil, aDomain, id(n), n))
			}
			client := clientBy(t, s, now, Options{PageSize: 100})
			r := newReader(t)
			r.failAt = 4 // a crash in the middle
			w := walkOf(s)
			w.Filter.Types = tt.types
			res, err := r.walk(client, w)
			if err == errCrash {
				res, err = r.walk(client, w)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []struct {
				what     string
				from, to int
				want     bool
			}{{"addresses", 0, addrs, tt.addrs}, {"domains", addrs, addrs + domains, tt.domains}} {
				came := 0
				for n := part.from; n < part.to; n++ {
					came += min(r.seen[id(n)], 1)
				}
				if want := part.to - part.from; part.want && came != want || !part.want && came != 0 {
					t.Errorf("%d of %d %s came", came, want, part.what)
				}
			}
			other := 0
			for id, n := range r.seen {
				if strings.HasPrefix(id, "identity--") {
					other += n
				}
			}
			// What a walk that begins anew was given before is harmless.
			if tt.other && other == 0 || !tt.other && other > 1 {
				t.Errorf("%d other objects came", other)
			}
			if r.pos.Match != tt.match {
				t.Errorf("the server is found to match by %q, want %q", r.pos.Match, tt.match)
			}
			warned := slices.ContainsFunc(res.Warnings, func(w string) bool { return tt.warns != "" && strings.Contains(w, tt.warns) })
			if warned != (tt.warns != "") || len(res.Warnings) > 1 {
				t.Errorf("warnings %q, want %q", res.Warnings, tt.warns)
			}

			before := s.ObjectRequests()
			again, err := r.walk(client, w)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.ObjectRequests() - before; n > tt.again {
				t.Errorf("%d requests when nothing is new, want %d", n, tt.again)
			}
			if !slices.Equal(again.Warnings, res.Warnings) {
				t.Errorf("the next poll warns of %q, the first of %q", again.Warnings, res.Warnings)
			}
			if n := s.Refused(); n > 0 {
				t.Errorf("%d requests beyond the rate limit", n)
			}
		})
	}
}

// TestMatchUnsettled: as long as it is not known what match[type] is taken for,
// an empty answer moves nothing, and what comes later is not missed.
func TestMatchUnsettled(t *testing.T) {
	soc, _ := taxiitest.ProfileNamed("socdefenders")
	now := &clock{now: epoch.Add(24 * time.Hour)}
	s := serverFor(t, taxiitest.Options{Profile: soc, Now: now.Now})
	c := s.AddCollection(taxiitest.Info{ID: "all"})
	client := clientBy(t, s, now, Options{PageSize: 100})
	r := newReader(t)
	w := walkOf(s)
	w.Overlap = 5 * time.Minute
	w.Filter.Types = []string{"indicator"}
	for n := range 5 {
		if _, err := r.walk(client, w); err != nil {
			t.Fatal(err)
		}
		r.need(n * 10)
		_ = now.Sleep(t.Context(), 15*time.Minute)
		for i := range 10 {
			c.Add(now.Now(), indicator(n*10+i, now.Now()))
		}
	}
}

func TestTypeOf(t *testing.T) {
	for raw, want := range map[string]string{
		`{"type":"indicator"}`:                         "indicator",
		`{"a":{"type":"x"},"b":[1,"}"],"type":"tool"}`: "tool",
		`{"type":7}`: "",
		`{"a":1}`:    "",
		`{}`:         "",
	} {
		if got := typeOf([]byte(raw)); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
