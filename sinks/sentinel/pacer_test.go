package sentinel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := joinPacer("TestPacer", 100), joinPacer("TestPacer", 100)
		other := joinPacer("TestPacer other", 100)
		start := time.Now()
		var sent []time.Time
		for i := range 350 {
			p := a
			if i%2 == 1 {
				p = b
			}
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, time.Now())
		}
		for i := 100; i < len(sent); i++ {
			if d := sent[i].Sub(sent[i-100]); d < time.Minute {
				t.Fatalf("requests %d to %d within %s", i-100, i, d)
			}
		}
		// 100 at once, and again after each window: 350 take three.
		if d := time.Since(start); d > 3*window {
			t.Errorf("350 requests took %s", d)
		}
		if err := other.wait(t.Context()); err != nil || time.Since(start) > 3*window {
			t.Error("another identity was made to wait")
		}
	})
}

func TestPacerTakesTheLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := joinPacer("TestPacerTakesTheLeast", 100), joinPacer("TestPacerTakesTheLeast", 2)
		a.wait(t.Context())
		a.wait(t.Context())
		start := time.Now()
		a.wait(t.Context())
		if d := time.Since(start); d != window {
			t.Errorf("waited %s, want %s", d, window)
		}
		b.leave()
		start = time.Now()
		for range 50 {
			a.wait(t.Context())
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %s after the other left", d)
		}
	})
}

func TestPacerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := joinPacer("TestPacerEnds", 1)
		p.wait(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
		p.hold(3 * time.Minute)
		p.hold(time.Second) // a shorter one does not shorten it
		f := intel.AsFailure(p.wait(t.Context()))
		if f == nil || f.Kind != intel.FailThrottled || f.RetryAfter != 3*time.Minute {
			t.Errorf("failure: %v", f)
		}
		time.Sleep(3 * time.Minute)
		if err := p.wait(t.Context()); err != nil {
			t.Errorf("after the silence: %v", err)
		}
	})
}
