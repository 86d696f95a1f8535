package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
)

// fake is a forwarder that notes what it is asked.
type fake struct {
	asked []string
	err   error
}

func (f *fake) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fake) Status(context.Context) status.Status {
	f.note("status")
	return status.Status{Running: true, Version: "v9"}
}

func (f *fake) Alive() bool { f.note("alive"); return f.err == nil }

func (f *fake) Reload(context.Context) error { f.note("reload"); return f.err }

func (f *fake) Replay(_ context.Context, sink, feed string, since time.Time) (int, error) {
	f.note("replay %s %s %s", sink, feed, since.Format(time.RFC3339))
	return 3, f.err
}

func (f *fake) RetryDead(_ context.Context, d replica.DeadFilter) (int, error) {
	f.note("retry %v %s %s %s", d.IDs, d.Feed, d.Sink, d.Reason)
	return 4, f.err
}

func (f *fake) DropDead(_ context.Context, d replica.DeadFilter) (int, error) {
	f.note("drop %v", d.IDs)
	return 5, f.err
}

func start(t *testing.T, h Handler) (dir string, s *Server) {
	t.Helper()
	dir = t.TempDir()
	s, err := Serve(dir, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dir, s
}

func readEndpoint(t *testing.T, dir string) endpoint {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	var e endpoint
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func writeEndpoint(t *testing.T, dir string, e endpoint) {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCommands(t *testing.T) {
	f := &fake{}
	dir, _ := start(t, f)
	ctx := t.Context()
	c, err := Dial(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(ctx)
	if err != nil || !s.Running || s.Version != "v9" {
		t.Errorf("status: %+v, %v", s, err)
	}
	if ok, err := c.Alive(ctx); !ok || err != nil {
		t.Errorf("alive: %v, %v", ok, err)
	}
	if err := c.Reload(ctx); err != nil {
		t.Error(err)
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if n, err := c.Replay(ctx, "out", "f", since); n != 3 || err != nil {
		t.Errorf("replay: %d, %v", n, err)
	}
	if n, err := c.RetryDead(ctx, replica.DeadFilter{IDs: []int64{7, 8}, Feed: "f", Sink: "file.out", Reason: "mapping"}); n != 4 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	if n, err := c.DropDead(ctx, replica.DeadFilter{IDs: []int64{9}}); n != 5 || err != nil {
		t.Errorf("drop: %d, %v", n, err)
	}
	want := "status|alive|reload|replay out f 2026-01-02T03:04:05Z|retry [7 8] f file.out mapping|drop [9]"
	if got := strings.Join(f.asked, "|"); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
	f.err = withDetails{}
	if ok, err := c.Alive(ctx); ok || err != nil {
		t.Errorf("a stuck forwarder is alive: %v, %v", ok, err)
	}
	err = c.Reload(ctx)
	var r *Refusal
	if !errors.As(err, &r) || r.Error() != "refused" || r.Details() != "line 1\nline 2\n" {
		t.Errorf("a refusal arrives as %#v", err)
	}
	if n, err := c.Replay(ctx, "out", "", time.Time{}); n != 3 || err == nil || err.Error() != "refused" {
		t.Errorf("a refused replay: %d, %v", n, err)
	}
}

type withDetails struct{}

func (withDetails) Error() string   { return "refused" }
func (withDetails) Details() string { return "line 1\nline 2\n" }

// TestPrivate: nobody but the service's account reads the token, and nothing
// is to be had without it.
func TestPrivate(t *testing.T) {
	f := &fake{}
	dir, _ := start(t, f)
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("control.json has mode %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	e := readEndpoint(t, dir)
	if host, _, err := net.SplitHostPort(e.Address); err != nil || host != "127.0.0.1" || len(e.Token) < 26 || e.PID != os.Getpid() {
		t.Errorf("control.json: %+v", e)
	}
	ask := func(method, path, authorization, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.Address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	good := "Bearer " + e.Token
	for _, a := range []string{"", "Bearer ", "Bearer x", e.Token, "bearer " + e.Token, good + "x", "Basic " + e.Token} {
		for _, path := range []string{"/status", "/reload", "/replay", "/dead-letters/drop", "/nothing"} {
			if code, body := ask("POST", path, a, "{}"); code != http.StatusUnauthorized || strings.Contains(body, e.Token) {
				t.Errorf("%s with %q: %d %s", path, a, code, body)
			}
		}
	}
	tests := []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/replay", `{"sink":"out","sinks":"all"}`, 400, `unknown field \"sinks\"`},
		{"POST", "/dead-letters/drop", `{"Everything":true}`, 400, `unknown field \"Everything\"`},
		{"POST", "/dead-letters/drop", ``, 400, "malformed request"},
		{"POST", "/dead-letters/drop", `[`, 400, "malformed request"},
		{"POST", "/dead-letters/retry", `{"Feed":"` + strings.Repeat("x", 2<<20) + `"}`, 400, "too large"},
		{"GET", "/reload", ``, 405, ""},
		{"GET", "/replay", ``, 405, ""},
		{"POST", "/status", ``, 405, ""},
		{"GET", "/", ``, 404, ""},
		{"GET", proofPath + "?nonce=short", ``, 400, ""},
	}
	for _, tt := range tests {
		if code, body := ask(tt.method, tt.path, good, tt.body); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, code, body, tt.code, tt.want)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("the forwarder was asked: %v", f.asked)
	}
}

// TestLeftBehind: a control.json that a killed forwarder left behind never
// passes for a running one, whoever has its port by now.
func TestLeftBehind(t *testing.T) {
	ctx := t.Context()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	var saw []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw = append(saw, r.Header.Get("Authorization")+r.URL.RawQuery)
		io.WriteString(w, `{"running":true}`)
	}))
	defer other.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing sensible
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 mail.example.com ESMTP\r\n")
			c.Close()
		}
	}()
	_, live := start(t, &fake{}) // a forwarder, but of another state
	liveAddress := readEndpoint(t, filepath.Dir(live.path)).Address

	tests := map[string]string{
		"nobody": nobody, "another web server": strings.TrimPrefix(other.URL, "http://"), "another program": mute.Addr().String(), "another forwarder": liveAddress,
	}
	for name, address := range tests {
		dir := t.TempDir()
		writeEndpoint(t, dir, endpoint{Address: address, Token: "TOKEN-LEFT-BEHIND-1234567890", PID: 1})
		if _, err := Dial(ctx, dir); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range saw {
		if strings.Contains(s, "TOKEN-LEFT-BEHIND") {
			t.Errorf("the token was given away: %s", s)
		}
	}
	if _, err := Dial(ctx, t.TempDir()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no control.json: %v", err)
	}

	// The next start takes over.
	dir := t.TempDir()
	writeEndpoint(t, dir, endpoint{Address: nobody, Token: "old", PID: 1})
	s, err := Serve(dir, &fake{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(ctx, dir); err != nil {
		t.Errorf("after a new start: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, fileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("control.json is still there: %v", err)
	}
	if _, err := Dial(ctx, dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after a stop: %v", err)
	}
}

// TestNoAnswer: a forwarder that hangs is not taken for one that does not run.
func TestNoAnswer(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer s.Close()
	defer close(hang)
	dir := t.TempDir()
	writeEndpoint(t, dir, endpoint{Address: strings.TrimPrefix(s.URL, "http://"), Token: "t", PID: 4711})
	defer func(d time.Duration) { proofTimeout = d }(proofTimeout)
	proofTimeout = 50 * time.Millisecond
	_, err := Dial(t.Context(), dir)
	if err == nil || errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "process 4711") || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestNotOurs(t *testing.T) {
	for _, text := range []string{"", "{", `{"address":"192.0.2.1:80","token":"t"}`, `{"address":"127.0.0.1:x@192.0.2.1:80","token":"t"}`, `{"address":"127.0.0.1:80"}`, `[]`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Dial(t.Context(), dir); err == nil || errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "is not what a forwarder writes; remove it") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestUnwritable: where control.json can not be written, nothing is served.
func TestUnwritable(t *testing.T) {
	if _, err := Serve(filepath.Join(t.TempDir(), "nowhere"), &fake{}); err == nil || !strings.Contains(err.Error(), fileName) {
		t.Errorf("%v", err)
	}
}
