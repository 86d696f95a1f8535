package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// site is a place for a forwarder to run in.
type site struct {
	dir, config, state, out string
	listen                  string
}

func newSite(t *testing.T, s *taxiitest.Server, listen string) *site {
	t.Helper()
	dir := t.TempDir()
	w := &site{dir: dir, config: filepath.Join(dir, "forwarder.hcl"), state: filepath.Join(dir, "state"), out: filepath.Join(dir, "out.ndjson"), listen: listen}
	w.write(t, s.URL(), "")
	return w
}

func (w *site) write(t *testing.T, url, more string) {
	t.Helper()
	text := fmt.Sprintf("state { dir = %q }\nhttp { listen = %q }\nfeed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n poll_interval = \"1h\"\n start_from = \"all\"\n}\nsink \"file\" \"out\" {\n path = %q\n}\n%s",
		w.state, w.listen, url, w.out, more)
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// recorder is told of the stages.
type recorder struct {
	mu     sync.Mutex
	stages []Stage
}

func (r *recorder) notify(s Stage, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stages = append(r.stages, s)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.stages)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// free proves that nothing of a forwarder is left: its state can be opened for
// writing, its port listened on, and nobody takes it for running.
func (w *site) free(t *testing.T) {
	t.Helper()
	if _, err := control.Dial(t.Context(), w.state); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("it seems to run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.state, "control.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("control.json: %v", err)
	}
	store, err := replica.Open(t.Context(), replica.Options{Dir: w.state})
	if err != nil {
		t.Fatalf("the state is not free: %v", err)
	}
	store.Close()
}

func TestLife(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 5)
	w := newSite(t, s, "127.0.0.1:0")
	var log bytes.Buffer
	r := &recorder{}
	a, err := Start(t.Context(), Options{ConfigPath: w.config, Version: "v9", LogOutput: &log, Notify: r.notify})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is delivered", func() bool { b, _ := os.ReadFile(w.out); return bytes.Count(b, []byte("\n")) == 5 })
	resp, err := http.Get("http://" + a.Addr() + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("healthz: %v, %v", resp, err)
	}
	resp.Body.Close()
	if !a.Alive() {
		t.Error("not alive")
	}
	if ok, reasons := a.Ready(t.Context()); !ok {
		t.Errorf("not ready: %+v", reasons)
	}
	st := a.Status(t.Context())
	if st.Version != "v9" || st.PID != os.Getpid() || st.Config.Path != w.config || !st.Config.LastReloadOK {
		t.Errorf("status: %+v", st)
	}

	// A reload that is refused changes nothing, the listener included.
	before := a.Addr()
	w.write(t, s.URL(), "nonsense\n")
	err = a.Reload(t.Context())
	var c *ConfigError
	if !errors.As(err, &c) || !strings.Contains(c.Details(), "forwarder.hcl:12") || strings.Contains(c.Error(), "\n") {
		t.Errorf("reload of a bad configuration: %v", err)
	}
	if st := a.Status(t.Context()); st.Config.LastReloadOK || st.Config.Error != err.Error() || a.Addr() != before || !a.Alive() {
		t.Errorf("after it: %+v", st.Config)
	}
	w.state += "2"
	w.write(t, s.URL(), "")
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "state.dir can not change") || !strings.Contains(err.Error(), "restart the service") {
		t.Errorf("reload with another state directory: %v", err)
	}
	w.state = strings.TrimSuffix(w.state, "2")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	w.listen = busy.Addr().String()
	w.write(t, s.URL(), "")
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), w.listen) {
		t.Errorf("reload with a busy port: %v", err)
	}
	if a.Addr() != before || !a.Alive() {
		t.Error("the running configuration suffered")
	}

	// One that is good takes over: the listener moves.
	w.listen = "off"
	w.write(t, s.URL(), "")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.Addr() != "" {
		t.Errorf("still listens at %s", a.Addr())
	}
	if _, err := net.DialTimeout("tcp", before, time.Second); err == nil {
		t.Error("the old listener still answers")
	}
	if _, err := a.Replay(t.Context(), "nobody", "", time.Time{}); err == nil || !strings.Contains(err.Error(), `no route leads to sink "nobody"; the routes are: [f -> file.out]`) {
		t.Errorf("replay: %v", err)
	}

	if err := a.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := a.Stop(context.Background()); err != nil {
		t.Errorf("second stop: %v", err)
	}
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("reload after the stop: %v", err)
	}
	if want := "[READY=1 RELOADING=1 READY=1 RELOADING=1 READY=1 RELOADING=1 READY=1 RELOADING=1 READY=1 STOPPING=1]"; r.String() != want {
		t.Errorf("stages %s\nwant   %s", r, want)
	}
	w.free(t)
}

