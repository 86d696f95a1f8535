package elasticsearch

import (
	"bytes"
	"context"
	"net/http"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/klauspost/compress/gzip"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// Bounds of what is read of an answer. A reply to 100,000 operations that all
// failed is well below.
const (
	maxBulkReply = 256 << 20
	maxReply     = 8 << 20
)

// zip is a gzip writer with the memory that it writes to.
type zip struct {
	buf bytes.Buffer
	w   *gzip.Writer
}

func newZip() *zip {
	z := &zip{}
	// Documents compress to a tenth even at the fastest level.
	z.w, _ = gzip.NewWriterLevel(&z.buf, gzip.BestSpeed)
	return z
}

func (z *zip) compress(body []byte) []byte {
	z.buf.Reset()
	z.w.Reset(&z.buf)
	_, _ = z.w.Write(body) // a bytes.Buffer does not fail
	_ = z.w.Close()
	return z.buf.Bytes()
}

// postBulk sends a bulk request and reads the reply. The error is an
// [*intel.Failure]; an HTTP error status is not one.
func (s *Sink) postBulk(ctx context.Context, body []byte) (int, *reply, error) {
	r := esapi.BulkRequest{
		Index:      s.index(),
		FilterPath: filterPath,
		Header:     http.Header{"Content-Type": {"application/x-ndjson"}},
	}
	if *s.config.Gzip {
		z := s.zips.Get().(*zip)
		defer s.zips.Put(z)
		body = z.compress(body)
		r.Header.Set("Content-Encoding", "gzip")
	}
	r.Body = bytes.NewReader(body)
	return s.do(ctx, r, maxBulkReply)
}

// request sends any other request of the API.
func (s *Sink) request(ctx context.Context, r esapi.Request) (int, *reply, error) {
	return s.do(ctx, r, maxReply)
}

func (s *Sink) do(ctx context.Context, r esapi.Request, limit int64) (int, *reply, error) {
	t := &recorder{nodes: s.nodes}
	resp, err := r.Do(ctx, t)
	if err != nil {
		return 0, nil, intel.AsFailure(err)
	}
	var body []byte
	if resp.Body != nil { // esapi leaves it nil for HEAD
		defer resp.Body.Close()
		if body, err = transport.ReadLimited(resp.Body, limit); err != nil {
			return 0, nil, intel.AsFailure(err)
		}
	}
	return resp.StatusCode, &reply{resp: t.last, body: body}, nil
}

// recorder keeps the answer as net/http has it, which esapi hides.
type recorder struct {
	*nodes
	last *http.Response
}

func (t *recorder) Perform(req *http.Request) (*http.Response, error) {
	resp, err := t.nodes.Perform(req)
	t.last = resp
	return resp, err
}
