package forwarder

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/status"
)

// An outbreak is logged once for each kind of failure, however its texts
// differ, and once when it is over; then all begins anew.
func TestHealthLog(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info})
	count := func(what string) int { return strings.Count(out.String(), what) }
	var h health
	for range 2 {
		out.Reset()
		for i := range 6 {
			kind := intel.FailUnreachable
			if i%3 == 2 {
				kind = intel.FailTimeout
			}
			h.fail(log, "delivery", intel.Fail(kind, "stream %d broke", i), testNow, testNow.Add(time.Second))
		}
		if count("[ERROR]") != 2 || count("stream 0") != 1 || count("stream 2") != 1 || !h.failing() {
			t.Errorf("the log of six failures of two kinds is\n%s", &out)
		}
		if _, f, _, _ := h.state(); f.Error != "stream 5 broke" || f.FailureKind != intel.FailTimeout {
			t.Errorf("the status says %+v, want the latest failure", f)
		}
		h.ok(log, "delivery", testNow.Add(time.Minute))
		h.ok(log, "delivery", testNow.Add(time.Minute))
		if count("works again") != 1 || h.failing() {
			t.Errorf("the log afterwards is\n%s", &out)
		}
	}
}

// A destination can fail and yet tell what became of every change. Then there
// is nothing left that an attempt could be made with, and nothing is wrong.
func TestFailureThatLeavesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.close()
	r.within = 10 * time.Millisecond
	r.open(nil)
	r.sink.script(all(intel.Outcome{Status: intel.Delivered}, intel.Fail(intel.FailProtocol, "the answer is odd")))
	for range 20 { // what is to be seen depends on who is first: the reader or the recorder
		n := len(r.versions())
		r.apply(many(n, n+5)...)
		r.until("no failure any more", func() bool {
			s := r.engine.Status(t.Context()).Routes[0]
			return len(r.versions()) == n+5 && r.settled() && s.State == status.StateOK && s.Error == ""
		})
	}
}
