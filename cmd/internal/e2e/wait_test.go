package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
)

// patience is how long anything may take. It is there for slow machines: what
// is waited for is mostly there within a second.
const patience = 3 * time.Minute

// until waits until the status satisfies done.
func (r *rig) until(what string, done func(status.Status) bool) status.Status {
	r.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := r.app.Status(r.Context())
		if done(s) {
			return s
		}
		if time.Now().After(deadline) {
			b, _ := json.MarshalIndent(s, "", "  ")
			r.Fatalf("%s: not within %s; the status is\n%s", what, patience, b)
		}
		<-time.After(slowness * 20 * time.Millisecond)
	}
}

// polled waits until a poll of every collection that began later than now has
// ended well.
func (r *rig) polled() {
	r.Helper()
	now := time.Now()
	ends := map[string][]time.Time{} // of polls, by collection
	r.until("a whole poll", func(s status.Status) bool {
		for _, f := range s.Feeds {
			for _, c := range f.Collections {
				seen := ends[c.ID]
				if c.LastSuccess.After(now) && (len(seen) == 0 || c.LastSuccess.After(seen[len(seen)-1])) {
					ends[c.ID] = append(seen, c.LastSuccess)
				}
				if len(ends[c.ID]) < 2 { // the second to end began after the first had ended
					return false
				}
			}
		}
		return len(ends) > 0
	})
}

// settle waits until everything that the server has now is delivered.
func (r *rig) settle() status.Status {
	r.Helper()
	r.polled()
	return r.delivered()
}

// delivered waits until everything that the replica has now is delivered.
func (r *rig) delivered() status.Status {
	r.Helper()
	return r.until("delivery", idle)
}

// idle reports whether no route has anything to do.
func idle(s status.Status) bool {
	for _, route := range s.Routes {
		if route.Pending > 0 || route.State != status.StateOK {
			return false
		}
	}
	return len(s.Routes) > 0
}

// route returns the one to a sink.
func route(t testing.TB, s status.Status, sink string) status.Route {
	t.Helper()
	for _, route := range s.Routes {
		if route.Sink == sink {
			return route
		}
	}
	t.Fatalf("no route to %s", sink)
	return status.Route{}
}

// get reads a page of the status listener.
func (r *rig) get(path string) (code int, body string) {
	r.Helper()
	resp, err := http.Get("http://" + r.app.Addr() + path)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// metric returns the value of a metric by its name and labels, as they stand
// on /metrics; 0 when it is not there.
func (r *rig) metric(name string) float64 {
	r.Helper()
	_, body := r.get("/metrics")
	m := regexp.MustCompile(`(?m)^taxii_forwarder_` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		r.Fatal(err)
	}
	return v
}
