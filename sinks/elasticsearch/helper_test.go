package elasticsearch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
)

// now is the forwarding time of the tests' changes.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const testKey = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g:ui2lp2axTNmsyakw9tvNnw"

// server starts a fake that demands an API key, unless o says otherwise.
func server(t testing.TB, o elastictest.Options) *elastictest.Server {
	t.Helper()
	if o.APIKey == "" && o.Username == "" && o.Distribution != elastictest.OpenSearch {
		o.APIKey = testKey
	}
	s := elastictest.NewServer(o)
	t.Cleanup(s.Close)
	return s
}

// open returns a sink for the server; change may alter its configuration.
func open(t testing.TB, s *elastictest.Server, change ...func(*Config)) *Sink {
	t.Helper()
	c := Config{Addresses: []string{s.URL()}, APIKey: testKey, Timeout: "10s"}
	for _, f := range change {
		f(&c)
	}
	sink, err := New(c, intel.SinkOptions{Name: "test", Logger: hclog.NewNullLogger(), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	sink.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return sink
}

func openSearch(c *Config) { c.Distribution, c.APIKey = OpenSearch, "" }

func millis(d time.Duration) setting.Duration {
	return setting.Duration(fmt.Sprintf("%dms", d.Milliseconds()))
}

func upsert(at time.Time, inds ...*intel.Indicator) []intel.Change {
	changes := make([]intel.Change, len(inds))
	for i, ind := range inds {
		changes[i] = intel.Change{Seq: int64(i + 1), Action: intel.Upsert, Indicator: ind, At: at}
	}
	return changes
}

func withdraw(at time.Time, ind *intel.Indicator) intel.Change {
	c := intel.Change{Seq: 1, Action: intel.Withdraw, Reason: intel.ReasonExpired, Indicator: ind, At: at, FirstDelivered: now}
	for i := range ind.Observables {
		c.Remove = append(c.Remove, ind.Observables[i].Ref())
	}
	return c
}

// mustDeliver demands that everything is delivered at once.
func mustDeliver(t testing.TB, s *Sink, changes ...intel.Change) {
	t.Helper()
	outcomes, err := s.Deliver(context.Background(), changes)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != intel.Delivered {
			t.Fatalf("change %d: %s %s %s", i, o.Status, o.Reason, o.Detail)
		}
	}
}

func nowFunc() time.Time { return now }

// documentID is the _id of an observable's document.
func documentID(ind *intel.Indicator, ref intel.Ref) string {
	quoted := appendID(nil, ind, ref)
	return string(quoted[1 : len(quoted)-1])
}

// put makes a request as an admin would.
func put(t *testing.T, s *elastictest.Server, path, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", authorization(&Config{APIKey: testKey}))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s", path, resp.Status)
	}
}
