package elasticsearch

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// The prebuilt rules and Kibana's default look at documents whose @timestamp is
// within 30 days. What is older than refreshAge is touched, once a day: a
// server that can not be reached for a week still does not let a rule go blind.
const (
	refreshAge      = 20 * 24 * time.Hour
	refreshInterval = 24 * time.Hour
	refreshRound    = 10_000 // documents in one request, which should take seconds
	refreshIdle     = 8      // rounds without progress before giving up
)

// RefreshInterval is how often [Sink.Refresh] wants to be called.
func (s *Sink) RefreshInterval() time.Duration { return refreshInterval }

// Refresh sets @timestamp to now in every document that is about to leave the
// rules' window, and returns how many those were. It goes by
// _update_by_query, which adds 1 to a document's version; [version] leaves room
// for that. A document that a delivery writes at the same time is left to the
// delivery.
func (s *Sink) Refresh(ctx context.Context) (int64, error) {
	if err := s.prepare(ctx); err != nil {
		return 0, s.fail("prepare", err)
	}
	n, err := s.refresh(ctx)
	if err != nil {
		return n, s.fail("refresh", err)
	}
	return n, nil
}

func (s *Sink) refresh(ctx context.Context) (total int64, err error) {
	now := s.now()
	body := refreshBody(now)
	for idle := 0; ; {
		updated, conflicts, done, err := s.refreshRound(ctx, body)
		total += updated
		if err != nil || done {
			return total, err
		}
		if updated > 0 {
			idle = 0
		} else if idle++; idle >= refreshIdle {
			// Documents that others keep writing to; they are fresh.
			s.log.Debug("refresh left documents in conflict", "conflicts", conflicts)
			return total, nil
		}
		if conflicts > 0 {
			// The search still saw what the last round wrote: it becomes visible when the
			// index is refreshed, by default every second. Forcing that would take another
			// privilege.
			if err := s.pause(ctx, 2*time.Second); err != nil {
				return total, err
			}
		}
	}
}

// refreshBody is the request: our documents, older than refreshAge, and not
// past their end of validity, which a withdrawal is under way for.
func refreshBody(now time.Time) []byte {
	const format = "2006-01-02T15:04:05.000Z"
	return encode(object{
		"query": object{"bool": object{
			"filter": []object{
				{"term": object{"event.module": module}},
				{"range": object{"@timestamp": object{"lt": now.Add(-refreshAge).UTC().Format(format)}}},
			},
			"must_not": []object{
				{"range": object{"stix.valid_until": object{"lte": now.UTC().Format(format)}}},
			},
		}},
		"script": object{
			"lang":   "painless",
			"source": "ctx._source['@timestamp'] = params.now",
			"params": object{"now": now.UTC().Format(format)},
		},
	})
}

func (s *Sink) refreshRound(ctx context.Context, body []byte) (updated, conflicts int64, done bool, err error) {
	yes, round, scroll := true, refreshRound, 1000
	status, r, err := s.request(ctx, esapi.UpdateByQueryRequest{
		Index:             []string{s.index()},
		Body:              bytes.NewReader(body),
		Conflicts:         "proceed",
		IgnoreUnavailable: &yes,
		MaxDocs:           &round,
		ScrollSize:        &scroll,
		WaitForCompletion: &yes,
	})
	if err != nil {
		return 0, 0, false, err
	}
	var answer struct {
		Updated   int64 `json:"updated"`
		Conflicts int64 `json:"version_conflicts"`
		TimedOut  bool  `json:"timed_out"`
		Failures  []struct {
			Cause  cause `json:"cause"`
			Status int   `json:"status"`
		} `json:"failures"`
	}
	perr := json.Unmarshal(r.body, &answer, lenient)
	switch {
	case perr == nil && len(answer.Failures) > 0:
		f := answer.Failures[0]
		failure := intel.Fail(intel.FailServer, "%s", f.Cause.text())
		if f.Status == http.StatusTooManyRequests {
			failure.Kind = intel.FailThrottled
		}
		return answer.Updated, answer.Conflicts, false, failure
	case status < 200 || status > 299:
		f := s.statusFailure(r, replyError(r.body))
		if status == http.StatusForbidden {
			f.WithHint("the refresh needs the index privileges read and index on %s; without it rules stop to see indicators after 30 days", s.config.Index)
		}
		return 0, 0, false, f
	case perr != nil:
		return 0, 0, false, intel.Fail(intel.FailProtocol, "read the reply of _update_by_query: %w", perr)
	}
	more := answer.Updated >= refreshRound || answer.Conflicts > 0 || answer.TimedOut
	return answer.Updated, answer.Conflicts, !more, nil
}
