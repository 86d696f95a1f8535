package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// TestKill kills the program with SIGKILL again and again in the middle of a
// back-fill. After the last start every indicator must be in every sink, and no
// sink may have been sent more twice than was in flight when the program died.
func TestKill(t *testing.T) {
	indicators, kills := 20000, 10
	if testing.Short() {
		indicators, kills = 5000, 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	server := taxiitest.New(taxiitest.Options{PageCap: 500, Prerender: true})
	defer server.Close()
	col := server.AddCollection(taxiitest.Info{ID: "0b0e0de0-0000-4000-8000-000000000001", Title: "back-fill"})
	for n := range indicators {
		col.Add(killAdded(n), killIndicator(n))
	}
	splunk := splunktest.NewServer(splunktest.Options{})
	defer splunk.Close()
	elastic := elastictest.NewServer(elastictest.Options{})
	defer elastic.Close()
	sentinel, err := sentineltest.NewServer(sentineltest.Options{RequestsPerMinute: -1, Forget: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sentinel.Close()
	ca, err := sentinel.CAFile()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "archive.ndjson")
	config := filepath.Join(dir, "config.hcl")
	text := fmt.Sprintf(`
state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "none" {}
  poll_interval = "1s"
  page_size     = 500
}
sink "splunk_hec" "s" {
  url   = %q
  token = env("KILL_TEST_TOKEN")
}
sink "elasticsearch" "s" {
  addresses = [%q]
}
sink "sentinel" "s" {
  workspace_id = %q
  credential "client_secret" {
    tenant_id     = %q
    client_id     = %q
    client_secret = env("KILL_TEST_SECRET")
  }
  requests_per_minute        = 100000
  endpoint                   = %q
  authority_host             = %q
  disable_instance_discovery = true
  tls {
    ca_file = %q
  }
}
sink "file" "s" {
  path = %q
}
`, filepath.Join(dir, "state"), server.URL(), splunk.URL(), elastic.URL(), sentinel.WorkspaceID(), sentineltest.TenantID, sentineltest.ClientID,
		sentinel.URL(), sentinel.URL(), ca, archive)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KILL_TEST_TOKEN", splunk.Token())
	t.Setenv("KILL_TEST_SECRET", sentineltest.ClientSecret)

	// The moments are points of progress of the slowest sink, so that they lie in
	// the back-fill however fast the machine is.
	progress := map[string]func() int{
		"splunk":        func() int { return int(splunk.Stored()) },
		"elasticsearch": func() int { return elastic.Stats().Created },
		"sentinel":      func() int { return len(sentinel.Objects()) },
		"file":          func() int { return countLines(t, archive) },
	}
	names := []string{"splunk", "elasticsearch", "sentinel", "file"}
	var moments []int
	for range kills {
		moments = append(moments, 1+random.IntN(indicators*9/10))
	}
	slices.Sort(moments)
	for i, moment := range moments {
		p := startProgram(t, config)
		p.until(fmt.Sprintf("every sink has %d", moment), func() bool {
			return !slices.ContainsFunc(names, func(name string) bool { return progress[name]() < moment })
		})
		p.kill()
		t.Logf("kill %d when every sink had %d: splunk %d, elasticsearch %d, sentinel %d, file %d", i+1, moment,
			progress["splunk"](), progress["elasticsearch"](), progress["sentinel"](), progress["file"]())
	}
	p := startProgram(t, config)
	p.until("every sink has everything", func() bool {
		return len(splunk.Current()) >= indicators && elastic.Len("logs-ti_taxii") >= indicators && len(sentinel.Active()) >= indicators && countLines(t, archive) >= indicators
	})
	p.kill() // once more, with everything delivered

	held := map[string]map[string]bool{"splunk": {}, "elasticsearch": {}, "sentinel": {}, "file": {}}
	for _, e := range splunk.Current() {
		held["splunk"][e.STIXID] = true
	}
	for _, d := range elastic.Docs("logs-ti_taxii") {
		held["elasticsearch"][fmt.Sprint(d.Decoded()["stix"].(map[string]any)["id"])] = true
	}
	for _, o := range sentinel.Active() {
		held["sentinel"][o.ID] = true
	}
	lines := readArchive(t, archive, held["file"])
	repeats := map[string]int{
		"splunk": splunk.Repeats(), "elasticsearch": elastic.Stats().Repeated, "sentinel": sentinel.Repeats(), "file": lines - len(held["file"]),
	}
	bounds := inFlight(t, config)
	for _, name := range names {
		t.Logf("%s: %d indicators, %d repeats; at most %d were in flight at each kill", name, len(held[name]), repeats[name], bounds[name])
		if len(held[name]) != indicators {
			t.Errorf("%s has %d of %d indicators", name, len(held[name]), indicators)
		}
		if repeats[name] > (kills+1)*bounds[name] {
			t.Errorf("%s was sent %d indicators twice, more than %d kills with %d in flight can explain", name, repeats[name], kills+1, bounds[name])
		}
	}
}

// inFlight returns how many changes each kind of sink has in flight at most.
func inFlight(t *testing.T, path string) map[string]int {
	t.Helper()
	cfg, report := app.Load(path)
	if report.HasErrors() {
		t.Fatal(report.Summary())
	}
	names := map[string]string{"splunk_hec": "splunk", "elasticsearch": "elasticsearch", "sentinel": "sentinel", "file": "file"}
	out := map[string]int{}
	for _, s := range cfg.Sinks {
		sink, err := app.Sink(s, hclog.NewNullLogger(), "test")
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		changes, batches := sink.Sink.(intel.Limiter).BatchLimit()
		if changes == 0 || changes > 1000 {
			changes = 1000
		}
		if batches == 0 {
			batches = 2
		}
		out[names[s.Kind]] = changes * batches
	}
	return out
}

// killAdded is when an indicator came to the server; seven share a date.
func killAdded(n int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n/7) * time.Millisecond)
}

