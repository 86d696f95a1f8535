package elasticsearch

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// nodes sends requests to one of the cluster's addresses in turn. It is the
// transport of esapi, in place of the client's own, because that reads its
// environment variables, insists on its own user agent, and retries by rules
// that are not ours.
type nodes struct {
	rt      http.RoundTripper
	product bool // whether answers must carry X-Elastic-Product
	opaque  string

	mu    sync.Mutex
	urls  []*url.URL
	next  int
	until []time.Time // a node that did not answer is asked last until then
}

// restTime is how long a node that could not be reached is passed over.
const restTime = 30 * time.Second

// Perform sends req to a node, and to the next if that one can not be reached.
// The error is an [*intel.Failure].
func (n *nodes) Perform(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	order := make([]int, 0, len(n.urls))
	now := time.Now()
	for pass := range 2 {
		for k := range n.urls {
			i := (n.next + k) % len(n.urls)
			if resting := now.Before(n.until[i]); resting == (pass == 1) {
				order = append(order, i)
			}
		}
	}
	n.next = (n.next + 1) % len(n.urls)
	n.mu.Unlock()

	var err error
	for _, i := range order {
		var resp *http.Response
		resp, err = n.send(req, n.urls[i])
		if err == nil {
			n.rest(i, time.Time{})
			return resp, nil
		}
		var f *intel.Failure
		if !errors.As(err, &f) || f.Kind != intel.FailUnreachable && f.Kind != intel.FailTLS || req.Context().Err() != nil {
			return nil, err
		}
		n.rest(i, now.Add(restTime))
		if req.Body != nil && req.GetBody == nil {
			return nil, err
		}
	}
	return nil, err
}

func (n *nodes) rest(i int, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.until[i] = until
}

func (n *nodes) send(req *http.Request, node *url.URL) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = node.Scheme, node.Host
	out.URL.Path = node.Path + "/" + strings.TrimLeft(req.URL.Path, "/")
	out.URL.RawPath, out.Host = "", ""
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, &intel.Failure{Kind: intel.FailLocal, Err: err}
		}
		out.Body = body
	}
	if out.Header == nil {
		out.Header = http.Header{}
	}
	out.Header.Set("Accept", "application/json")
	out.Header.Set("X-Opaque-Id", n.opaque) // shows in the server's slow log and task list
	resp, err := n.rt.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = out
	if n.product && resp.StatusCode/100 == 2 && resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		resp.Body.Close()
		return nil, notElasticsearch(out, resp, body)
	}
	return resp, nil
}

// notElasticsearch is the failure for an answer without the product header,
// which every Elasticsearch from 7.14 on sends.
func notElasticsearch(req *http.Request, resp *http.Response, body []byte) *intel.Failure {
	f := intel.Fail(intel.FailProtocol, "%s: the answer (%d) is not from Elasticsearch", req.URL.Host, resp.StatusCode)
	if strings.Contains(string(body), "opensearch") {
		f.Kind = intel.FailConfig
		return f.WithHint("this is OpenSearch: set distribution = \"opensearch\"")
	}
	if strings.Contains(strings.ToLower(string(body)), "<html") {
		return f.WithHint("a proxy, a login page or Kibana answers there; the address must be that of Elasticsearch itself")
	}
	return f.WithHint("if it is OpenSearch, set distribution = \"opensearch\"; Elasticsearch must be 7.14 or newer, and a proxy before it must not remove the header X-Elastic-Product")
}
