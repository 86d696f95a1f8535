package forwarder

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/status"
)

// health remembers whether one loop's last attempt succeeded, for the status,
// and logs a failure once rather than at every attempt: once for each kind
// between two successes, as the texts of one trouble differ with the request
// that meets it.
type health struct {
	mu          sync.Mutex
	failure     *intel.Failure
	text        string
	said        []intel.FailureKind // logged since the last success
	since       time.Time
	retryAt     time.Time
	lastAttempt time.Time
	lastSuccess time.Time
}

// fail records a failed attempt that is repeated at retryAt.
func (h *health) fail(log hclog.Logger, what string, err error, now, retryAt time.Time) {
	f := intel.AsFailure(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	text := err.Error()
	if h.failure == nil {
		h.since = now
	}
	known := slices.Contains(h.said, f.Kind)
	h.failure, h.text, h.retryAt, h.lastAttempt = f, text, retryAt, now
	args := []any{"error", text, "kind", string(f.Kind), "retry_in", retryAt.Sub(now).Round(time.Second).String()}
	if known {
		log.Debug(what+" still failing", args...)
		return
	}
	if !known {
		h.said = append(h.said, f.Kind)
	}
	log.Error(what+" failing", args...)
}

// ok records a successful attempt.
func (h *health) ok(log hclog.Logger, what string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != nil {
		log.Info(what+" works again", "failed_for", now.Sub(h.since).Round(time.Second).String())
	}
	h.failure, h.text, h.said = nil, "", nil
	h.since, h.retryAt = time.Time{}, time.Time{}
	h.lastAttempt, h.lastSuccess = now, now
}

// resume takes over a success from before a reload.
func (h *health) resume(last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastAttempt, h.lastSuccess = last, last
}

// idle records that there is nothing left to attempt: what failed has been
// settled in another way. It reports whether anything had failed.
func (h *health) idle(log hclog.Logger, what string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure == nil {
		return false
	}
	log.Info(what+" has nothing left to do", "failed_for", now.Sub(h.since).Round(time.Second).String())
	h.failure, h.text, h.said = nil, "", nil
	h.since, h.retryAt = time.Time{}, time.Time{}
	return true
}

// failing reports whether the last attempt failed.
func (h *health) failing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure != nil
}

// state returns the health in the status's words.
func (h *health) state() (status.State, status.Failure, time.Time, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.failure != nil:
		return status.StateFailing, status.Failure{
			Error: h.text, FailureKind: h.failure.Kind, FailingSince: h.since.UTC(), RetryAt: h.retryAt.UTC(),
		}, h.lastAttempt, h.lastSuccess
	case h.lastSuccess.IsZero():
		return status.StateStarting, status.Failure{}, h.lastAttempt, h.lastSuccess
	}
	return status.StateOK, status.Failure{}, h.lastAttempt, h.lastSuccess
}