// killIndicator has one observable, so that documents and indicators count
// alike in every sink.
func killIndicator(n int) []byte {
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--0b0e0de0-0000-4000-8000-%012x","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'host-%d.example.com']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, n, n)
}

func countLines(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte{'\n'})
}

// readArchive reads the file sink's lines; every one but the last must be whole.
func readArchive(t *testing.T, path string, ids map[string]bool) (lines int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte{'\n'}) {
			break // being written, or torn by a kill; the next start cuts it off
		}
		var l struct {
			Indicator struct {
				ID string `json:"id"`
			} `json:"indicator"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("line %d of the archive: %v", lines+1, err)
		}
		ids[l.Indicator.ID] = true
		lines++
	}
	return lines
}

// program is a run of this program in a process of its own.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

func startProgram(t *testing.T, config string) *program {
	t.Helper()
	return startCommand(t, func(self []string) *exec.Cmd { return exec.Command(self[0], self[1:]...) }, "run", "--allow-root", "--config", config)
}

// startCommand starts the program in a way of its own: wrap makes the command
// out of the program and its arguments.
func startCommand(t *testing.T, wrap func(self []string) *exec.Cmd, args ...string) *program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: wrap(append([]string{exe}, args...)), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "NO_COLOR=1")
	if p.cmd.Stderr == nil {
		p.cmd.Stderr = &p.log
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *program) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// tail returns the end of the log of a program that has ended.
func (p *program) tail() string {
	const most = 6000
	log := p.log.String()
	if len(log) > most {
		log = "…" + log[len(log)-most:]
	}
	return log
}

// until waits for ok while the program runs.
func (p *program) until(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-p.done:
			p.t.Fatalf("the program ended before %s:\n%s", what, p.tail())
		case <-deadline:
			p.kill()
			p.t.Fatalf("still not: %s\n%s", what, p.tail())
		}
	}
}
