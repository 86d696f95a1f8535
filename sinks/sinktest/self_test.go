package sinktest_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

// TestSuite: the suite accepts a sink without faults, and refuses one with any
// of these.
func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the suite seventeen times")
	}
	for _, bug := range []string{
		"", "loses", "ignores remove", "ignores withdraw", "ignores versions", "swaps outcomes", "gives up", "short",
		"no failure", "leaks", "leaks in the log", "ignores context", "retains", "hides poison", "poisons neighbours", "lies", "mutates",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestSubject$")
			cmd.Env = append(os.Environ(), "SINKTEST_SUBJECT=1", "SINKTEST_BUG="+bug)
			out, err := cmd.CombinedOutput()
			if (err != nil) != (bug != "") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestSubject(t *testing.T) {
	if os.Getenv("SINKTEST_SUBJECT") == "" {
		t.Skip("only for TestSuite")
	}
	sinktest.Run(t, sinktest.Harness{
		New: func(testing.TB) sinktest.Destination {
			return &memory{bug: os.Getenv("SINKTEST_BUG"), held: sinktest.Contents{}}
		},
		Secrets: []string{canary},
	})
}

const canary = "canary-5ec4e7"

// memory is a destination in memory and its sink.
type memory struct {
	bug string
	o   intel.SinkOptions

	mu       sync.Mutex
	held     sinktest.Contents
	fault    sinktest.Fault
	poison   map[string]bool
	retained []intel.Change
	calls    int
}

func (m *memory) Open(o intel.SinkOptions, _ time.Duration) (intel.Sink, error) {
	m.o = o
	return memorySink{m}, nil
}

func (m *memory) Contents() (sinktest.Contents, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := sinktest.Contents{}
	for k, v := range m.held {
		all[k] = v
	}
	for _, c := range m.retained { // sends late what it should have sent at once
		m.take(&c, all)
	}
	return all, nil
}

func (m *memory) Inject(f sinktest.Fault) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
	return f == sinktest.Refuse || f == sinktest.CutAfterAccept || f == sinktest.Hang
}

func (m *memory) Heal() { m.Inject("") }

func (m *memory) Poison(ids ...string) bool {
	m.poison = map[string]bool{}
	for _, id := range ids {
		m.poison[id] = true
	}
	return true
}

// take applies a change to what is held.
func (m *memory) take(c *intel.Change, held sinktest.Contents) {
	ind := c.Indicator
	if m.bug != "ignores remove" {
		for _, r := range c.Remove {
			delete(held, sinktest.Held{Feed: ind.Feed, ID: ind.ID, Ref: r})
		}
	}
	if c.Action == intel.Withdraw {
		return
	}
	for _, r := range sinktest.Refs(ind) {
		k := sinktest.Held{Feed: ind.Feed, ID: ind.ID, Ref: r}
		if _, ok := held[k]; !ok || m.bug != "ignores versions" {
			held[k] = max(ind.Version(), 1)
			if ind.Version() == 0 {
				held[k] = 0
			}
		}
	}
}

// memorySink is the sink, whose Close is not the destination's.
type memorySink struct{ *memory }

func (memorySink) Close() error { return nil }

func (m *memory) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	m.mu.Lock()
	fault := m.fault
	m.mu.Unlock()
	if fault == sinktest.Hang && m.bug != "ignores context" {
		timer := time.NewTimer(300 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		return nil, intel.Fail(intel.FailTimeout, "no answer")
	}
	if ctx.Err() != nil && m.bug != "ignores context" {
		return nil, intel.Fail(intel.FailTimeout, "stopped: %w", ctx.Err())
	}
	outcomes := make([]intel.Outcome, len(batch))
	if fault == sinktest.Refuse {
		switch m.bug {
		case "gives up":
			for i := range outcomes {
				outcomes[i] = intel.Outcome{Status: intel.Rejected, Reason: "refused", Detail: "x", Sent: []byte("x")}
			}
			return outcomes, nil
		case "lies":
			for i := range outcomes {
				outcomes[i].Status = intel.Delivered
			}
			return outcomes, nil
		case "no failure":
			return nil, context.DeadlineExceeded
		case "leaks":
			return nil, intel.Fail(intel.FailUnreachable, "connection refused for "+canary)
		}
		return nil, intel.Fail(intel.FailUnreachable, "connection refused")
	}
	if m.bug == "leaks in the log" {
		m.o.Logger.Trace("deliver", "token", canary)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	for i := range batch {
		c := &batch[i]
		switch {
		case m.poison[c.Indicator.ID] && m.bug != "hides poison":
			outcomes[i] = intel.Outcome{Status: intel.Rejected, Reason: "poison", Detail: "bad", Sent: []byte("{}")}
			if m.bug == "poisons neighbours" && i > 0 {
				outcomes[i-1] = outcomes[i]
			}
			continue
		case m.poison[c.Indicator.ID]:
			outcomes[i].Status = intel.Delivered
			continue
		case c.Action == intel.Upsert && len(c.Indicator.Observables) == 0:
			outcomes[i] = intel.Outcome{Status: intel.Skipped, Reason: "no_observable"}
			continue
		}
		outcomes[i].Status = intel.Delivered
		if m.bug == "loses" && i == len(batch)-1 && i > 5 || m.bug == "ignores withdraw" && c.Action == intel.Withdraw {
			continue
		}
		if m.bug == "retains" {
			m.retained = append(m.retained, *c)
			continue
		}
		m.take(c, m.held)
	}
	switch {
	case m.bug == "mutates" && len(batch) > 0:
		batch[0].Indicator.Labels = nil
	case m.bug == "short" && len(outcomes) > 3:
		outcomes = outcomes[:len(outcomes)-1]
	case m.bug == "swaps outcomes":
		for i, j := 0, len(outcomes)-1; i < j; i, j = i+1, j-1 {
			outcomes[i], outcomes[j] = outcomes[j], outcomes[i]
		}
	}
	if fault == sinktest.CutAfterAccept {
		return nil, intel.Fail(intel.FailUnreachable, "connection reset")
	}
	return outcomes, nil
}

func (m *memory) Check(ctx context.Context) error {
	_, err := m.Deliver(ctx, nil)
	return err
}

func (m *memory) Close() {}
