package transport

import (
	"context"
	"time"
)

// A Clock tells the time and waits. Holds and rate limits go by it; the silence
// of a connection is always measured in real time.
type Clock interface {
	Now() time.Time
	// Sleep waits for d, or returns why ctx ended before.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
