package sentinel

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sentinel/sentineltest"
)

// TestFaults: whatever the destination does, nothing is given up; once it
// heals, everything arrives, and what was accepted unseen is repeated under
// the same id.
func TestFaults(t *testing.T) {
	type fault = sentineltest.Fault
	for _, tt := range []struct {
		name    string
		fault   fault
		refuse  bool
		kind    intel.FailureKind
		wait    time.Duration // RetryAfter
		hint    string
		repeats int
	}{
		{name: "refuse", refuse: true, kind: intel.FailUnreachable},
		{name: "hang", fault: fault{Kind: sentineltest.Hang}, kind: intel.FailTimeout},
		{name: "hang after accepting", fault: fault{Kind: sentineltest.HangAfter}, kind: intel.FailTimeout, repeats: 5},
		{name: "cut before", fault: fault{Kind: sentineltest.CutBefore}, kind: intel.FailUnreachable},
		{name: "cut after accepting", fault: fault{Kind: sentineltest.CutAfter}, kind: intel.FailUnreachable, repeats: 5},
		{name: "web page", fault: fault{Kind: sentineltest.HTML}, kind: intel.FailProtocol, hint: "proxy"},
		{name: "half an answer", fault: fault{Kind: sentineltest.Garbage}, kind: intel.FailProtocol, repeats: 5},
		{name: "index out of range", fault: fault{Kind: sentineltest.BadIndex}, kind: intel.FailProtocol, repeats: 5},
		{name: "throttle by header", fault: fault{Kind: sentineltest.Throttle, Seconds: 2}, kind: intel.FailThrottled, wait: 2 * time.Second},
		{name: "throttle by header for long", fault: fault{Kind: sentineltest.Throttle, Seconds: 170}, kind: intel.FailThrottled, wait: 170 * time.Second},
		{name: "throttle by text", fault: fault{Kind: sentineltest.ThrottleText, Seconds: 31}, kind: intel.FailThrottled, wait: 31 * time.Second},
		{name: "throttle without a word", fault: fault{Kind: sentineltest.ThrottleBare}, kind: intel.FailThrottled, wait: time.Minute},
		{name: "401", fault: fault{Kind: sentineltest.Status, Code: 401}, kind: intel.FailAuth, hint: "scope"},
		{name: "403", fault: fault{Kind: sentineltest.Status, Code: 403}, kind: intel.FailAuth, hint: "Microsoft Sentinel Contributor"},
		{name: "404", fault: fault{Kind: sentineltest.Status, Code: 404}, kind: intel.FailNotFound, hint: "GUID"},
		{name: "408", fault: fault{Kind: sentineltest.Status, Code: 408}, kind: intel.FailTimeout},
		{name: "415", fault: fault{Kind: sentineltest.Status, Code: 415}, kind: intel.FailProtocol},
		{name: "500", fault: fault{Kind: sentineltest.Status, Code: 500}, kind: intel.FailServer},
		{name: "502", fault: fault{Kind: sentineltest.Status, Code: 502}, kind: intel.FailServer},
		{name: "503", fault: fault{Kind: sentineltest.Status, Code: 503}, kind: intel.FailThrottled},
		{name: "login 500", fault: fault{Kind: sentineltest.Status, Code: 500, Login: true}, kind: intel.FailServer},
		{name: "login 429", fault: fault{Kind: sentineltest.Throttle, Seconds: 9, Login: true}, kind: intel.FailThrottled, wait: 9 * time.Second},
		{name: "login hangs", fault: fault{Kind: sentineltest.Hang, Login: true}, kind: intel.FailTimeout},
		{name: "login cut", fault: fault{Kind: sentineltest.CutBefore, Login: true}, kind: intel.FailUnreachable},
		{name: "login web page", fault: fault{Kind: sentineltest.HTML, Login: true}, kind: intel.FailAuth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t, sentineltest.Options{})
			config := configFor(t, server)
			config.Timeout = "150ms"
			sink := newSink(t, config)
			if tt.refuse {
				server.Refuse()
			} else {
				server.Inject(tt.fault)
			}
			out, err := sink.Deliver(t.Context(), upserts(0, 5))
			var f *intel.Failure
			if !errors.As(err, &f) {
				t.Fatalf("error %v is no failure", err)
			}
			if f.Kind != tt.kind || f.RetryAfter != tt.wait {
				t.Errorf("failure is %s, retry after %s (%v); want %s, %s", f.Kind, f.RetryAfter, f, tt.kind, tt.wait)
			}
			if !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("hint %q does not speak of %q", f.Hint, tt.hint)
			}
			if strings.Contains(err.Error(), sentineltest.ClientSecret) || strings.Contains(err.Error(), "sentineltest-token") {
				t.Errorf("error holds a secret: %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %v", err)
			}
			if got := statuses(out); got != "unknown:5" {
				t.Errorf("outcomes: %s", got)
			}
			if err := server.Heal(); err != nil {
				t.Fatal(err)
			}
			sink.pace.mu.Lock()
			sink.pace.held = time.Time{} // as if the time had passed
			sink.pace.mu.Unlock()
			if got := statuses(deliver(t, sink, upserts(0, 5))); got != "delivered:5" {
				t.Errorf("after healing: %s", got)
			}
			if n := len(server.Active()); n != 5 {
				t.Errorf("server holds %d objects, want 5", n)
			}
			if n := server.Repeats(); n != tt.repeats {
				t.Errorf("%d objects were repeated, want %d", n, tt.repeats)
			}
		})
	}
}

