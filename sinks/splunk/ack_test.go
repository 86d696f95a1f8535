package splunk

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/splunk/splunktest"
)

func withAck(mode string) func(*Config) {
	return func(c *Config) {
		c.Ack = mode
		c.Batch = &Batch{MaxEvents: 10}
	}
}

func TestAckModes(t *testing.T) {
	for _, tt := range []struct {
		mode  string
		token bool // has acknowledgment on
		polls bool // is asked
		fails bool
	}{
		{AckAuto, true, true, false},
		{AckAuto, false, false, false},
		{AckRequired, true, true, false},
		{AckRequired, false, true, true},
		{AckOff, true, false, false},
		{AckOff, false, false, false},
	} {
		srv := server(t, splunktest.Options{Ack: tt.token, AckPolls: 3})
		s := open(t, srv, withAck(tt.mode))
		batch := batchOf(0, 45)
		if tt.fails {
			for range 2 {
				_, err := s.Deliver(t.Context(), batch)
				if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailConfig || !strings.Contains(err.Error(), "turn indexer acknowledgment on") {
					t.Errorf("%+v: %v", tt, err)
				}
			}
			if n := srv.Stored(); n != 0 {
				t.Errorf("%+v: %d events sent that could not be acknowledged", tt, n)
			}
			continue
		}
		mustDeliver(t, s, batch)
		wantContent(t, srv, batch, 0)
		if polled := srv.Requests("ack") > 0; polled != tt.polls {
			t.Errorf("%+v: polled %v", tt, polled)
		}
		// Acknowledged means that even a crash of the indexer loses nothing.
		if tt.polls {
			if err := srv.Restart(false); err != nil {
				t.Fatal(err)
			}
			wantContent(t, srv, batch, 0)
		}
	}
}

// TestAckIndexerCrash: the indexer forgets what it accepted and did not
// acknowledge; it is sent again.
func TestAckIndexerCrash(t *testing.T) {
	srv := server(t, splunktest.Options{Ack: true})
	s := open(t, srv, withAck(AckAuto))
	s.times.ackTimeout = 300 * time.Millisecond
	crash := make(chan struct{})
	srv.Inject(splunktest.Fault{Endpoint: "ack", Times: 1, Hang: true, Do: func() { close(crash) }})
	done := make(chan error)
	go func() {
		<-crash
		done <- srv.Restart(false)
	}()
	batch := batchOf(0, 35)
	mustDeliver(t, s, batch)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantContent(t, srv, batch, 0)
}

// TestAckAnswerLost: the acknowledgment was given, but its answer never came,
// and it is given once only. That looks like loss, and costs one repeat.
func TestAckAnswerLost(t *testing.T) {
	srv := server(t, splunktest.Options{Ack: true})
	s := open(t, srv, withAck(AckRequired))
	s.times.ackTimeout = 300 * time.Millisecond
	mustDeliver(t, s, batchOf(1000, 1))
	srv.Inject(splunktest.Fault{Endpoint: "ack", Times: 1, Cut: true, Take: true})
	batch := batchOf(0, 10)
	mustDeliver(t, s, batch)
	wantContent(t, srv, append(batch, batchOf(1000, 1)...), 10)
}

// TestAckNever: ids are handed out but never acknowledged, as behind a balancer
// without sessions. Repeats are bounded: by going on without in auto, and by
// giving the batch back in required.
func TestAckNever(t *testing.T) {
	const n = 25
	t.Run("auto", func(t *testing.T) {
		srv := server(t, splunktest.Options{Ack: true, AckPolls: 1 << 30})
		s := open(t, srv, withAck(AckAuto))
		s.times.ackTimeout = 50 * time.Millisecond
		all := batchOf(0, 3*n)
		_, err := s.Deliver(t.Context(), all[:n])
		if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailTimeout {
			t.Fatalf("%v", err)
		}
		for part := range 3 {
			mustDeliver(t, s, all[part*n:(part+1)*n])
		}
		wantContent(t, srv, all, 2*n)
	})
	t.Run("required", func(t *testing.T) {
		srv := server(t, splunktest.Options{Ack: true, AckPolls: 1 << 30})
		s := open(t, srv, withAck(AckRequired))
		s.times.ackTimeout = 50 * time.Millisecond
		batch := batchOf(0, n)
		out, err := s.Deliver(t.Context(), batch)
		if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailTimeout || !strings.Contains(err.Error(), "sticky") {
			t.Fatalf("%v", err)
		}
		for i := range out {
			if out[i].Status != intel.Unknown {
				t.Errorf("outcome %d: %s without an acknowledgment", i, out[i].Status)
			}
		}
		wantContent(t, srv, batch, n)
	})
}

