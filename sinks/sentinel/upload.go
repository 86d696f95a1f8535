package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// Limits of a request. The API documents the first; no limit on bytes is
// documented, and this one is far above what 100 ordinary objects have.
const (
	maxObjects      = 100
	maxRequestBytes = 4 << 20
	maxAnswerBytes  = 8 << 20
)

// refusal is the error of a request that was refused as a whole for what is in
// it: a 400 or 413.
type refusal struct {
	status int
	text   string
	answer answer
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

// reason is the outcome's reason when one object alone is refused.
func (r *refusal) reason() string {
	if r.status == http.StatusRequestEntityTooLarge {
		return "too_large"
	}
	return "bad_request"
}

// upload posts one request of n objects, waiting for its turn. It returns the
// refused objects by index; a *refusal when the request was refused for its
// content; else an *intel.Failure, and what became of the objects is unknown.
func (s *Sink) upload(ctx context.Context, body []byte, n int) (map[int]string, error) {
	status, header, data, err := s.post(ctx, body)
	if err != nil {
		return nil, err
	}
	switch status {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		a, err := parseAnswer(data)
		if err != nil {
			return nil, intel.Fail(intel.FailProtocol, "upload to sentinel: the answer %d is not the API's: %s", status, transport.Snippet(data)).
				WithHint("does a proxy answer in Sentinel's place?")
		}
		refused, err := a.refused(n)
		if err != nil {
			return nil, intel.Fail(intel.FailProtocol, "upload to sentinel: the answer names objects that were not sent: %w", err)
		}
		return refused, nil
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		a, err := parseAnswer(data)
		r := &refusal{status: status, answer: a, text: a.text()}
		if err != nil || r.text == "" {
			r.text = or(transport.Snippet(data), http.StatusText(status))
		}
		if code := or(a.Error.Code, header.Get("x-ms-error-code")); strings.Contains(strings.ToLower(code), "apiversion") {
			// Not wrapped: the objects are not to blame.
			return nil, intel.Fail(intel.FailConfig, "upload to sentinel: %s", r.Error()).WithHint("check api_version")
		}
		return nil, r
	}
	return nil, s.statusFailure(status, header, data)
}

// post makes one exchange. A refused token is tried again once with a new
// login, because the token may have been revoked before it expired.
func (s *Sink) post(ctx context.Context, body []byte) (int, http.Header, []byte, error) {
	for attempt := 1; ; attempt++ {
		if err := s.pace.wait(ctx); err != nil {
			return 0, nil, nil, fmt.Errorf("upload to sentinel: %w", err)
		}
		login, err := s.sessions.get()
		if err != nil {
			return 0, nil, nil, err
		}
		status, header, data, err := s.exchange(ctx, login, body)
		if err != nil {
			return 0, nil, nil, err
		}
		if status == http.StatusUnauthorized {
			s.sessions.drop(login)
			if attempt == 1 {
				continue
			}
		}
		return status, header, data, nil
	}
}

func (s *Sink) exchange(ctx context.Context, login *session, body []byte) (int, http.Header, []byte, error) {
	n := &note{}
	ctx = context.WithValue(ctx, noteKey{}, n)
	req, err := runtime.NewRequest(ctx, http.MethodPost, s.url)
	if err != nil {
		return 0, nil, nil, &intel.Failure{Kind: intel.FailConfig, Err: err}
	}
	if err := req.SetBody(streaming.NopCloser(bytes.NewReader(body)), "application/json"); err != nil {
		return 0, nil, nil, &intel.Failure{Kind: intel.FailLocal, Err: err}
	}
	req.Raw().Header.Set("Accept", "application/json")
	runtime.SkipBodyDownload(req)
	resp, err := login.pipeline.Do(req)
	if err != nil {
		return 0, nil, nil, login.loginFailure(ctx, err, n)
	}
	defer resp.Body.Close()
	data, err := transport.ReadLimited(resp.Body, maxAnswerBytes)
	if err != nil {
		var f *intel.Failure
		if !errors.As(err, &f) {
			f = &intel.Failure{Kind: intel.FailUnreachable, Err: err}
		}
		return 0, nil, nil, fmt.Errorf("read the answer to an upload: %w", f)
	}
	token, _ := n.get()
	return resp.StatusCode, resp.Header, login.redact(data, token), nil
}

// statusFailure explains an answer that is neither success nor refusal.
func (s *Sink) statusFailure(status int, header http.Header, data []byte) *intel.Failure {
	f := transport.StatusFailure(&http.Response{StatusCode: status, Header: header}, nil)
	what := fmt.Sprintf("status %d %s", status, http.StatusText(status))
	if a, err := parseAnswer(data); err == nil && a.text() != "" {
		what += ": " + oneLine(a.text())
	} else if text := transport.Snippet(data); text != "" {
		what += ": " + text
	}
	f.Err = fmt.Errorf("upload to sentinel: %s", what)
	switch status {
	case http.StatusUnauthorized:
		f.Hint = "Sentinel does not accept the token; check cloud, scope and tenant_id, and this machine's clock"
	case http.StatusForbidden:
		f.Hint = "give the identity the role Microsoft Sentinel Contributor on the workspace; a new assignment takes some minutes"
	case http.StatusNotFound:
		f.Hint = "is workspace_id the GUID of the workspace (not its name), Sentinel enabled on it, and the cloud right?"
	case http.StatusTooManyRequests:
		f.Kind = intel.FailThrottled
		f.RetryAfter = throttledFor(header, data, time.Now())
		f.Hint = "100 requests a minute are granted to an identity; lower requests_per_minute if others use it too"
		s.pace.hold(f.RetryAfter)
	}
	return f
}
