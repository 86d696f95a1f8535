package taxii

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestRateLimit walks four collections of one account at once, many times the
// limit of a minute: what is left is told by every answer, and no request is
// made that the server has to refuse.
func TestRateLimit(t *testing.T) {
	for _, delta := range []bool{false, true} {
		t.Run(fmt.Sprintf("delta=%v", delta), func(t *testing.T) {
			const collections, pages, pageSize = 4, 45, 20
			p, _ := taxiitest.ProfileNamed("socdefenders")
			p.ResetByDelta = delta
			now := &clock{now: epoch.Add(24 * time.Hour)}
			s := serverFor(t, taxiitest.Options{Profile: p, Now: now.Now})
			for i := range collections {
				c := s.AddCollection(taxiitest.Info{ID: fmt.Sprint(i)})
				for n := range pages * pageSize {
					at := epoch.Add(time.Duration(n) * time.Second)
					c.Add(at, indicator(n, at))
				}
			}
			client := clientBy(t, s, now, Options{PageSize: pageSize})
			var wg sync.WaitGroup
			for i := range collections {
				wg.Go(func() {
					r := newReader(t)
					if _, err := r.walk(client, Walk{Root: s.RootURL(), Collection: fmt.Sprint(i)}); err != nil {
						t.Errorf("walk: %v", err)
					}
					r.need(pages * pageSize)
				})
			}
			wg.Wait()
			if n := s.Refused(); n > 0 {
				t.Errorf("%d requests were refused", n)
			}
			requests := s.ObjectRequests()
			if least := collections * pages; requests < least || requests > least+5*collections {
				t.Errorf("%d requests for %d pages", requests, collections*pages)
			}
			// 40 requests for objects are what a minute allows.
			if least := time.Duration(requests/40-1) * time.Minute; now.slept < least {
				t.Errorf("waited for %s, %d requests take at least %s", now.slept, requests, least)
			}
		})
	}
}

// TestRateLimitRefused: a limit that others have used up is waited for when it
// is by the minute, and left to the caller when it is longer.
func TestRateLimitRefused(t *testing.T) {
	for _, tt := range []struct {
		window time.Duration
		waits  bool
	}{{time.Minute, true}, {time.Hour, false}} {
		t.Run(tt.window.String(), func(t *testing.T) {
			p, _ := taxiitest.ProfileNamed("socdefenders")
			p.RateWindow = tt.window
			now := &clock{now: epoch.Add(24 * time.Hour)}
			s, _ := feed(t, taxiitest.Options{Profile: p, Now: now.Now}, 50, nil)
			for range 100 { // another client of the account
				req, _ := http.NewRequest(http.MethodGet, s.URL(), nil)
				req.Header.Set("Accept", MediaType)
				s.Auth().Apply(req)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			r := newReader(t)
			_, err := r.walk(clientBy(t, s, now, Options{PageSize: 10}), walkOf(s))
			if tt.waits {
				if err != nil || s.Refused() != 1 {
					t.Errorf("error %v after %d refusals", err, s.Refused())
				}
				r.need(50)
				return
			}
			f := intel.AsFailure(err)
			if f == nil || f.Kind != intel.FailThrottled || f.RetryAfter < 50*time.Minute || !strings.Contains(err.Error(), "RATE_LIMIT_EXCEEDED: too many requests") {
				t.Errorf("error %v", err)
			}
		})
	}
}
