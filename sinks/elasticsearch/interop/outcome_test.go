//go:build interop

package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/sinktest"
)

// TestBadAddresses: what is no address and what is no range does not get into
// the fields of those types, where the node would refuse the document.
func TestBadAddresses(t *testing.T) {
	index := newIndex(t)
	sink := open(t, index)
	var inds []*intel.Indicator
	for i, value := range []string{"300.1.1.1", "10.0.0.0/33", "fe80::1%eth0", "10.1.2.3", "10.0.0.0/8", "2001:db8::/129", "2001:db8::/32", "::ffff:10.0.0.0/104", "10.0.0.1/8"} {
		kind := intel.TypeIPv4
		if strings.Contains(value, ":") {
			kind = intel.TypeIPv6
		}
		inds = append(inds, sinktest.New(i+1, intel.Observable{Type: kind, Value: value, Fidelity: intel.FidelityExact}))
	}
	mustDeliver(t, sink, upsert(time.Now(), inds...)...)
	if n := len(documents(t, index)); n != len(inds) {
		t.Errorf("%d documents, want %d", n, len(inds))
	}
	for address, want := range map[string][]string{
		"10.1.2.3":     {"10.0.0.0/8", "10.0.0.1/8", "::ffff:10.0.0.0/104"},
		"2001:db8::77": {"2001:db8::/32"},
		"192.0.2.1":    nil,
	} {
		var found []string
		for _, h := range matching(t, index, map[string]any{"term": map[string]any{"threat.indicator.ip_range": address}}) {
			d, err := decode(h.Source)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, d.Threat.Indicator.Name)
		}
		if !sameSet(found, want) {
			t.Errorf("%s is in the ranges %q, want %q", address, found, want)
		}
	}
	// The node itself would have refused them.
	bulk := ""
	for i, field := range []string{`"ip":"300.1.1.1"`, `"ip":"10.0.0.0/8"`, `"ip_range":"10.0.0.0/33"`, `"ip_range":"::ffff:10.0.0.0/104"`} {
		bulk += fmt.Sprintf(`{"index":{"_id":"bad%d"}}`+"\n"+`{"threat":{"indicator":{%s}}}`+"\n", i, field)
	}
	var reply struct {
		Items []map[string]struct{ Status int }
	}
	must(t, "POST", "/"+index+"/_bulk", bulk, &reply)
	for i, item := range reply.Items {
		if item["index"].Status != http.StatusBadRequest {
			t.Errorf("operation %d: status %d", i, item["index"].Status)
		}
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestDestination: what is wrong with the index as a whole is a failure of the
// destination with advice, and no document is given up.
func TestDestination(t *testing.T) {
	for _, c := range []struct {
		name       string
		path, body string // after the first document
		method     string
		before     bool // before it
		kind       intel.FailureKind
		says       string
		check      bool // whether Check sees it
	}{
		{name: "write block", method: "PUT", path: "/_settings", body: `{"index.blocks.write":true}`, kind: intel.FailConfig, says: "read-only", check: true},
		{name: "full disk", method: "PUT", path: "/_settings", body: `{"index.blocks.read_only_allow_delete":true}`, kind: intel.FailThrottled, says: "disk", check: true},
		{name: "closed", method: "POST", path: "/_close", kind: intel.FailConfig, says: "index_closed_exception", check: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			index := newIndex(t)
			sink := open(t, index)
			mustDeliver(t, sink, upsert(time.Now(), sinktest.Indicator(1))...)
			var body any
			if c.body != "" {
				body = c.body
			}
			must(t, c.method, "/"+index+c.path, body, nil)
			t.Cleanup(func() {
				_, _, _ = ask(node.URL, "PUT", "/"+index+"/_settings", `{"index.blocks.read_only_allow_delete":null}`)
				_, _, _ = ask(node.URL, "PUT", "/"+index+"/_settings", `{"index.blocks.write":null}`)
			})
			outcomes, err := sink.Deliver(t.Context(), append(upsert(time.Now(), sinktest.Indicators(2, 3)...), withdraw(time.Now(), sinktest.Indicator(1))...))
			if err == nil || intel.AsFailure(err).Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Deliver: %v", err)
			}
			for i, o := range outcomes {
				if o.Status != intel.Unknown {
					t.Errorf("outcome %d: %s %s", i, o.Status, o.Reason)
				}
			}
			if err := sink.Check(t.Context()); c.check && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// TestDataStream: an index name that a data stream has is a matter of
// configuration.
func TestDataStream(t *testing.T) {
	index := newIndex(t)
	must(t, "PUT", "/_index_template/"+index, `{"index_patterns":["`+index+`"],"data_stream":{},"priority":600}`, nil)
	must(t, "PUT", "/_data_stream/"+index, nil, nil)
	t.Cleanup(func() { _, _, _ = ask(node.URL, "DELETE", "/_data_stream/"+index, nil) })
	no := false
	sink := openWith(t, elasticsearch.Config{Addresses: []string{node.URL}, Distribution: elasticsearch.OpenSearch, Index: index, ManageTemplate: &no}, silent)
	outcomes, err := sink.Deliver(t.Context(), upsert(time.Now(), sinktest.Indicator(1)))
	if err == nil || intel.AsFailure(err).Kind != intel.FailConfig || !strings.Contains(err.Error(), "data stream, which can not hold documents that change") || outcomes[0].Status != intel.Unknown {
		t.Errorf("%v, %v", outcomes, err)
	}
}

// TestNoAutoCreate: where indices are not created by themselves, that is said.
func TestNoAutoCreate(t *testing.T) {
	must(t, "PUT", "/_cluster/settings", `{"transient":{"action.auto_create_index":"false"}}`, nil)
	defer must(t, "PUT", "/_cluster/settings", `{"transient":{"action.auto_create_index":null}}`, nil)
	sink := open(t, newIndex(t))
	_, err := sink.Deliver(t.Context(), upsert(time.Now(), sinktest.Indicator(1)))
	if err == nil || intel.AsFailure(err).Kind != intel.FailNotFound || !strings.Contains(err.Error(), "does not exist and can not be created") {
		t.Errorf("%v", err)
	}
}

// TestTooLarge: the node refuses requests over its limit of 30 MB without a word,
// asks to repeat those over its memory for indexing of 16 MB, and takes a quarter.
func TestTooLarge(t *testing.T) {
	index := newIndex(t)
	p := newProxy(t)
	t.Cleanup(p.close)
	gzip := false
	sink := openWith(t, elasticsearch.Config{
		Addresses: []string{p.URL}, Distribution: elasticsearch.OpenSearch, Index: index, Timeout: "60s", Gzip: &gzip,
		Batch: &elasticsearch.Batch{MaxBytes: 100 << 20, MaxDocuments: 100_000},
	}, silent)
	inds := sinktest.Indicators(0, 9)
	text := strings.Repeat("long text ", 400_000) // 4 MB, of which the mapping indexes nothing
	for _, ind := range inds {
		ind.Description = text
	}
	mustDeliver(t, sink, upsert(time.Now(), inds...)...)
	// 36 MB, then 16 and 20, of which the latter is too much still.
	if n := len(p.seen("/_bulk")); n < 5 {
		t.Errorf("%d bulk requests: the limits were never met", n)
	}
	var count struct{ Count int }
	must(t, "POST", "/"+index+"/_refresh", nil, nil)
	must(t, "GET", "/"+index+"/_count", nil, &count)
	if count.Count != len(inds) {
		t.Errorf("%d documents, want %d", count.Count, len(inds))
	}
}
