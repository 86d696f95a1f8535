//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch"
)

// silent is a log that nobody reads.
var silent = hclog.NewNullLogger()

// open returns a sink for an index of the node.
func open(t testing.TB, index string) *elasticsearch.Sink {
	t.Helper()
	return openWith(t, elasticsearch.Config{Addresses: []string{node.URL}, Distribution: elasticsearch.OpenSearch, Index: index}, silent)
}

func openWith(t testing.TB, c elasticsearch.Config, log hclog.Logger) *elasticsearch.Sink {
	t.Helper()
	sink, err := elasticsearch.New(c, intel.SinkOptions{Name: "interop", Logger: log, Version: "0.0.0-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	return sink
}

// deliver demands an outcome for every change, and returns them.
func deliver(t testing.TB, s *elasticsearch.Sink, changes ...intel.Change) []intel.Outcome {
	t.Helper()
	outcomes, err := s.Deliver(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// mustDeliver demands that everything is delivered.
func mustDeliver(t testing.TB, s *elasticsearch.Sink, changes ...intel.Change) {
	t.Helper()
	for i, o := range deliver(t, s, changes...) {
		if o.Status != intel.Delivered {
			t.Fatalf("%s of %s: %s %s %s", changes[i].Action, changes[i].Indicator.ID, o.Status, o.Reason, o.Detail)
		}
	}
}

func upsert(at time.Time, inds ...*intel.Indicator) []intel.Change {
	changes := make([]intel.Change, len(inds))
	for i, ind := range inds {
		changes[i] = intel.Change{Seq: int64(i + 1), Action: intel.Upsert, Indicator: ind, At: at}
	}
	return changes
}

func withdraw(at time.Time, inds ...*intel.Indicator) []intel.Change {
	changes := make([]intel.Change, len(inds))
	for i, ind := range inds {
		c := intel.Change{Seq: int64(i + 1), Action: intel.Withdraw, Reason: intel.ReasonRevoked, Indicator: ind, At: at, FirstDelivered: at}
		for j := range ind.Observables {
			c.Remove = append(c.Remove, ind.Observables[j].Ref())
		}
		changes[i] = c
	}
	return changes
}

// sent returns what the sink sends for changes: by _id, the documents of its
// index operations.
func sent(t testing.TB, s *elasticsearch.Sink, changes ...intel.Change) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	for i := range changes {
		b, _ := s.Preview(nil, &changes[i])
		for len(b) > 0 {
			var action struct {
				Index *struct {
					ID string `json:"_id"`
				}
			}
			line, rest, _ := bytes.Cut(b, []byte("\n"))
			if err := json.Unmarshal(line, &action); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if b = rest; action.Index != nil {
				line, b, _ = bytes.Cut(b, []byte("\n"))
				out[action.Index.ID] = line
			}
		}
	}
	return out
}

// only returns the one _id that the sink gives to a change.
func only(t testing.TB, s *elasticsearch.Sink, c intel.Change) string {
	t.Helper()
	all := sent(t, s, c)
	if len(all) != 1 {
		t.Fatalf("%d documents for %s", len(all), c.Indicator.ID)
	}
	for id := range all {
		return id
	}
	panic("unreachable")
}
