// Package metrics defines what the forwarder counts for Prometheus. Every name
// begins with taxii_forwarder_.
//
// Labels are feed, collection and sink names from the configuration and words
// out of closed lists; never a STIX id, a URL or an error text. Where a word
// comes from a sink's own list, the number of distinct words is capped, so that
// a destination can not grow the exposition without bound.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"taxii-forwarder/forwarder/intel"
)

// The results of a poll, for [Metrics.PollDone].
const (
	PollOK       = "ok"       // read to its end
	PollError    = "error"    // ended by a failure
	PollCanceled = "canceled" // ended by a stop or a reload
)

// Metrics holds every collector. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	polls         *prometheus.CounterVec
	pollDuration  *prometheus.HistogramVec
	pollSuccess   *prometheus.GaugeVec
	checkpoint    *prometheus.GaugeVec
	received      *prometheus.CounterVec
	broken        *prometheus.CounterVec
	applied       *prometheus.CounterVec
	feedFailures  *prometheus.CounterVec
	feedUp        *prometheus.GaugeVec
	delivered     *prometheus.CounterVec
	skipped       *prometheus.CounterVec
	rejected      *prometheus.CounterVec
	sinkFailures  *prometheus.CounterVec
	sinkUp        *prometheus.GaugeVec
	sinkSuccess   *prometheus.GaugeVec
	pending       *prometheus.GaugeVec
	deadLetters   *prometheus.GaugeVec
	batchSize     *prometheus.HistogramVec
	batchDuration *prometheus.HistogramVec
	reloadOK      prometheus.Gauge
	reloadTime    prometheus.Gauge
	stateBytes    prometheus.Gauge
	buildInfo     *prometheus.GaugeVec

	words words
}

const namespace = "taxii_forwarder"

// New returns Metrics in a registry of their own, beside the Go runtime's and
// the process's.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	collection := []string{"feed", "collection"}
	route := []string{"feed", "sink"}
	with := func(labels []string, more ...string) []string {
		return append(append([]string(nil), labels...), more...)
	}
	counter := func(name, help string, labels []string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels []string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels []string, buckets []float64) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	single := func(name, help string) prometheus.Gauge {
		v := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
		m.registry.MustRegister(v)
		return v
	}

	m.polls = counter("poll_total", "Polls of a collection by result: ok, error or canceled.", with(collection, "result"))
	m.pollDuration = histogram("poll_duration_seconds", "Duration of a poll of a collection.", collection, prometheus.ExponentialBuckets(0.05, 4, 9))
	m.pollSuccess = gauge("last_success_timestamp_seconds", "When a collection was last read to its end, in Unix seconds.", collection)
	m.checkpoint = gauge("checkpoint_timestamp_seconds", "The added_after position of a collection, in Unix seconds.", collection)
	m.received = counter("objects_received_total", "STIX objects received from a collection.", collection)
	m.broken = counter("objects_broken_total", "Entries received from a collection that were no usable STIX object.", collection)
	m.applied = counter("objects_applied_total", "Received objects by what they were to the replica: new, updated, unchanged or older.", []string{"feed", "result"})
	m.feedFailures = counter("feed_failures_total", "Failures of a feed by kind.", []string{"feed", "kind"})
	m.feedUp = gauge("feed_up", "1 when the last attempt to read the feed succeeded, 0 when it failed.", []string{"feed"})
	m.delivered = counter("sink_sent_total", "Changes that a sink accepted, by action: upsert or withdraw.", with(route, "action"))
	m.skipped = counter("sink_skipped_total", "Changes that a sink can not hold, by reason.", with(route, "reason"))
	m.rejected = counter("sink_rejected_total", "Changes that a destination refused for good, by reason.", with(route, "reason"))
	m.sinkFailures = counter("sink_failures_total", "Failures of a destination as a whole, by kind.", with(route, "kind"))
	m.sinkUp = gauge("sink_up", "1 when the last attempt to deliver succeeded, 0 when it failed.", route)
	m.sinkSuccess = gauge("sink_last_success_timestamp_seconds", "When a destination last accepted a batch, in Unix seconds.", route)
	m.pending = gauge("sink_queue_items", "Changes that wait to be delivered.", route)
	m.deadLetters = gauge("dead_letter_items", "Dead letters held.", route)
	m.batchSize = histogram("batch_size", "Changes in a batch that a destination answered.", route, prometheus.ExponentialBuckets(1, 4, 8))
	m.batchDuration = histogram("batch_duration_seconds", "Time a destination took for a batch.", route, prometheus.ExponentialBuckets(0.005, 4, 9))
	m.reloadOK = single("config_last_reload_successful", "1 when the last load of the configuration succeeded, 0 when it was refused.")
	m.reloadTime = single("config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded, in Unix seconds.")
	m.stateBytes = single("state_bytes", "Size of the state database on disk.")
	m.buildInfo = gauge("build_info", "Always 1; labelled with the build.", []string{"version", "commit", "goversion"})

	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry returns what /metrics exposes.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// PollDone counts one poll of a collection: its result ([PollOK] and so on),