// TestStartRollsBack: whatever step of the start fails, nothing stays open.
func TestStartRollsBack(t *testing.T) {
	s, _ := server(t, taxiitest.Options{}, 5)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name  string
		ctx   context.Context
		spoil func(t *testing.T, w *site)
		mend  func(t *testing.T, w *site)
		want  string
	}{
		{
			name:  "the port is busy",
			spoil: func(t *testing.T, w *site) { w.listen = busy.Addr().String(); w.write(t, s.URL(), "") },
			mend:  func(t *testing.T, w *site) { w.listen = "off"; w.write(t, s.URL(), "") },
			want:  "http listener: ",
		},
		{
			name: "control.json can not be written",
			spoil: func(t *testing.T, w *site) {
				if err := os.MkdirAll(filepath.Join(w.state, "control.json", "x"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			mend: func(t *testing.T, w *site) { os.RemoveAll(filepath.Join(w.state, "control.json")) },
			want: "control.json",
		},
		{
			name:  "called off",
			ctx:   canceled,
			spoil: func(*testing.T, *site) {}, mend: func(*testing.T, *site) {},
			want: "context canceled",
		},
		{
			name:  "the configuration is bad",
			spoil: func(t *testing.T, w *site) { os.MkdirAll(w.state, 0o700); w.write(t, s.URL(), "nonsense\n") },
			mend:  func(t *testing.T, w *site) { w.write(t, s.URL(), "") },
			want:  "1 error in it",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newSite(t, s, "127.0.0.1:0")
			tt.spoil(t, w)
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			var log bytes.Buffer
			r := &recorder{}
			a, err := Start(ctx, Options{ConfigPath: w.config, LogOutput: &log, Notify: r.notify})
			if err == nil {
				a.Stop(context.Background())
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tt.want) || a != nil {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if r.String() != "[]" {
				t.Errorf("stages: %s", r)
			}
			tt.mend(t, w)
			w.free(t)
			a, err = Start(t.Context(), Options{ConfigPath: w.config, LogOutput: &log})
			if err != nil {
				t.Fatalf("second attempt: %v", err)
			}
			eventually(t, "everything is delivered", func() bool { b, _ := os.ReadFile(w.out); return bytes.Count(b, []byte("\n")) == 5 })
			if err := a.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			w.free(t)
		})
	}
}

// TestLocate: the state is found in configurations that can not be loaded here.
func TestLocate(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, text string
		state      string // "" = refused
		sinks      string
	}{
		{"secrets of the service", "state { dir = \"/s\" }\nfeed \"f\" {\n discovery_url = \"https://taxii.example.com/\"\n auth \"bearer\" {\n token = credential(\"key\")\n }\n}\nsink \"file\" \"out\" {\n path = \"-\"\n}\n", "/s", "file.out"},
		{"half an edit", "state {\n  dir = \"/s\" # here\n}\nfeed \"f\" {\n discovery_url =\nsink \"file\" \"out\" {\n", "/s", ""},
		{"default", "sink \"file\" \"out\" {\n}\nsink \"splunk_hec\" \"soc\" {\n", "DEFAULT", "file.out splunk_hec.soc"},
		{"escapes", `state { dir = "C:\\ProgramData\\x" }` + "\nnonsense\n", `C:\ProgramData\x`, ""},
		{"a dir elsewhere", "sink \"file\" \"out\" {\n dir = \"/wrong\"\n}\nstate { dir = \"/s\" }\nx {\n dir = \"/wrong\"\n}\n", "/s", "file.out"},
		{"an expression", "state { dir = env(\"NOT_SET_ANYWHERE\") }\n", "", ""},
		{"a template", "state { dir = \"/${env(\"NOT_SET_ANYWHERE\")}\" }\n", "", ""},
		{"a sum", "state { dir = \"/s\" + \"x\" }\n", "", ""},
	}
	for _, tt := range tests {
		path := filepath.Join(dir, "x.hcl")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, report := Locate(path)
		if tt.state == "" {
			if !report.HasErrors() {
				t.Errorf("%s: %+v", tt.name, l)
			}
			continue
		}
		if tt.state == "DEFAULT" {
			tt.state = config.DefaultStateDir()
		}
		if report.HasErrors() || l.StateDir != tt.state || strings.Join(l.Sinks, " ") != tt.sinks || l.Path != path {
			t.Errorf("%s: %+v, %s", tt.name, l, report.Summary())
		}
	}
	if _, report := Locate(filepath.Join(dir, "nowhere.hcl")); !report.HasErrors() {
		t.Error("a file that is not there was accepted")
	}
}
