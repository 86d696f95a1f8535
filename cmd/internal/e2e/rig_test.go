package e2e

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// The four sinks, as references in the configuration without "sink.", which is
// how status, metrics and log name them.
const (
	splunkSink   = "splunk_hec.soc"
	sentinelSink = "sentinel.corp"
	elasticSink  = "elasticsearch.elastic"
	fileSink     = "file.archive"
)

var everySink = []string{splunkSink, sentinelSink, elasticSink, fileSink}

// index is where the Elasticsearch sink writes by default.
const index = "logs-ti_taxii"

// Credentials of the stand-ins. None of them may ever be shown; see
// [rig.checkSecrets].
const (
	taxiiToken   = "tAxIi-7c1f-token-of-the-feed"
	hecToken     = "5a1e0b7c-1d2e-4f3a-8b4c-0123456789ab"
	azureSecret  = "aZuRe~9f3b-client-secret"
	elasticKeyID = "e1asticKeyId"
	elasticKey   = elasticKeyID + ":e1asticKeySecret-42"
)

// rig is a forwarder with everything that it talks to.
type rig struct {
	testing.TB
	dir    string // configuration, secrets and archive; the state is below
	config string // path of the configuration file

	taxii    *taxiitest.Server
	main     *taxiitest.Collection
	other    *taxiitest.Collection // a second one of the same feed
	splunk   *splunktest.Server
	sentinel *sentineltest.Server
	elastic  *elastictest.Server
	archive  string

	truth  truth
	log    transcript
	app    *app.App
	within time.Duration // app.Options.RetryWithin
}

// newRig starts the servers. The token that the TAXII server wants is o's, or
// the one that the configuration names.
func newRig(t *testing.T, o taxiitest.Options) *rig {
	t.Helper()
	r := &rig{TB: t, dir: t.TempDir(), truth: truth{newest: map[string][]byte{}}}
	r.config = filepath.Join(r.dir, "config.hcl")
	r.archive = filepath.Join(r.dir, "archive", "indicators.ndjson")
	if err := os.Mkdir(filepath.Dir(r.archive), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Auth = taxiitest.Auth{Kind: "bearer", Token: cmp.Or(o.Auth.Token, taxiiToken)}
	r.taxii = taxiitest.New(o)
	t.Cleanup(r.taxii.Close)
	r.main = r.taxii.AddCollection(taxiitest.Info{ID: "91a7b528-80eb-42ed-a74d-c6fbd5a26116", Alias: "main", Title: "Indicators"})
	r.other = r.taxii.AddCollection(taxiitest.Info{ID: "52892447-4d7e-4f70-b94d-d7f22742ff63", Alias: "other", Title: "The same, from elsewhere"})
	r.splunk = splunktest.NewServer(splunktest.Options{Token: hecToken, Ack: true, Indexes: []string{"threat_intel"}})
	t.Cleanup(r.splunk.Close)
	r.elastic = elastictest.NewServer(elastictest.Options{APIKey: elasticKey})
	t.Cleanup(r.elastic.Close)
	var err error
	// An identity of its own: sinks with the same one share an allowance of requests.
	if r.sentinel, err = sentineltest.NewServer(sentineltest.Options{
		ClientID: clientID(t.Name()), ClientSecret: azureSecret, RequestsPerMinute: -1,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.sentinel.Close)
	for name, text := range map[string]string{
		"taxii-token": taxiiToken, "hec-token": hecToken, "azure-secret": azureSecret, "elastic-key": elasticKey,
		"sentinel-ca.pem": string(r.sentinel.CAPEM()),
	} {
		r.write(name, text)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log:\n%s", r.log.tail(60))
		}
	})
	return r
}

// clientID makes a GUID of a test's name.
func clientID(name string) string {
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// write writes a file beside the configuration.
func (r *rig) write(name, text string) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text+"\n"), 0o600); err != nil {
		r.Fatal(err)
	}
}

// layout says what a test's configuration differs in from any other's.
type layout struct {
	poll  time.Duration // poll_interval; 0 = 250 ms
	feed  string        // further lines of the feed block
	sinks []string      // nil = every sink
	where string        // of the route to all sinks; "" = no route block
	tight []string      // sinks with short time-outs and small batches, for tests of what goes wrong
	more  string        // further blocks
}

