package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// serveShapes serves n indicators of every shape, from half an hour ago.
func (r *rig) serveShapes(n int) {
	var objects [][]byte
	for i := range n {
		objects = append(objects, shaped(i, time.Now().Add(-time.Hour)).raw())
	}
	r.serveSpread(r.main, time.Now().Add(-30*time.Minute), time.Second, 7, objects)
}

// TestSinksDown starts the forwarder while no destination can be reached. It
// follows the feed all the same, names each destination with what is wrong with
// it, says so once in the log however often it tries, and delivers everything
// when they are back.
func TestSinksDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{PageCap: 50})
	r.serveShapes(210)
	r.splunk.Stop()
	r.sentinel.Refuse()
	r.elastic.Stop()
	away := filepath.Dir(r.archive) + "-away"
	if err := os.Rename(filepath.Dir(r.archive), away); err != nil {
		t.Fatal(err)
	}
	r.configure(layout{})
	r.start()
	failures := func(sink string) float64 {
		sum := 0.0
		for _, kind := range []intel.FailureKind{intel.FailUnreachable, intel.FailLocal, intel.FailAuth, intel.FailTimeout, intel.FailProtocol} {
			sum += r.metric(`sink_failures_total{feed="research",kind="` + string(kind) + `",sink="` + sink + `"}`)
		}
		return sum
	}
	s := r.until("three attempts at every sink", func(s status.Status) bool {
		return !slices.ContainsFunc(everySink, func(sink string) bool { return failures(sink) < 3 })
	})
	if s.Feeds[0].State == status.StateFailing || s.Feeds[0].Current != 210 {
		t.Errorf("the feed is %s with %d indicators; it has nothing to do with the sinks", s.Feeds[0].State, s.Feeds[0].Current)
	}
	code, lenient := r.get("/readyz")
	strictCode, strict := r.get("/readyz?strict")
	if code != http.StatusOK || strictCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz %d, strictly %d; want 200 and 503", code, strictCode)
	}
	if code, _ := r.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz %d: a restart would not help", code)
	}
	for _, k := range s.Sinks {
		sink, kind := k.Kind+"."+k.Name, intel.FailUnreachable
		if sink == fileSink {
			kind = intel.FailLocal
		}
		if k.State != status.StateFailing || k.FailureKind != kind || k.Error == "" || k.FailingSince.IsZero() || k.RetryAt.IsZero() {
			t.Errorf("%s: status %+v, want it failing with %s", sink, k, kind)
		}
		for _, page := range []string{lenient, strict} {
			if !strings.Contains(page, k.Name) || !strings.Contains(page, jsonText(k.Error)) {
				t.Errorf("/readyz does not say %q of %s: %s", k.Error, k.Name, page)
			}
		}
		if up := r.metric(`sink_up{feed="research",sink="` + sink + `"}`); up != 0 {
			t.Errorf("%s: metric sink_up is %v", sink, up)
		}
		if said := r.log.lines("[ERROR]", "sink="+sink); len(said) != 1 {
			t.Errorf("the log complains %d times of %s, want once:\n%s", len(said), sink, strings.Join(said, "\n"))
		}
	}

	// A stop does not wait for destinations that are down, and forgets nothing.
	if took := r.stop(); took > 3*time.Second {
		t.Errorf("stopping took %s", took)
	}
	r.start()
	r.until("another failure", func(s status.Status) bool {
		return !slices.ContainsFunc(s.Sinks, func(k status.Sink) bool { return k.State != status.StateFailing })
	})
	if err := os.Rename(away, filepath.Dir(r.archive)); err != nil {
		t.Fatal(err)
	}
	if err := r.splunk.Start(); err != nil {
		t.Fatal(err)
	}
	if err := r.sentinel.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := r.elastic.Restart(true); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))
	if code, page := r.get("/readyz?strict"); code != http.StatusOK {
		t.Errorf("/readyz?strict %d %s", code, page)
	}
	for _, sink := range everySink {
		if again := r.log.lines("[INFO]", "delivery works again", "sink="+sink); len(again) != 1 {
			t.Errorf("the log says %d times that %s works again, want once", len(again), sink)
		}
		if up := r.metric(`sink_up{feed="research",sink="` + sink + `"}`); up != 1 {
			t.Errorf("%s: metric sink_up is %v", sink, up)
		}
	}
	if n := r.splunk.Repeats(); n > 0 {
		t.Errorf("splunk was sent %d events twice", n)
	}
	r.unchanged()
	r.checkFakes()
}