// the objects it received and how long it took.
func (m *Metrics) PollDone(feed, collection, result string, objects int, took time.Duration) {
	m.polls.WithLabelValues(feed, collection, result).Inc()
	m.received.WithLabelValues(feed, collection).Add(float64(objects))
	m.pollDuration.WithLabelValues(feed, collection).Observe(took.Seconds())
	if result == PollOK {
		m.pollSuccess.WithLabelValues(feed, collection).SetToCurrentTime()
		m.feedUp.WithLabelValues(feed).Set(1)
	}
}

// Checkpoint records the added_after position of a collection.
func (m *Metrics) Checkpoint(feed, collection string, at time.Time) {
	if at.IsZero() {
		return
	}
	m.checkpoint.WithLabelValues(feed, collection).Set(float64(at.UnixMicro()) / 1e6)
}

// Applied counts what a page's objects were to the replica.
func (m *Metrics) Applied(feed string, added, updated, unchanged, older int) {
	for _, r := range []struct {
		result string
		n      int
	}{{"new", added}, {"updated", updated}, {"unchanged", unchanged}, {"older", older}} {
		m.applied.WithLabelValues(feed, r.result).Add(float64(r.n))
	}
}

// Broken counts entries of a collection that were no usable STIX object.
func (m *Metrics) Broken(feed, collection string, n int) {
	m.broken.WithLabelValues(feed, collection).Add(float64(n))
}

// FeedFailure counts a failure of a feed.
func (m *Metrics) FeedFailure(feed string, kind intel.FailureKind) {
	m.feedFailures.WithLabelValues(feed, string(kind)).Inc()
	m.feedUp.WithLabelValues(feed).Set(0)
}

// Delivered counts n changes that a sink accepted.
func (m *Metrics) Delivered(feed, sink string, action intel.Action, n int) {
	m.delivered.WithLabelValues(feed, sink, action.String()).Add(float64(n))
}

// Skipped counts n changes that a sink can not hold.
func (m *Metrics) Skipped(feed, sink, reason string, n int) {
	m.skipped.WithLabelValues(feed, sink, m.words.bound(reason)).Add(float64(n))
}

// Rejected counts n changes that a destination refused for good.
func (m *Metrics) Rejected(feed, sink, reason string, n int) {
	m.rejected.WithLabelValues(feed, sink, m.words.bound(reason)).Add(float64(n))
}

// SinkFailure counts a failure of a destination as a whole.
func (m *Metrics) SinkFailure(feed, sink string, kind intel.FailureKind) {
	m.sinkFailures.WithLabelValues(feed, sink, string(kind)).Inc()
	m.sinkUp.WithLabelValues(feed, sink).Set(0)
}

// SinkIdle records that what a destination failed at is no longer to be done.
func (m *Metrics) SinkIdle(feed, sink string) {
	m.sinkUp.WithLabelValues(feed, sink).Set(1)
}

// Batch counts a batch that a destination answered without failing.
func (m *Metrics) Batch(feed, sink string, size int, took time.Duration) {
	m.batchSize.WithLabelValues(feed, sink).Observe(float64(size))
	m.batchDuration.WithLabelValues(feed, sink).Observe(took.Seconds())
	m.sinkSuccess.WithLabelValues(feed, sink).SetToCurrentTime()
	m.sinkUp.WithLabelValues(feed, sink).Set(1)
}

// Pending records how many changes wait for a sink.
func (m *Metrics) Pending(feed, sink string, n int64) {
	m.pending.WithLabelValues(feed, sink).Set(float64(n))
}

// DeadLetters records how many dead letters a route has.
func (m *Metrics) DeadLetters(feed, sink string, n int64) {
	m.deadLetters.WithLabelValues(feed, sink).Set(float64(n))
}

// Reload records the outcome of loading the configuration, the first load
// included.
func (m *Metrics) Reload(ok bool) {
	if !ok {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.SetToCurrentTime()
}

// StateBytes records the size of the state database.
func (m *Metrics) StateBytes(n int64) { m.stateBytes.Set(float64(n)) }

// BuildInfo records which build is running.
func (m *Metrics) BuildInfo(version, commit string) {
	m.buildInfo.Reset()
	m.buildInfo.WithLabelValues(version, commit, runtime.Version()).Set(1)
}
