package svc

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// watchdogInterval returns within which time systemd wants to hear of this
// process again and again (sd_watchdog_enabled(3)); 0 = it does not.
func watchdogInterval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // meant for another process
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// feedWatchdog says twice an interval that all is well, as long as it is: a
// watchdog that hears nothing for an interval ends the process, with the stacks
// of all goroutines in the log, and starts it again.
func feedWatchdog(ctx context.Context, interval time.Duration, alive func() bool, notify func(string)) {
	t := time.NewTicker(max(interval/2, time.Millisecond))
	defer t.Stop()
	for {
		if alive() {
			notify("WATCHDOG=1")
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// A start may take its time, as the upgrade of a large state does, but not for
// ever.
const (
	startStep = 30 * time.Second
	startMost = time.Hour
)

// starting asks systemd for more time than TimeoutStartSec= until it is told
// that the start has ended (sd_notify(3), EXTEND_TIMEOUT_USEC).
func (p *program) starting() (ended func()) {
	if p.notify == nil {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startMost)
	var asking sync.WaitGroup
	asking.Go(func() {
		t := time.NewTicker(startStep)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=opening the state", (3 * startStep).Microseconds()))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		asking.Wait()
	}
}