// jsonText returns a string as it stands within JSON.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

// TestWrongToken: a TAXII server that refuses the credentials is named with the
// reason, and asked again; once they are right, everything arrives.
func TestWrongToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{})
	r.serveShapes(63)
	r.write("taxii-token", "the-wrong-one")
	r.configure(layout{})
	r.start()
	s := r.until("the failure", func(s status.Status) bool { return len(s.Feeds) == 1 && s.Feeds[0].State == status.StateFailing })
	f := s.Feeds[0]
	if f.FailureKind != intel.FailAuth || !strings.Contains(f.Error, "401") || f.RetryAt.IsZero() {
		t.Errorf("the status says %+v", f.Failure)
	}
	if code, page := r.get("/readyz?strict"); code != http.StatusServiceUnavailable || !strings.Contains(page, "research") {
		t.Errorf("/readyz?strict %d %s", code, page)
	}
	if up := r.metric(`feed_failures_total{feed="research",kind="auth"}`); up < 1 {
		t.Error("the metrics do not count the failure")
	}

	r.write("taxii-token", taxiiToken)
	if err := r.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))

	// The server no longer takes the token: what is there stays, and what is added
	// meanwhile comes when it does.
	before := r.traffic()
	r.taxii.Inject(taxiitest.Fault{Match: "/", Times: -1, Status: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/taxii+json;version=2.1"}},
		Body: `{"title":"unauthorized","description":"the token has expired","http_status":"401"}`})
	r.until("the second failure", func(s status.Status) bool {
		return s.Feeds[0].State == status.StateFailing && s.Feeds[0].FailureKind == intel.FailAuth
	})
	r.serve(r.main, time.Now(), indicator(900, time.Now(), "[domain-name:value = 'late.example.com']").raw())
	if now := r.traffic(); now != before {
		t.Errorf("a feed that can not be read caused %+v, before it %+v", now, before)
	}
	r.taxii.ClearFaults()
	if err := r.app.Reload(t.Context()); err != nil { // as the admin would, rather than wait
		t.Fatal(err)
	}
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))
	r.checkFakes()
}

// TestUnauthorizedForAWhile is a server that mends itself: nobody has to do
// anything.
func TestUnauthorizedForAWhile(t *testing.T) {
	t.Parallel() // waits up to 20 s for the back-off after a 401
	r := newRig(t, taxiitest.Options{})
	r.serveShapes(21)
	r.taxii.Inject(taxiitest.Fault{Match: "/taxii2/", Status: http.StatusUnauthorized})
	r.configure(layout{})
	r.start()
	r.until("the failure", func(s status.Status) bool { return len(s.Feeds) == 1 && s.Feeds[0].FailureKind == intel.FailAuth })
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))
	if n := len(r.log.lines("[INFO]", "discovery works again")); n != 1 {
		t.Errorf("the log says %d times that discovery works again, want once", n)
	}
}

// TestBrokenPage breaks a page in the middle of the feed, in three ways. What
// came before is delivered, the walk goes on from there when the page is whole,
// and nothing is missing or sent twice.
func TestBrokenPage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]taxiitest.Fault{
		"broken JSON":  {CutAfter: 5000, CutQuietly: true},
		"cut off":      {CutAfter: 5000},
		"not JSON now": {Status: http.StatusOK, Body: `{"more":true,"objects":[{"type":"indicator",,]}`, Header: http.Header{"Content-Type": {"application/taxii+json;version=2.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, taxiitest.Options{PageCap: 20})
			r.serveShapes(210)
			fault.Match, fault.Skip, fault.Times = "/91a7b528-80eb-42ed-a74d-c6fbd5a26116/objects/", 4, -1
			r.taxii.Inject(fault)
			r.configure(layout{feed: "page_size = 20"})
			r.start()
			failing := func(s status.Status) bool { return len(s.Feeds) == 1 && s.Feeds[0].State == status.StateFailing }
			if f := r.until("the failure", failing).Feeds[0]; f.Error == "" || f.FailureKind == "" || f.RetryAt.IsZero() {
				t.Errorf("the status says %+v", f.Failure)
			}
			if n := r.delivered().Feeds[0].Current; n < 60 || n > 209 {
				t.Errorf("%d indicators are known while the feed fails, want those of the first pages", n)
			}
			if n := len(r.holds(fileSink)); n < 60 {
				t.Errorf("%d indicators are delivered while the feed fails, want those of the first pages", n)
			}
			r.taxii.ClearFaults()
			r.settle()
			r.checkHeld(expect(r.truth.inForce(t, time.Now())))
			if n := len(r.lines()); n != 210 {
				t.Errorf("the archive has %d lines for 210 indicators", n)
			}
			if n := r.splunk.Repeats(); n > 0 {
				t.Errorf("splunk was sent %d events twice", n)
			}
			r.unchanged()
			r.checkFakes()
		})
	}
}