// TestFailureInTheMiddle: what is known of a batch is reported beside the error.
func TestFailureInTheMiddle(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	sink := newSink(t, configFor(t, server))
	server.Inject(sentineltest.Fault{Kind: sentineltest.Slow, Count: 1})
	server.Inject(sentineltest.Fault{Kind: sentineltest.Status, Code: 500})
	out, err := sink.Deliver(t.Context(), upserts(0, 250))
	if err == nil {
		t.Fatal("no error")
	}
	if got := statuses(out); got != "delivered:100 unknown:150" {
		t.Errorf("outcomes: %s", got)
	}
}

func TestThrottledPacerAnswersAtOnce(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	sink := newSink(t, configFor(t, server))
	other := newSink(t, configFor(t, server)) // same identity: another route's sink
	server.Inject(sentineltest.Fault{Kind: sentineltest.ThrottleText, Seconds: 45, Count: 1})
	if _, err := sink.Deliver(t.Context(), upserts(0, 1)); intel.AsFailure(err).RetryAfter != 45*time.Second {
		t.Fatalf("error: %v", err)
	}
	_, err := other.Deliver(t.Context(), upserts(1, 2))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailThrottled || f.RetryAfter <= 40*time.Second {
		t.Errorf("the other sink's failure: %v", err)
	}
	if n := server.Requests(); n != 0 {
		t.Errorf("%d requests reached the objects during the silence", n)
	}
}

// TestRealRateLimit lets the server's own limit answer.
func TestRealRateLimit(t *testing.T) {
	server := newServer(t, sentineltest.Options{RequestsPerMinute: 2})
	sink := newSink(t, configFor(t, server))
	out, err := sink.Deliver(t.Context(), upserts(0, 300))
	f := intel.AsFailure(err)
	if f == nil || f.Kind != intel.FailThrottled || f.RetryAfter < 50*time.Second || f.RetryAfter > 61*time.Second {
		t.Errorf("error: %v", err)
	}
	if got := statuses(out); got != "delivered:200 unknown:100" {
		t.Errorf("outcomes: %s", got)
	}
}

func TestRestart(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	sink := newSink(t, configFor(t, server))
	deliver(t, sink, upserts(0, 3))
	if err := server.Restart(true); err != nil {
		t.Fatal(err)
	}
	// A connection that was cut while idle may be noticed only when it is used.
	offer := func(batch []intel.Change) {
		t.Helper()
		for range 3 {
			if out, err := sink.Deliver(t.Context(), batch); err == nil && statuses(out) == "delivered:3" {
				return
			}
		}
		t.Fatal("the restarted server was not found again")
	}
	offer(upserts(3, 6))
	if n := server.Logins(); n != 1 {
		t.Errorf("%d logins, want 1: the tokens were kept", n)
	}
	if err := server.Restart(false); err != nil {
		t.Fatal(err)
	}
	// The token is unknown now, though its time is not up.
	offer(upserts(6, 9))
	if n := len(server.Active()); n != 9 {
		t.Errorf("%d objects, want 9", n)
	}
	if n := server.Logins(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestCancel(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	server.Inject(sentineltest.Fault{Kind: sentineltest.Hang})
	sink := newSink(t, configFor(t, server))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := sink.Deliver(ctx, upserts(0, 1))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not wrap the cancellation", err)
	}
}

func TestCheck(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	sink := newSink(t, configFor(t, server))
	if err := sink.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if n := len(server.Objects()); n != 0 {
		t.Errorf("Check left %d objects", n)
	}
	for code, hint := range map[int]string{http.StatusForbidden: "Contributor", http.StatusNotFound: "GUID", http.StatusUnauthorized: "token"} {
		server.Inject(sentineltest.Fault{Kind: sentineltest.Status, Code: code})
		err := sink.Check(t.Context())
		if f := intel.AsFailure(err); f == nil || !strings.Contains(f.Hint, hint) {
			t.Errorf("Check with %d: %v", code, err)
		}
		server.Heal()
	}
	config := configFor(t, server)
	config.WorkspaceID = "00000000-0000-4000-8000-000000000000"
	if f := intel.AsFailure(newSink(t, config).Check(t.Context())); f == nil || f.Kind != intel.FailNotFound {
		t.Errorf("Check of an unknown workspace: %v", f)
	}
	config = configFor(t, server)
	config.APIVersion = "2019-01-01"
	if f := intel.AsFailure(newSink(t, config).Check(t.Context())); f == nil || f.Kind != intel.FailConfig || !strings.Contains(f.Hint, "api_version") {
		t.Errorf("Check of an unknown api version: %v", f)
	}
}
