//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/sinktest"
)

// The node asks for none, and is sent these all the same.
const username, password = "forwarder", "s3cret-Passw0rd"

// TestContract: the sink keeps the contract of all sinks with a real server,
// through faults on the way to it.
func TestContract(t *testing.T) {
	t.Parallel()
	sinktest.Run(t, sinktest.Harness{
		New: func(t testing.TB) sinktest.Destination {
			return &destination{proxy: newProxy(t), index: newIndex(t)}
		},
		Holds: func(ind *intel.Indicator) []intel.Ref {
			if ind.PatternType == "yara" {
				return []intel.Ref{{}}
			}
			return sinktest.Refs(ind)
		},
		Secrets: []string{password, "Zm9yd2FyZGVyOnMzY3JldC1QYXNzdzByZA"},
		Package: "taxii-forwarder/sinks/elasticsearch",
	})
}

type destination struct {
	proxy *proxy
	index string
	full  bool
}

func (d *destination) Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error) {
	// On a busy machine a real server needs seconds for its first index, and
	// sometimes as many for a full batch.
	if timeout < time.Second {
		timeout = 5 * time.Second
	} else {
		timeout = max(timeout, 2*time.Minute)
	}
	return elasticsearch.New(elasticsearch.Config{
		Addresses: []string{d.proxy.URL}, Username: username, Password: password, Distribution: elasticsearch.OpenSearch,
		Index: d.index, Timeout: setting.Duration(timeout.String()),
	}, o)
}

func (d *destination) Contents() (sinktest.Contents, error) {
	hits, err := find(d.index, map[string]any{"match_all": map[string]any{}})
	if err != nil {
		return nil, err
	}
	got := sinktest.Contents{}
	for _, h := range hits {
		doc, err := decode(h.Source)
		if err != nil {
			return nil, err
		}
		held := sinktest.Held{Feed: doc.Threat.Feed.Name, ID: doc.STIX.ID}
		if o := doc.STIX.Observable; o != nil {
			held.Ref = intel.Ref{Type: intel.ObservableType(o.Type), Value: o.Value}
		}
		got[held] = h.Version >> versionShift
	}
	return got, nil
}

// versionShift is the number of bits of a document's version below the
// indicator's modified time.
const versionShift = 11

// document is what the tests read of one.
type document struct {
	Timestamp time.Time `json:"@timestamp"`
	Threat    struct {
		Feed      struct{ Name string }
		Indicator struct {
			ID   []string
			Type string
			Name string
		}
	}
	STIX struct {
		ID         string
		Name       string
		Modified   time.Time
		Pattern    string
		Observable *struct{ Type, Value string }
	}
}

func decode(source []byte) (document, error) {
	var d document
	err := json.Unmarshal(source, &d)
	if err == nil && d.STIX.ID == "" {
		err = fmt.Errorf("no indicator: %s", source)
	}
	return d, err
}

func (d *destination) Inject(f sinktest.Fault) bool {
	if f == sinktest.DiskFull { // what the node does to an index when it has no room
		return d.block("true")
	}
	return d.proxy.inject(f)
}

func (d *destination) block(value string) bool {
	status, _, err := ask(node.URL, http.MethodPut, "/"+d.index+"/_settings", `{"index.blocks.read_only_allow_delete":`+value+`}`)
	d.full = value == "true"
	return err == nil && status == http.StatusOK
}

func (d *destination) Heal() {
	d.proxy.heal()
	if d.full && !d.block("null") {
		panic("the index stays blocked")
	}
}

// Poison has the node itself spoil the documents of some indicators on their way
// into the index, where their mapping then refuses them.
func (d *destination) Poison(ids ...string) bool {
	list, err := json.Marshal(ids)
	if err != nil {
		panic(err)
	}
	pipeline := map[string]any{"processors": []any{map[string]any{"script": map[string]any{
		"lang":   "painless",
		"params": map[string]any{"ids": json.RawMessage(list)},
		"source": "if (params.ids.contains(ctx.stix.id)) { ctx.threat.indicator.ip = 'spoilt' }",
	}}}}
	sink, err := d.Open(intel.SinkOptions{Name: "prepare", Logger: hclog.NewNullLogger()}, time.Minute)
	if err != nil {
		panic(err)
	}
	defer sink.Close()
	if _, err := sink.(intel.Refresher).Refresh(context.Background()); err != nil { // installs the template
		panic(err)
	}
	for path, body := range map[string]any{
		"/_ingest/pipeline/" + d.index: pipeline,
		"/" + d.index:                  map[string]any{"settings": map[string]any{"index.default_pipeline": d.index}},
	} {
		if status, answer, err := ask(node.URL, http.MethodPut, path, body); err != nil || status != http.StatusOK {
			panic(fmt.Sprintf("PUT %s: %d %s %v", path, status, answer, err))
		}
	}
	return true
}

func (d *destination) Close() {
	d.Heal()
	d.proxy.close()
	forget(d.index)
}
