package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// TestBudget: what an answer says of the rate limit is waited for, not tried.
func TestBudget(t *testing.T) {
	const skew = 40 * time.Minute // the server's clock is that far behind
	epoch := func(d time.Duration) string {
		return strconv.FormatInt(time.Now().Add(d-skew).Unix(), 10)
	}
	for _, tt := range []struct {
		name   string
		status int
		header func() []string
		want   time.Duration
	}{
		{"epoch", 200, func() []string {
			return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + epoch(30*time.Second)}
		}, 31 * time.Second},
		{"delta", 200, func() []string { return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"} }, 31 * time.Second},
		{"standard names", 200, func() []string { return []string{"RateLimit-Remaining: 0", "RateLimit-Reset: 30"} }, 31 * time.Second},
		{"with a policy", 200, func() []string {
			return []string{"RateLimit-Limit: 100, 100;w=60", "RateLimit-Remaining: 0", "RateLimit-Reset: 30"}
		}, 31 * time.Second},
		{"less than one left", 200, func() []string { return []string{"X-RateLimit-Remaining: 0.5", "X-RateLimit-Reset: 30"} }, 31 * time.Second},
		{"not found", 404, func() []string { return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"} }, 31 * time.Second},
		{"bounded", 200, func() []string { return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 86400"} }, maxAhead},
		{"one left", 200, func() []string { return []string{"X-RateLimit-Remaining: 1", "X-RateLimit-Reset: 30"} }, 0},
		{"reset is over", 200, func() []string {
			return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + epoch(-time.Minute)}
		}, 0},
		{"no reset", 200, func() []string { return []string{"X-RateLimit-Remaining: 0"} }, 0},
		{"unlimited", 200, func() []string { return []string{"X-RateLimit-Remaining: -1", "X-RateLimit-Reset: 30"} }, 0},
		{"no limit", 200, func() []string {
			return []string{"X-RateLimit-Limit: 0", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}
		}, 0},
		{"no number", 200, func() []string { return []string{"X-RateLimit-Remaining: none", "X-RateLimit-Reset: 30"} }, 0},
		{"a refusal is the caller's", 429, func() []string { return []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"} }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := mustNew(t, Options{})
				scripted(c, func(_ *http.Request, conn net.Conn) {
					date := time.Now().Add(-skew).UTC().Format(http.TimeFormat)
					fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: 0\r\nDate: %s\r\n%s\r\n\r\n", tt.status, date, strings.Join(tt.header(), "\r\n"))
				})
				ask := func(host string) time.Duration {
					start := time.Now()
					resp, err := c.Do(get(t, "http://"+host+"/"))
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					return time.Since(start)
				}
				ask("taxii.example.com")
				if d := ask("other.example.com"); d != 0 {
					t.Errorf("another host waited %s", d)
				}
				if d := c.Held("taxii.example.com:80"); d != tt.want {
					t.Errorf("held for %s, want %s", d, tt.want)
				}
				if d := ask("Taxii.example.com:80"); d != tt.want {
					t.Errorf("waited %s, want %s", d, tt.want)
				}
				if tt.want == 0 {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				_, err := c.Do(get(t, "http://taxii.example.com/").WithContext(ctx))
				f := intel.AsFailure(err)
				if f == nil || f.Kind != intel.FailThrottled || f.RetryAfter != tt.want-time.Second || time.Since(began) != time.Second {
					t.Errorf("the wait ends after %s with %v", time.Since(began), err)
				}
			})
		})
	}
}

// TestBudgetCost: requests cost 2.5 points of 100 a minute, four at a time, and
// none is refused, though nobody said what one costs.
func TestBudgetCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, cost, workers, each = 100.0, 2.5, 4, 40
		var (
			left    = limit
			window  = time.Now()
			refused int
			turn    = make(chan struct{}, 1) // one request at a time at the server
		)
		c := mustNew(t, Options{MaxIdlePerHost: workers})
		scripted(c, func(_ *http.Request, conn net.Conn) {
			turn <- struct{}{}
			if time.Since(window) >= time.Minute {
				left, window = limit, time.Now()
			}
			status := 200
			if left < cost {
				status = 429
				refused++
			} else {
				left -= cost
			}
			text := fmt.Sprintf("HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: 0\r\nX-RateLimit-Limit: %g\r\nX-RateLimit-Remaining: %g\r\nX-RateLimit-Reset: %d\r\n\r\n",
				status, limit, left, window.Add(time.Minute).Unix())
			<-turn
			time.Sleep(10 * time.Millisecond)
			io.WriteString(conn, text)
		})
		begin := time.Now()
		done := make(chan struct{})
		for range workers {
			go func() {
				defer func() { done <- struct{}{} }()
				for range each {
					resp, err := c.Do(get(t, "http://taxii.example.com/"))
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
				}
			}()
		}
		for range workers {
			<-done
		}
		if refused > 0 {
			t.Errorf("%d requests were refused", refused)
		}
		// 160 requests are 400 points: the fourth window is needed, no sixth.
		if took := time.Since(begin); took < 3*time.Minute || took > 5*time.Minute+10*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
