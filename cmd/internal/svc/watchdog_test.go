package svc

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchdogInterval(t *testing.T) {
	self, other := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getpid()+1)
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"60000000", self, time.Minute}, {"60000000", "", time.Minute}, {"60000000", other, 0},
		{"", self, 0}, {"0", self, 0}, {"-1", self, 0}, {"soon", self, 0},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if got := watchdogInterval(); got != tt.want {
			t.Errorf("WATCHDOG_USEC=%s, WATCHDOG_PID=%s: %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}

// TestFeedWatchdog: there is never a whole interval without a word while all is
// well, and none at all while it is not.
func TestFeedWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ill atomic.Bool
		var last atomic.Int64
		words := 0
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			feedWatchdog(ctx, time.Minute, func() bool { return !ill.Load() }, func(s string) {
				if s != "WATCHDOG=1" {
					t.Errorf("said %q", s)
				}
				words++
				last.Store(time.Now().UnixNano())
			})
		}()
		quiet := func() time.Duration { return time.Duration(time.Now().UnixNano() - last.Load()) }
		for range 100 {
			time.Sleep(7 * time.Second)
			synctest.Wait()
			if quiet() >= time.Minute {
				t.Fatalf("nothing was said for %v", quiet())
			}
		}
		ill.Store(true)
		time.Sleep(10 * time.Minute)
		if quiet() < 9*time.Minute {
			t.Error("it said that all is well while it was not")
		}
		ill.Store(false)
		time.Sleep(time.Minute)
		if quiet() > time.Minute {
			t.Error("nothing was said once all was well again")
		}
		stop()
		<-done
		if words < 20 {
			t.Errorf("%d words in all", words)
		}
	})
}

// TestStarting: a start that takes long asks for more time, in good time, but not
// for ever; one that is quick does not.
func TestStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var granted, asked atomic.Int64 // Unix nanoseconds; how often
		p := &program{notify: func(s string) {
			usec, ok := strings.CutPrefix(strings.Split(s, "\n")[0], "EXTEND_TIMEOUT_USEC=")
			n, err := strconv.Atoi(usec)
			if !ok || err != nil {
				t.Errorf("said %q", s)
			}
			granted.Store(time.Now().Add(time.Duration(n) * time.Microsecond).UnixNano())
			asked.Add(1)
		}}
		p.starting()()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if asked.Load() != 0 {
			t.Error("a quick start asked for more time")
		}
		granted.Store(time.Now().Add(90 * time.Second).UnixNano()) // TimeoutStartSec
		ended := p.starting()
		for range 20 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if time.Now().UnixNano() > granted.Load() {
				t.Fatal("systemd would have given up")
			}
		}
		ended()
		before := asked.Load()
		p.starting()
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := asked.Load() - before; n > int64(startMost/startStep) {
			t.Errorf("asked for more time %d times", n)
		}
	})
	(&program{}).starting()()
}
