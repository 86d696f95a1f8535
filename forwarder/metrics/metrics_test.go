package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"taxii-forwarder/forwarder/intel"
)

// fill calls every method once.
func fill(m *Metrics) {
	m.PollDone("osint", "c1", PollOK, 3, 2*time.Second)
	m.PollDone("osint", "c1", PollError, 1, time.Second)
	m.Checkpoint("osint", "c1", time.Unix(1700000000, 500_000_000))
	m.Checkpoint("osint", "c2", time.Time{})
	m.Broken("osint", "c1", 2)
	m.Applied("osint", 1, 2, 3, 4)
	m.FeedFailure("osint", intel.FailAuth)
	m.Delivered("osint", "soc", intel.Upsert, 5)
	m.Delivered("osint", "soc", intel.Withdraw, 1)
	m.Skipped("osint", "soc", "pattern_type", 2)
	m.Rejected("osint", "soc", "", 1)
	m.Batch("osint", "soc", 6, 30*time.Millisecond)
	m.SinkFailure("osint", "soc", intel.FailThrottled)
	m.Pending("osint", "soc", 7)
	m.DeadLetters("osint", "soc", 1)
	m.Reload(true)
	m.StateBytes(4096)
	m.BuildInfo("1.2.3", "abc")
}

func TestExposition(t *testing.T) {
	m := New()
	fill(m)
	const want = `
# HELP taxii_forwarder_checkpoint_timestamp_seconds The added_after position of a collection, in Unix seconds.
# TYPE taxii_forwarder_checkpoint_timestamp_seconds gauge
taxii_forwarder_checkpoint_timestamp_seconds{collection="c1",feed="osint"} 1.7000000005e+09
# HELP taxii_forwarder_config_last_reload_successful 1 when the last load of the configuration succeeded, 0 when it was refused.
# TYPE taxii_forwarder_config_last_reload_successful gauge
taxii_forwarder_config_last_reload_successful 1
# HELP taxii_forwarder_dead_letter_items Dead letters held.
# TYPE taxii_forwarder_dead_letter_items gauge
taxii_forwarder_dead_letter_items{feed="osint",sink="soc"} 1
# HELP taxii_forwarder_feed_failures_total Failures of a feed by kind.
# TYPE taxii_forwarder_feed_failures_total counter
taxii_forwarder_feed_failures_total{feed="osint",kind="auth"} 1
# HELP taxii_forwarder_feed_up 1 when the last attempt to read the feed succeeded, 0 when it failed.
# TYPE taxii_forwarder_feed_up gauge
taxii_forwarder_feed_up{feed="osint"} 0
# HELP taxii_forwarder_objects_applied_total Received objects by what they were to the replica: new, updated, unchanged or older.
# TYPE taxii_forwarder_objects_applied_total counter
taxii_forwarder_objects_applied_total{feed="osint",result="new"} 1
taxii_forwarder_objects_applied_total{feed="osint",result="older"} 4
taxii_forwarder_objects_applied_total{feed="osint",result="unchanged"} 3
taxii_forwarder_objects_applied_total{feed="osint",result="updated"} 2
# HELP taxii_forwarder_objects_broken_total Entries received from a collection that were no usable STIX object.
# TYPE taxii_forwarder_objects_broken_total counter
taxii_forwarder_objects_broken_total{collection="c1",feed="osint"} 2
# HELP taxii_forwarder_objects_received_total STIX objects received from a collection.
# TYPE taxii_forwarder_objects_received_total counter
taxii_forwarder_objects_received_total{collection="c1",feed="osint"} 4
# HELP taxii_forwarder_poll_total Polls of a collection by result: ok, error or canceled.
# TYPE taxii_forwarder_poll_total counter
taxii_forwarder_poll_total{collection="c1",feed="osint",result="error"} 1
taxii_forwarder_poll_total{collection="c1",feed="osint",result="ok"} 1
# HELP taxii_forwarder_sink_failures_total Failures of a destination as a whole, by kind.
# TYPE taxii_forwarder_sink_failures_total counter
taxii_forwarder_sink_failures_total{feed="osint",kind="throttled",sink="soc"} 1
# HELP taxii_forwarder_sink_queue_items Changes that wait to be delivered.
# TYPE taxii_forwarder_sink_queue_items gauge
taxii_forwarder_sink_queue_items{feed="osint",sink="soc"} 7
# HELP taxii_forwarder_sink_rejected_total Changes that a destination refused for good, by reason.
# TYPE taxii_forwarder_sink_rejected_total counter
taxii_forwarder_sink_rejected_total{feed="osint",reason="unspecified",sink="soc"} 1
# HELP taxii_forwarder_sink_sent_total Changes that a sink accepted, by action: upsert or withdraw.
# TYPE taxii_forwarder_sink_sent_total counter
taxii_forwarder_sink_sent_total{action="upsert",feed="osint",sink="soc"} 5
taxii_forwarder_sink_sent_total{action="withdraw",feed="osint",sink="soc"} 1
# HELP taxii_forwarder_sink_skipped_total Changes that a sink can not hold, by reason.
# TYPE taxii_forwarder_sink_skipped_total counter
taxii_forwarder_sink_skipped_total{feed="osint",reason="pattern_type",sink="soc"} 2
# HELP taxii_forwarder_sink_up 1 when the last attempt to deliver succeeded, 0 when it failed.
# TYPE taxii_forwarder_sink_up gauge
taxii_forwarder_sink_up{feed="osint",sink="soc"} 0
# HELP taxii_forwarder_state_bytes Size of the state database on disk.
# TYPE taxii_forwarder_state_bytes gauge
taxii_forwarder_state_bytes 4096
`
	var names []string
	for line := range strings.Lines(want) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "TYPE" {
			names = append(names, f[2])
		}
	}
	if err := testutil.GatherAndCompare(m.Registry(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(m.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, namespace) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestUpRecovers: a success after a failure clears the failing gauges.
func TestUpRecovers(t *testing.T) {
	m := New()
	m.FeedFailure("f", intel.FailServer)
	m.SinkFailure("f", "s", intel.FailServer)
	m.Reload(false)
	m.PollDone("f", "c", PollCanceled, 0, time.Second)
	if got := testutil.ToFloat64(m.feedUp.WithLabelValues("f")); got != 0 {
		t.Errorf("feed_up after a canceled poll = %v; want 0", got)
	}
	m.PollDone("f", "c", PollOK, 0, time.Second)
	m.Batch("f", "s", 1, time.Second)
	if got := testutil.ToFloat64(m.feedUp.WithLabelValues("f")); got != 1 {
		t.Errorf("feed_up after a good poll = %v; want 1", got)
	}
	if got := testutil.ToFloat64(m.sinkUp.WithLabelValues("f", "s")); got != 1 {
		t.Errorf("sink_up after a good batch = %v; want 1", got)
	}
	if got := testutil.ToFloat64(m.reloadOK); got != 0 {
		t.Errorf("config_last_reload_successful = %v; want 0", got)
	}
}

func TestForget(t *testing.T) {
	m := New()
	fill(m)
	m.Pending("osint", "other", 1)
	m.Pending("second", "soc", 1)

	m.ForgetRoute("osint", "soc")
	if n := testutil.CollectAndCount(m.pending); n != 2 {
		t.Errorf("%d queue series after ForgetRoute; want those of the two other routes", n)
	}
	if n := testutil.CollectAndCount(m.polls); n == 0 {
		t.Error("ForgetRoute dropped the feed's polls")
	}
	m.ForgetCollection("osint", "c1")
	if n := testutil.CollectAndCount(m.polls); n != 0 {
		t.Errorf("%d poll series after ForgetCollection", n)
	}
	m.ForgetFeed("osint")
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "feed" && l.GetValue() == "osint" {
					t.Errorf("%s still has a series of the forgotten feed", f.GetName())
				}
			}
		}
	}
}

// TestReasonsBounded: a destination that invents a reason per object does not
// grow the exposition without bound.
func TestReasonsBounded(t *testing.T) {
	m := New()
	for i := range 5 * maxWords {
		m.Rejected("f", "s", fmt.Sprintf("reason_%d", i), 1)
	}
	m.Rejected("f", "s", strings.Repeat("x", 1000), 1)
	if n := testutil.CollectAndCount(m.rejected); n > maxWords+1 {
		t.Errorf("%d series; want at most %d", n, maxWords+1)
	}
	if got := testutil.ToFloat64(m.rejected.WithLabelValues("f", "s", "other")); got != 4*maxWords+1 {
		t.Errorf("other = %v; want %d", got, 4*maxWords+1)
	}
}
