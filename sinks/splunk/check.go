package splunk

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// Check proves that the collector is there, knows the token and has room, and
// with ack = "required" that the token has acknowledgment on. It leaves nothing
// behind: HEC answers a request without any event with "no data", and looks at
// the token first.
//
// That the index exists can not be proven without an event; the log says which
// one it would be.
func (s *Sink) Check(ctx context.Context) error {
	ch := newChannel()
	a, err := s.send(ctx, ch, nil, 0)
	if err != nil {
		return err
	}
	switch {
	case a.verdict == failed:
		return a.fail
	case a.verdict == accepted || a.code == codeNoData:
	default:
		return intel.Fail(intel.FailProtocol, "splunk answered %d to an empty request: %s", a.status, a.detail()).
			WithHint("an HTTP event collector says \"No data\" (code 5); check url, and what stands between")
	}
	if s.ack == AckRequired {
		if err := s.proveAck(ctx); err != nil {
			return err
		}
	}
	if err := s.health(ctx, ch); err != nil {
		return err
	}
	index := s.index
	if index == "" {
		index = "the token's default"
	}
	s.log.Info("splunk accepts the token; that the index exists shows only once an event is in it (see lastChanceIndex in Splunk's indexes.conf)", "index", index)
	return nil
}

// health asks for the collector's own view of itself. It needs no token and
// proves none; an answer that is none of HEC's is no reason to worry, as
// balancers and other receivers leave the page out.
func (s *Sink) health(ctx context.Context, ch *channel) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath("health").String(), nil)
	if err != nil {
		return intel.Fail(intel.FailConfig, "build request to splunk: %w", err)
	}
	ch.prepare(req)
	resp, body, err := s.do(ch, req)
	if err != nil {
		return err
	}
	var r reply
	if json.Unmarshal(body, &r, tolerant) != nil || r.Code == nil {
		return nil
	}
	if a := judge(resp, body, 0, s.index); resp.StatusCode == http.StatusServiceUnavailable {
		if a.fail == nil {
			a.fail = transport.StatusFailure(resp, body)
		}
		return a.fail.WithHint("the token is fine, but splunk takes no events right now: its queues are full or it shuts down")
	}
	return nil
}
