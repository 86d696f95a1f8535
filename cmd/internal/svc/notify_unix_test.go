//go:build !windows

package svc

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
)

// TestNotify plays systemd: it is told READY=1 once everything runs, from then on
// that this is so, of each
// reload that SIGHUP asks for, refused ones included, and of the stop.
func TestNotify(t *testing.T) {
	path, _ := configure(t)
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "50000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log lockedBuffer
	done := make(chan error, 1)
	go func() { done <- Run(ctx, app.Options{ConfigPath: path}, &log) }()

	next := func() map[string]string {
		t.Helper()
		buf := make([]byte, 4096)
		l.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := l.Read(buf)
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		m := map[string]string{}
		for line := range strings.Lines(string(buf[:n])) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			m[k] = v
		}
		return m
	}
	expect := func(key string) {
		t.Helper()
		for {
			m := next()
			if m["STATUS"] == "" && m["WATCHDOG"] == "" {
				t.Errorf("a message without a text: %v", m)
			}
			if m[key] == "1" {
				return
			}
			for _, stage := range []string{"READY", "RELOADING", "STOPPING"} {
				if m[stage] != "" {
					t.Fatalf("%v, want %s=1", m, key)
				}
			}
		}
	}
	expect("READY")
	expect("WATCHDOG")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING")
	expect("READY")
	waitFor(t, &log, "configuration reloaded")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, slices.Concat(text, []byte("nonsense\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING")
	expect("READY")
	waitFor(t, &log, "reload refused; the configuration in force stays")
	stop()
	expect("STOPPING")
	if err := <-done; err != nil {
		t.Error(err)
	}
}