// TestAckPollFails: the question about acknowledgments fails, for a while or for
// good.
func TestAckPollFails(t *testing.T) {
	for name, tt := range map[string]struct {
		fault splunktest.Fault
		kind  intel.FailureKind // "" = delivered in the end
	}{
		"once":           {splunktest.Fault{Code: 9, Times: 1}, ""},
		"page twice":     {splunktest.Fault{HTML: 502, Times: 2}, ""},
		"odd answer":     {splunktest.Fault{Body: `{"acks":17}`, Times: 1}, ""},
		"token":          {splunktest.Fault{Code: 4}, intel.FailAuth},
		"ack turned off": {splunktest.Fault{Code: 14}, intel.FailConfig},
		"for good":       {splunktest.Fault{Code: 9}, intel.FailThrottled},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server(t, splunktest.Options{Ack: true})
			s := open(t, srv, withAck(AckAuto))
			tt.fault.Endpoint = "ack"
			srv.Inject(tt.fault)
			batch := batchOf(0, 15)
			if tt.kind == "" {
				mustDeliver(t, s, batch)
				wantContent(t, srv, batch, 0)
				return
			}
			out, err := s.Deliver(t.Context(), batch)
			if f := intel.AsFailure(err); f == nil || f.Kind != tt.kind || out[0].Status != intel.Unknown {
				t.Fatalf("%+v, %v", out[0], err)
			}
			srv.Clear()
			mustDeliver(t, s, batch)
			wantContent(t, srv, batch, len(batch))
		})
	}
}

// TestAckMoved: the balancer sends the session to another indexer in the middle
// of a batch. What the first has is sent again, once, on a channel of its own.
func TestAckMoved(t *testing.T) {
	srv := server(t, splunktest.Options{Ack: true, Sticky: true})
	s := open(t, srv, withAck(AckRequired))
	mustDeliver(t, s, batchOf(1000, 1))

	batch := batchOf(0, 40)
	var moved atomic.Bool
	srv.Poison(func(e splunktest.Event) bool {
		if e.STIXID == batch[25].Indicator.ID && moved.CompareAndSwap(false, true) {
			srv.MoveSessions() // the next request lands elsewhere
		}
		return false
	}, 6)
	// The cookie alone tells; waiting for the time-out of a minute would not do.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := s.Deliver(ctx, batch); err != nil {
		t.Fatal(err)
	}
	wantContent(t, srv, append(batch, batchOf(1000, 1)...), 40)
	channels := map[string]bool{}
	for _, e := range srv.Events() {
		channels[e.Channel] = true
	}
	if len(channels) != 2 {
		t.Errorf("%d channels, want the first and a new one", len(channels))
	}
}

// TestAckMovedBetween: a session that moves while nothing is outstanding costs
// nothing.
func TestAckMovedBetween(t *testing.T) {
	srv := server(t, splunktest.Options{Ack: true, Sticky: true})
	s := open(t, srv, withAck(AckAuto))
	all := batchOf(0, 30)
	mustDeliver(t, s, all[:15])
	srv.MoveSessions()
	mustDeliver(t, s, all[15:])
	wantContent(t, srv, all, 0)
}

// TestAckPartOfRequest: the events before a bad one have an id of their own.
func TestAckPartOfRequest(t *testing.T) {
	srv := server(t, splunktest.Options{Ack: true, AckPolls: 2})
	s := open(t, srv, withAck(AckRequired))
	batch := batchOf(0, 10)
	srv.Poison(func(e splunktest.Event) bool { return e.STIXID == batch[4].Indicator.ID }, 6)
	out, err := s.Deliver(t.Context(), batch)
	if err != nil || out[4].Status != intel.Rejected || out[3].Status != intel.Delivered || out[5].Status != intel.Delivered {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := srv.Restart(false); err != nil {
		t.Fatal(err)
	}
	wantContent(t, srv, batch, 0, 4)
}