// configure writes the configuration file.
func (r *rig) configure(l layout) {
	r.Helper()
	in := func(name string) string { return filepath.Join(r.dir, name) }
	var b strings.Builder
	fmt.Fprintf(&b, `log   { level = "trace" }
state { dir = %q }
http  { listen = "127.0.0.1:0" }

feed "research" {
  discovery_url = %q
  auth "bearer" {
    token = file(%q)
  }
  poll_interval = %q
  %s
}
`, in("state"), r.taxii.URL(), in("taxii-token"), fmt.Sprintf("%dms", slowness*cmp.Or(l.poll, 250*time.Millisecond).Milliseconds()), l.feed)
	if l.sinks == nil {
		l.sinks = everySink
	}
	var to []string
	for _, s := range l.sinks {
		kind, name, _ := strings.Cut(s, ".")
		to = append(to, "sink."+s)
		fmt.Fprintf(&b, "\nsink %q %q {\n%s}\n", kind, name, r.sinkBody(s, in)+l.bounds(s))
	}
	if l.where != "" {
		fmt.Fprintf(&b, "\nroute \"all\" {\n  from  = [feed.research]\n  to    = [%s]\n  where = %s\n}\n", strings.Join(to, ", "), l.where)
	}
	b.WriteString(l.more)
	// At once, as a forwarder may be reading it.
	if err := os.WriteFile(r.config+".new", []byte(b.String()), 0o600); err != nil {
		r.Fatal(err)
	}
	if err := os.Rename(r.config+".new", r.config); err != nil {
		r.Fatal(err)
	}
}

// bounds returns the time-outs and batch sizes of a tight layout, in lines of a
// sink block.
func (l *layout) bounds(sink string) string {
	if !slices.Contains(l.tight, sink) {
		return ""
	}
	timeout := fmt.Sprintf("  timeout = \"%ds\"\n", slowness)
	switch sink {
	case splunkSink:
		return timeout + fmt.Sprintf("  ack_timeout = \"%ds\"\n  batch {\n    max_events = 20\n  }\n", slowness)
	case elasticSink:
		return timeout + "  batch {\n    max_documents = 50\n  }\n"
	case sentinelSink:
		return timeout
	}
	return ""
}

func (r *rig) sinkBody(sink string, in func(string) string) string {
	switch sink {
	case splunkSink:
		return fmt.Sprintf("  url   = %q\n  token = file(%q)\n  index = \"threat_intel\"\n", r.splunk.URL(), in("hec-token"))
	case sentinelSink:
		return fmt.Sprintf(`  workspace_id = %q
  credential "client_secret" {
    tenant_id     = %q
    client_id     = %q
    client_secret = file(%q)
  }
  endpoint                   = %q
  authority_host             = %q
  disable_instance_discovery = true
  requests_per_minute        = 100000
  tls {
    ca_file = %q
  }
`, r.sentinel.WorkspaceID(), sentineltest.TenantID, clientID(r.Name()), in("azure-secret"), r.sentinel.URL(), r.sentinel.URL(), in("sentinel-ca.pem"))
	case elasticSink:
		return fmt.Sprintf("  addresses = [%q]\n  api_key   = file(%q)\n", r.elastic.URL(), in("elastic-key"))
	case fileSink:
		return fmt.Sprintf("  path = %q\n", r.archive)
	}
	r.Fatalf("no sink %s", sink)
	return ""
}

// start starts the forwarder; it is stopped at the end of the test, if not
// before, and everything that it said is searched for secrets.
func (r *rig) start() {
	r.Helper()
	a, err := app.Start(context.Background(), app.Options{ConfigPath: r.config, Version: "e2e", LogOutput: &r.log, RetryWithin: r.within})
	if err != nil {
		r.Fatalf("start: %v", err)
	}
	r.app = a
	r.Cleanup(func() {
		if r.app == a {
			r.stop()
		}
	})
}

// stop stops the forwarder and returns how long that took.
func (r *rig) stop() time.Duration {
	r.Helper()
	r.checkPages()
	began := time.Now()
	if err := r.app.Stop(context.Background()); err != nil {
		r.Errorf("stop: %v", err)
	}
	r.app = nil
	took := time.Since(began)
	r.checkSecrets()
	return took
}

// checkFakes fails the test for everything that a server was asked and should
// not have been.
func (r *rig) checkFakes() {
	r.Helper()
	report := func(what string, problems []string) {
		if len(problems) > 0 {
			r.Errorf("%s: %d problems, such as %q", what, len(problems), problems[:min(len(problems), 5)])
		}
	}
	report("taxii", r.taxii.Violations())
	report("splunk", r.splunk.Problems())
	report("sentinel", r.sentinel.Regressions())
	if n := r.elastic.Stats().Refused; n > 0 {
		r.Errorf("elasticsearch refused %d operations", n)
	}
}

// serve adds objects to a collection, as added at an instant, and to what the
// test knows of the feed.
func (r *rig) serve(c *taxiitest.Collection, added time.Time, objects ...[]byte) {
	c.Add(added, objects...)
	for _, raw := range objects {
		r.truth.note(raw)
	}
}

// serveSpread adds objects over a time, several of them at each instant, so
// that pages end between objects of one date.
func (r *rig) serveSpread(c *taxiitest.Collection, from time.Time, step time.Duration, ties int, objects [][]byte) {
	for i, group := range slices.Collect(slices.Chunk(objects, ties)) {
		r.serve(c, from.Add(time.Duration(i)*step), group...)
	}
}
