//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// patience is how long the program may take for anything.
const patience = 10 * time.Minute

// A program is a running forwarder between a feed and an index of the node.
type program struct {
	dir, config, index string
	proxy              *proxy
	feed               *taxiitest.Collection
	taxii              *taxiitest.Server

	cmd  *exec.Cmd
	log  string        // path of its log
	err  error         // with which it ended
	done chan struct{} // closed when it has
}

// newProgram starts the feed and writes the configuration.
func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{dir: t.TempDir(), index: newIndex(t), proxy: newProxy(t), taxii: taxiitest.New(taxiitest.Options{PageCap: 500, Prerender: true})}
	t.Cleanup(p.proxy.close)
	t.Cleanup(p.taxii.Close)
	p.feed = p.taxii.AddCollection(taxiitest.Info{ID: "91a7b528-80eb-42ed-a74d-c6fbd5a26116", Title: "Indicators"})
	p.log = filepath.Join(p.dir, "log")
	p.config = p.configure(t, "config.hcl", p.proxy.URL, "opensearch")
	return p
}

func (p *program) configure(t *testing.T, name, address, distribution string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	text := fmt.Sprintf(`
log   { level = "debug" }
state { dir = %q }
http  { listen = "off" }

feed "research" {
  discovery_url = %q
  auth "none" {}
  poll_interval = "1s"
  page_size     = 500
  start_from    = "all"
}

sink "elasticsearch" "real" {
  addresses    = [%q]
  distribution = %q
  index        = %q
}
`, filepath.Join(p.dir, "state"), p.taxii.URL(), address, distribution, p.index)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *program) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "run", "--allow-root", "--config", p.config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.cmd, p.done, p.err = cmd, make(chan struct{}), nil
	done := p.done
	go func() {
		defer close(done)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() { // where the test ended before stop
		select {
		case <-done:
		default:
			_ = cmd.Process.Kill()
			<-done
		}
	})
}

// stop ends the program as a service manager would.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" { // has no signals
		_ = p.cmd.Process.Kill()
		<-p.done
		return
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("the program ended with %v:\n%s", p.err, p.tail())
		}
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		t.Fatalf("the program does not end:\n%s", p.tail())
	}
}

// tail is the end of the program's log.
func (p *program) tail() []byte {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-8<<10):]
}

// until waits for a state of the program.
func (p *program) until(t *testing.T, what string, holds func(status.Status) bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last string
	for {
		// Its exit status tells of failures, or that the program is still starting.
		stdout, stderr, _ := command(t, "status", "--json", "--config", p.config)
		var st status.Status
		if last = stdout + stderr; json.Unmarshal([]byte(stdout), &st) == nil && st.Running && holds(st) {
			return
		}
		select {
		case <-tick.C:
		case <-p.done:
			t.Fatalf("waiting until %s, the program ended: %v\n%s", what, p.err, p.tail())
		case <-deadline:
			t.Fatalf("waited %s, but not so that %s\n%s\n%s", patience, what, last, p.tail())
		}
	}
}

// polled waits until a poll that began later than now has ended well and
// everything that it brought is delivered.
func (p *program) polled(t *testing.T) status.Status {
	t.Helper()
	now := time.Now()
	ends := map[time.Time]bool{}
	var last status.Status
	p.until(t, "the feed has been polled again and all is delivered", func(st status.Status) bool {
		last = st
		if len(st.Feeds) != 1 || len(st.Feeds[0].Collections) != 1 || len(st.Routes) != 1 {
			return false
		}
		if end := st.Feeds[0].Collections[0].LastSuccess; end.After(now) {
			ends[end] = true
		}
		// The second to end began after the first had ended.
		return len(ends) >= 2 && st.Routes[0].Pending == 0 && st.Routes[0].State == status.StateOK
	})
	return last
}

// command runs a command of the program to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
