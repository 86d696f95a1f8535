//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii"
)

// Time allowed to a server. Both import a great deal, and the machine may have
// other things to do.
const (
	startTime = 90 * time.Second
	stopTime  = 10 * time.Second
)

// A server is a TAXII server in a process of its own.
type server struct {
	origin string // http://127.0.0.1:port
	ids    map[string]string
	events chan event // after the first
	log    *tail

	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when the process has ended
}

// An event is a line of a script's standard output.
type event struct {
	Event  string            `json:"event"`
	Port   int               `json:"port"`
	IDs    map[string]string `json:"ids"`
	Tokens []string          `json:"tokens"` // that have expired
}

// start runs a script of testdata on a directory with files and waits until it
// listens. The server ends with the test.
func start(t *testing.T, script string, files map[string]any) *server {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		b, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{events: make(chan event, 1024), log: &tail{}, done: make(chan struct{})}
	// -I: neither this directory, the user's own packages nor PYTHON… variables get
	// in between.
	s.cmd = exec.Command(python(t), "-I", "-u", "-W", "ignore", filepath.Join("testdata", script), dir)
	s.cmd.Stderr = s.log
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v; .ci/interop makes the environment that INTEROP_VENV must name", script, err)
	}
	t.Cleanup(func() { s.stop(t) })
	go func() {
		defer close(s.done)
		s.read(stdout)
		_ = s.cmd.Wait()
	}()
	select {
	case e, ok := <-s.events:
		if !ok || e.Event != "listening" {
			<-s.done
			t.Fatalf("%s did not start: %v\n%s", script, s.cmd.ProcessState, s.log)
		}
		s.origin, s.ids = fmt.Sprintf("http://127.0.0.1:%d", e.Port), e.IDs
	case <-time.After(startTime):
		t.Fatalf("%s does not listen after %s\n%s", script, startTime, s.log)
	}
	return s
}

// read takes events until the process closes its standard output.
func (s *server) read(stdout io.Reader) {
	defer close(s.events)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintf(s.log, "on standard output: %s\n", lines.Bytes())
			continue
		}
		select {
		case s.events <- e:
		default: // nobody is interested
		}
	}
}

// stop ends the process: by closing its standard input, or else by force.
func (s *server) stop(t *testing.T) {
	_ = s.stdin.Close()
	select {
	case <-s.done:
	case <-time.After(stopTime):
		t.Errorf("process %d did not end by itself", s.cmd.Process.Pid)
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	if t.Failed() {
		t.Logf("the end of the server's log:\n%s", s.log)
	}
}

// post adds objects to a collection as a TAXII client would (§5.5).
func (s *server) post(t *testing.T, root, collection string, objects ...stixObject) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"objects": objects})
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		SuccessCount int `json:"success_count"`
	}
	s.do(t, http.MethodPost, root+"collections/"+collection+"/objects/", body, http.StatusAccepted, &status)
	if status.SuccessCount != len(objects) {
		t.Fatalf("the server took %d of %d objects", status.SuccessCount, len(objects))
	}
}

// do makes a request as writer and reads the answer.
func (s *server) do(t *testing.T, method, url string, body []byte, want int, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(writer.Username, writer.Password)
	req.Header.Set("Accept", taxii.MediaType)
	if len(body) > 0 {
		req.Header.Set("Content-Type", taxii.MediaType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, into); err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
}

// python is the interpreter of the environment that has the servers.
func python(t *testing.T) string {
	t.Helper()
	venv := os.Getenv("INTEROP_VENV")
	if venv == "" {
		t.Fatal("INTEROP_VENV does not name a Python environment with the servers; .ci/interop makes one and runs these tests")
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(venv, "Scripts", "python.exe")
	}
	return filepath.Join(venv, "bin", "python")
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (l *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if n := len(l.buf) - most; n > most {
		l.buf = append(l.buf[:0], l.buf[n:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
