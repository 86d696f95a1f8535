package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestReloadOfBadConfiguration: whatever is wrong with a configuration, the one
// in force goes on, and the refusal is seen from the command, the status, the
// metrics and the log.
func TestReloadOfBadConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{})
	epoch := time.Now().Add(-time.Hour)
	added := 0
	add := func() {
		added++
		r.serve(r.main, time.Now(), indicator(added, epoch, "[ipv4-addr:value = '"+address(added)+"']").raw())
	}
	add()
	good := layout{}
	r.configure(good)
	r.start()
	r.settle()
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	loaded := r.app.Status(t.Context()).Config.LoadedAt

	edit := func(old, new string) string {
		s := strings.Replace(string(text), old, new, 1)
		if s == string(text) {
			t.Fatalf("no %q in %s", old, text)
		}
		return s
	}
	tests := []struct {
		name, text string
		report     bool   // the whole report is about the file
		says       string // in the status
	}{
		{"not HCL", string(text) + "\nsink {{", true, "config.hcl"},
		{"unknown attribute", edit("poll_interval", "pol_interval"), true, "pol_interval"},
		{"route to a sink that is not there", string(text) + "\nroute \"r\" {\n  from = [feed.research]\n  to = [sink.file.archiv]\n}\n", true, "sink.file.archiv"},
		{"filter that is no filter", string(text) + "\nroute \"r\" {\n  from = [feed.research]\n  to = [sink.file.archive]\n  where = indicator.confidense > 5\n}\n", true, "confidense"},
		{"secret that can not be read", edit("hec-token", "no-such-token"), true, "no-such-token"},
		{"state moved", edit(filepath.Base(r.dir)+"/state", filepath.Base(r.dir)+"/elsewhere"), false, "state.dir"},
		{"listener that is taken", edit("127.0.0.1:0", strings.TrimPrefix(r.elastic.URL(), "http://")), false, "listen"},
	}
	for _, tt := range tests {
		if err := os.WriteFile(r.config, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := r.app.Reload(t.Context())
		var refused *app.ConfigError
		if err == nil || errors.As(err, &refused) != tt.report {
			t.Errorf("%s: reload returned %v", tt.name, err)
			continue
		}
		s := r.app.Status(t.Context())
		if s.Config.LastReloadOK || !strings.Contains(s.Config.Error, tt.says) || !s.Config.LoadedAt.Equal(loaded) {
			t.Errorf("%s: status %+v, want an error about %q", tt.name, s.Config, tt.says)
		}
		if v := r.metric("config_last_reload_successful"); v != 0 {
			t.Errorf("%s: metric %v", tt.name, v)
		}
		if code, body := r.get("/readyz"); code != 200 || !strings.Contains(body, "refused") {
			t.Errorf("%s: /readyz %d %s", tt.name, code, body)
		}
	}
	if n := len(r.log.lines("[ERROR]", "reload refused")); n != len(tests) {
		t.Errorf("the log has %d refusals, want %d", n, len(tests))
	}
	add() // it is followed and delivered all the same
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))

	r.configure(good)
	if err := r.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.app.Status(t.Context()); !s.Config.LastReloadOK || s.Config.Error != "" || !s.Config.LoadedAt.After(loaded) {
		t.Errorf("status %+v after a good reload", s.Config)
	}
	if v := r.metric("config_last_reload_successful"); v != 1 {
		t.Errorf("metric %v after a good reload", v)
	}
	add()
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))
	r.checkFakes()
}

// TestReloadChangesRoutes: a sink that is added is filled from the replica, one
// that is left out gets nothing more, and one that returns goes on where it
// was. The TAXII server is not asked for an object again for any of it.
func TestReloadChangesRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{PageCap: 30})
	epoch := time.Now().Add(-time.Hour)
	const n = 105 // five of each shape
	var objects [][]byte
	for i := range n {
		objects = append(objects, shaped(i, epoch).with(object{"confidence": i}).raw())
	}
	r.serveSpread(r.main, time.Now().Add(-30*time.Minute), time.Second, 7, objects)
	asked := 0
	reload := func(l layout) {
		t.Helper()
		l.poll = time.Hour
		r.configure(l)
		if err := r.app.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.delivered()
		if now := r.taxii.ObjectRequests(); now != asked {
			t.Errorf("the reload caused %d requests for objects", now-asked)
		}
	}
	only := func(sinks ...string) map[string]expectation {
		want := expect(r.truth.inForce(t, time.Now()))
		for _, s := range everySink {
			if !slices.Contains(sinks, s) {
				delete(want, s)
			}
		}
		return want
	}

	r.configure(layout{poll: time.Hour, sinks: []string{fileSink, splunkSink}})
	r.start()
	r.until("the first poll", func(s status.Status) bool { return len(s.Feeds) == 1 && !s.Feeds[0].LastSuccess.IsZero() })
	asked = r.taxii.ObjectRequests()
	r.checkHeld(only(fileSink, splunkSink))
	before := r.traffic()
	if before.sentinel+before.elastic > 0 {
		t.Fatalf("%+v before they were configured", before)
	}

	reload(layout{sinks: everySink})
	r.checkHeld(only(everySink...))
	if now := r.traffic(); now.splunk != before.splunk || now.lines != before.lines {
		t.Errorf("the old sinks were sent something for the new ones' sake: %+v, before it %+v", now, before)
	}

	// Splunk is left out; meanwhile a filter makes the others withdraw.
	before = r.traffic()
	reload(layout{sinks: []string{fileSink, sentinelSink, elasticSink}, where: "indicator.confidence < 60"})
	s := r.app.Status(t.Context())
	if len(s.Routes) != 3 || len(s.Sinks) != 3 {
		t.Errorf("%d routes, %d sinks in the status", len(s.Routes), len(s.Sinks))
	}
	if _, page := r.get("/metrics"); strings.Contains(page, splunkSink) {
		t.Error("the metrics still speak of the sink that was left out")
	}
	all := r.truth.inForce(t, time.Now())
	few := slices.DeleteFunc(slices.Clone(all), func(ind *intel.Indicator) bool { return *ind.Confidence >= 60 })
	want := expect(few)
	delete(want, splunkSink)
	r.checkHeld(want)
	compare(t, "what splunk has kept", expect(all)[splunkSink].held, r.holds(splunkSink))
	now := r.traffic()
	if now.splunk != before.splunk {
		t.Errorf("splunk was sent %d requests without a route", now.splunk-before.splunk)
	}
	if got := now.lines - before.lines; got != n-60 {
		t.Errorf("the change of the filter wrote %d lines, want %d: only what leaves is told of", got, n-60)
	}

	// Everything is as before: what the filter took away comes back, and Splunk
	// has nothing to catch up on.
	before = now
	reload(layout{sinks: everySink})
	r.checkHeld(only(everySink...))
	now = r.traffic()
	if now.splunk != before.splunk || now.lines-before.lines != n-60 {
		t.Errorf("%+v, before it %+v", now, before)
	}
	r.checkFakes()
}
