package splunk

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"taxii-forwarder/forwarder/intel"
)

// maxAnswer is how much of an answer is read. HEC's are a line long; what is
// longer is a page that stands in between.
const maxAnswer = 64 << 10

var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic("gzip.NewWriterLevel: " + err.Error()) // never: the level is valid
	}
	return w
}}

// send posts n events. The error is a *intel.Failure: whether the events
// arrived is then not known.
func (s *Sink) send(ctx context.Context, ch *channel, events []byte, n int) (answer, error) {
	resp, body, err := s.post(ctx, ch, s.base.JoinPath("event"), events)
	if err != nil {
		return answer{}, err
	}
	return judge(resp, body, n, s.index), nil
}

// post makes a request with the sink's credentials and the channel's identity,
// and reads the beginning of the answer's body.
func (s *Sink) post(ctx context.Context, ch *channel, u *url.URL, payload []byte) (*http.Response, []byte, error) {
	// The transport may go on reading the body after it returned an answer, so
	// that it is never a buffer that is used again.
	var body []byte
	zip := s.gzip && len(payload) > 0
	if zip {
		body = compress(payload)
	} else {
		body = slices.Clone(payload)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, intel.Fail(intel.FailConfig, "build request to splunk: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if zip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	ch.prepare(req)
	return s.do(ch, req)
}

func (s *Sink) do(ch *channel, req *http.Request) (*http.Response, []byte, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	ch.learn(req.URL, resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, intel.AsFailure(err)
	}
	return resp, s.redact(body), nil
}

// redact removes the token from an answer, which ends up in errors and dead
// letters: some pages show the request that they complain about.
func (s *Sink) redact(body []byte) []byte {
	const shortest = 8 // anything shorter could be a part of any answer, and is no secret
	token := []byte(s.token.Reveal())
	if len(token) < shortest {
		return body
	}
	return bytes.ReplaceAll(body, token, []byte(s.token.String()))
}

func compress(payload []byte) []byte {
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	var out bytes.Buffer
	out.Grow(len(payload)/6 + 512)
	w.Reset(&out)
	// Neither can fail: they write to memory.
	_, _ = w.Write(payload)
	_ = w.Close()
	return out.Bytes()
}

// probe finds out whether HEC can read an event at all, after it refused one
// with a. A blank event is as small as one can be and never stored.
func (s *Sink) probe(ctx context.Context, ch *channel, a answer) error {
	p, err := s.send(ctx, ch, []byte(`{"event":""}`), 1)
	switch {
	case err != nil:
		return err
	case p.verdict == failed:
		return p.fail
	case p.code == codeInvalidFormat:
		return intel.Fail(intel.FailProtocol, "splunk can not read any request: %s", a.detail()).
			WithHint("a proxy on the way may alter requests; try gzip = false")
	}
	return nil
}
