package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// ForgetFeed drops every series of a feed that left the configuration, its
// routes' included, so that no alert stays on for it.
func (m *Metrics) ForgetFeed(feed string) {
	m.forget(prometheus.Labels{"feed": feed})
}

// ForgetRoute drops every series of a route that left the configuration.
func (m *Metrics) ForgetRoute(feed, sink string) {
	m.forget(prometheus.Labels{"feed": feed, "sink": sink})
}

// ForgetCollection drops every series of a collection that is followed no more.
func (m *Metrics) ForgetCollection(feed, collection string) {
	m.forget(prometheus.Labels{"feed": feed, "collection": collection})
}

// forget deletes the series that carry all of labels; a collector without one
// of the label names has none.
func (m *Metrics) forget(labels prometheus.Labels) {
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{
		m.polls, m.pollDuration, m.pollSuccess, m.checkpoint, m.received, m.broken, m.applied,
		m.feedFailures, m.feedUp, m.delivered, m.skipped, m.rejected, m.sinkFailures, m.sinkUp,
		m.sinkSuccess, m.pending, m.deadLetters, m.batchSize, m.batchDuration,
	} {
		v.DeletePartialMatch(labels)
	}
}

// maxWords is far more than all sinks' reasons together.
const maxWords = 200

// words bounds the number of distinct label values that come from outside our
// own closed lists.
type words struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// bound returns word, or "other" for a word beyond the first maxWords or longer
// than a label should be.
func (w *words) bound(word string) string {
	if word == "" {
		return "unspecified"
	}
	if len(word) > 64 {
		return "other"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.seen[word]; ok {
		return word
	}
	if len(w.seen) >= maxWords {
		return "other"
	}
	if w.seen == nil {
		w.seen = make(map[string]struct{})
	}
	w.seen[word] = struct{}{}
	return word
}