// TestTalkativeServers lets every server repeat, in its error pages and error
// messages, the credentials that it was sent, and refuse an indicator for good
// with them in the reason. Nothing of it gets into the log, the pages or the
// dead letters (stop searches them).
func TestTalkativeServers(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{})
	r.serveShapes(42)
	encoded := base64.StdEncoding.EncodeToString([]byte(elasticKey))
	page := func(secret string) string {
		return "<html><body>can not handle Authorization: " + secret + "</body></html>"
	}

	r.taxii.Inject(taxiitest.Fault{Status: http.StatusBadGateway, Header: http.Header{"Content-Type": {"text/html"}}, Body: page("Bearer " + taxiiToken)})
	r.splunk.Inject(splunktest.Fault{Times: 1, Body: page("Splunk " + hecToken)})
	r.sentinel.Inject(sentineltest.Fault{Kind: sentineltest.Echo, Count: 1, Login: true})
	r.sentinel.Inject(sentineltest.Fault{Kind: sentineltest.Echo, Count: 1})
	r.elastic.Inject(elastictest.Echo, 2)
	poisoned := id("indicator", 4)
	r.splunk.Poison(func(e splunktest.Event) bool { return e.STIXID == poisoned }, 6)
	r.sentinel.Poison(func(o json.RawMessage) bool { return strings.Contains(string(o), poisoned) }, false)
	r.elastic.Poison(func(_ string, doc []byte) *elastictest.Error {
		if strings.Contains(string(doc), poisoned) {
			return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "ApiKey " + encoded + " may not, says " + elasticKey}
		}
		return nil
	})
	r.configure(layout{})
	r.start()
	r.until("all to have failed", func(s status.Status) bool {
		for _, sink := range []string{splunkSink, sentinelSink, elasticSink} {
			if len(r.log.lines("[ERROR]", "delivery failing", "sink="+sink)) == 0 {
				return false
			}
		}
		return len(r.log.lines("[ERROR]", "poll failing")) > 0
	})
	r.checkPages() // while the errors are on them
	r.settle()
	s := r.app.Status(t.Context())
	for _, sink := range []string{splunkSink, sentinelSink, elasticSink} {
		if n := route(t, s, sink).DeadLetters; n != 1 {
			t.Errorf("%s has %d dead letters, want 1", sink, n)
		}
	}
	r.stop()
	letters := r.deadLetters()
	if len(letters) != 3 {
		t.Errorf("%d dead letters, want 3", len(letters))
	}
	for _, l := range letters {
		if l.STIXID != poisoned || l.Reason == "" || len(l.Sent) == 0 || len(l.Raw) == 0 {
			t.Errorf("dead letter %+v", l)
		}
		r.search("the dead letter of "+l.Sink, l.Detail+string(l.Sent)+string(l.Raw))
		if l.Sink == elasticSink && !strings.Contains(l.Detail, "**redacted**") {
			t.Errorf("the dead letter of %s says %q, so this proves nothing", l.Sink, l.Detail)
		}
	}
	// The neighbours of the poisoned one are where they should be.
	want := expect(r.truth.inForce(t, time.Now()))
	for _, sink := range everySink {
		if sink != fileSink {
			delete(want[sink].held, poisoned)
		}
		compare(t, sink, want[sink].held, r.holds(sink))
	}
	// The servers did talk.
	for _, who := range []string{"feed=research error", "sink=" + splunkSink, "sink=" + sentinelSink} {
		if len(r.log.lines("failing", who, "**redacted**")) == 0 {
			t.Errorf("nothing had to be taken out of what the log says about %s, so this proves nothing", who)
		}
	}
}
