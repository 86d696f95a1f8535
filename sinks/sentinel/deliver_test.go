package sentinel

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sentinel/sentineltest"
)

func TestDeliverAndWithdraw(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	sink := newSink(t, configFor(t, server))

	if got := statuses(deliver(t, sink, upserts(0, 250))); got != "delivered:250" {
		t.Fatalf("outcomes: %s", got)
	}
	if n := len(server.Active()); n != 250 {
		t.Errorf("server holds %d objects, want 250", n)
	}
	if n := server.Requests(); n != 3 {
		t.Errorf("%d requests, want 3 of at most 100 objects", n)
	}
	if n := server.Logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	for _, u := range server.Uploads() {
		if u.Source != "soc" {
			t.Errorf("sourcesystem %q, want the feed's name", u.Source)
		}
	}

	w := withdraw(indicator(7), intel.ReasonGone)
	if got := statuses(deliver(t, sink, []intel.Change{w})); got != "delivered:1" {
		t.Fatalf("outcomes: %s", got)
	}
	o, _ := server.Object("soc", id(7))
	if !o.Revoked || !o.Modified.After(indicator(7).Modified) || o.ValidUntil.After(w.At) {
		t.Errorf("withdrawn object is %s", o.Raw)
	}
	if n := len(server.Active()); n != 249 {
		t.Errorf("server holds %d active objects, want 249", n)
	}
	if r := server.Regressions(); len(r) > 0 {
		t.Errorf("older versions were sent: %v", r)
	}
}

// TestVersionsNeverGoBack sends the life of an indicator that leaves a filter
// and comes back, unchanged, and is withdrawn again.
func TestVersionsNeverGoBack(t *testing.T) {
	for _, compound := range []string{"forward", "split", "skip"} {
		t.Run(compound, func(t *testing.T) {
			server := newServer(t, sentineltest.Options{})
			config := configFor(t, server)
			config.Compound = compound
			sink := newSink(t, config)
			now := at
			ind := indicator(1)
			step := func(c intel.Change) {
				t.Helper()
				now = now.Add(time.Minute)
				c.At = now
				if c.Action == intel.Upsert && server.Requests() > 0 {
					c.FirstDelivered = at
				}
				if got := statuses(deliver(t, sink, []intel.Change{c})); got != "delivered:1" {
					t.Fatalf("outcomes: %s", got)
				}
				want := c.Action == intel.Withdraw
				if o := server.Objects(); len(o) != 1 || o[0].Revoked != want {
					t.Fatalf("server holds %+v, want one with revoked=%v", o, want)
				}
			}
			step(upsert(ind))
			step(upsert(ind)) // its context changed
			step(withdraw(ind, intel.ReasonFiltered))
			step(upsert(ind))
			step(withdraw(ind, intel.ReasonGone))
			newer := *ind
			newer.Modified = at.Add(30 * time.Second) // made before the withdrawal, seen after it
			step(upsert(&newer))
			step(withdraw(&newer, intel.ReasonRevoked))
			if r := server.Regressions(); len(r) > 0 {
				t.Errorf("older versions were sent: %v", r)
			}
		})
	}
}

func TestRejectedByName(t *testing.T) {
	isThird := func(raw json.RawMessage) bool { return bytes.Contains(raw, []byte(`"`+id(3)+`"`)) }
	for _, swagger := range []bool{false, true} {
		server := newServer(t, sentineltest.Options{SwaggerNames: swagger})
		server.Poison(isThird, false)
		sink := newSink(t, configFor(t, server))
		out := deliver(t, sink, upserts(0, 10))
		if got := statuses(out); got != "delivered:9 rejected/validation:1" {
			t.Errorf("swagger names %v: outcomes: %s", swagger, got)
		}
		if o := out[3]; o.Status != intel.Rejected || !strings.Contains(o.Detail, "can not be processed") || !bytes.Contains(o.Sent, []byte(id(3))) {
			t.Errorf("swagger names %v: outcome 3 is %+v", swagger, o)
		}
		if n := server.Requests(); n != 1 {
			t.Errorf("swagger names %v: %d requests, want 1", swagger, n)
		}
		if n := len(server.Active()); n != 9 {
			t.Errorf("swagger names %v: %d objects, want 9", swagger, n)
		}
		// Alone it makes the whole request a 400, which names it too.
		if got := statuses(deliver(t, sink, upserts(3, 4))); got != "rejected/validation:1" {
			t.Errorf("swagger names %v: alone: %s", swagger, got)
		}
	}
}

func TestRejectedWithoutMessage(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	server.Inject(sentineltest.Fault{Kind: sentineltest.NoMessages, Count: 1})
	out := deliver(t, newSink(t, configFor(t, server)), upserts(0, 3))
	if out[0].Status != intel.Rejected || out[1].Status != intel.Delivered || out[2].Status != intel.Delivered {
		t.Errorf("outcomes: %+v", out)
	}
}

func TestPoisonIsFoundByHalving(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	server.Poison(func(raw json.RawMessage) bool {
		return bytes.Contains(raw, []byte(`"`+id(41)+`"`)) || bytes.Contains(raw, []byte(`"`+id(97)+`"`))
	}, true)
	out := deliver(t, newSink(t, configFor(t, server)), upserts(0, 100))
	for i, o := range out {
		want := intel.Delivered
		if i == 41 || i == 97 {
			want = intel.Rejected
		}
		if o.Status != want {
			t.Errorf("change %d is %s, want %s", i, o.Status, want)
		}
	}
	if out[41].Reason != "bad_request" || !strings.Contains(out[41].Detail, "could not be processed") {
		t.Errorf("outcome 41 is %+v", out[41])
	}
	if n := server.Requests(); n > 30 {
		t.Errorf("%d requests to find two of 100", n)
	}
	if n := len(server.Active()); n != 98 {
		t.Errorf("%d objects, want 98", n)
	}
}

// TestNothingIsEverAccepted: a set-up that makes every request a 400 must not
// turn a feed into dead letters.
func TestNothingIsEverAccepted(t *testing.T) {
	server := newServer(t, sentineltest.Options{RequestsPerMinute: -1})
	server.Poison(func(json.RawMessage) bool { return true }, true)
	config := configFor(t, server)
	config.RequestsPerMinute = 10_000
	sink := newSink(t, config)
	out, err := sink.Deliver(t.Context(), upserts(0, 60))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailConfig {
		t.Errorf("error: %v", err)
	}
	if got := statuses(out); got != "unknown:60" {
		t.Errorf("outcomes: %s", got)
	}
	// A few refused at the beginning are just poison.
	if got := statuses(deliver(t, sink, upserts(0, 2))); got != "rejected/bad_request:2" {
		t.Errorf("outcomes: %s", got)
	}
}

func TestOneIDTwiceInABatch(t *testing.T) {
	older, newer := indicator(1), indicator(1)
	newer.Feed, newer.Modified, newer.Name = "other", older.Modified.Add(time.Second), "newer"
	batch := []intel.Change{upsert(newer), upsert(older), upsert(indicator(2))}

	server := newServer(t, sentineltest.Options{})
	config := configFor(t, server)
	config.SourceSystem = "both"
	sink := newSink(t, config)
	if got := statuses(deliver(t, sink, batch)); got != "delivered:3" {
		t.Errorf("outcomes: %s", got)
	}
	if o, _ := server.Object("both", id(1)); o.Name != "newer" || o.Uploads != 1 {
		t.Errorf("server holds %+v", o)
	}
	// Where the newest is refused, the older one gets its turn.
	server.Poison(func(raw json.RawMessage) bool { return bytes.Contains(raw, []byte(`"newer"`)) }, false)
	out := deliver(t, sink, batch)
	if out[0].Status != intel.Rejected || out[1].Status != intel.Delivered {
		t.Errorf("outcomes: %+v", out)
	}
}

func TestSkippedAreNotSent(t *testing.T) {
	expired, odd := indicator(1), indicator(2)
	expired.ValidUntil = at.Add(-time.Second)
	odd.ID = "indicator--not-a-uuid"
	server := newServer(t, sentineltest.Options{})
	out := deliver(t, newSink(t, configFor(t, server)), []intel.Change{upsert(expired), upsert(indicator(3)), upsert(odd)})
	if got := statuses(out); got != "skipped/expired:1 delivered:1 skipped/bad_id:1" {
		t.Errorf("outcomes: %s", got)
	}
	if n := len(server.Objects()); n != 1 {
		t.Errorf("%d objects, want 1", n)
	}
}

func TestSplitFollowsVersions(t *testing.T) {
	server := newServer(t, sentineltest.Options{})
	config := configFor(t, server)
	config.Compound = "split"
	sink := newSink(t, config)
	ip := func(s string) intel.Observable {
		return intel.Observable{Type: intel.TypeIPv4, Value: s, Fidelity: intel.FidelityExact}
	}
	active := func() string {
		var patterns []string
		for _, o := range server.Active() {
			patterns = append(patterns, o.Pattern)
		}
		// Ids are hashes of the values, so that their order is fixed but arbitrary.
		return strings.Join(patterns, " ")
	}
	ind := indicator(1)
	deliver(t, sink, []intel.Change{upsert(ind)})

	two := *ind
	two.Modified = ind.Modified.Add(time.Hour)
	two.Pattern = "[ipv4-addr:value='198.51.100.1' OR ipv4-addr:value='198.51.100.9']"
	two.Observables = []intel.Observable{ip("198.51.100.1"), ip("198.51.100.9")}
	c := upsert(&two)
	c.At, c.FirstDelivered = at.Add(time.Minute), at
	deliver(t, sink, []intel.Change{c})
	if got := active(); !strings.Contains(got, "198.51.100.1'") || !strings.Contains(got, "198.51.100.9'") || len(server.Active()) != 2 {
		t.Fatalf("after the second version: %s", got)
	}

	last := two
	last.Modified = two.Modified.Add(time.Hour)
	last.Pattern, last.Observables = "[ipv4-addr:value='198.51.100.9']", []intel.Observable{ip("198.51.100.9")}
	c = upsert(&last)
	c.At, c.FirstDelivered, c.Remove = at.Add(2*time.Minute), at, []intel.Ref{{Type: intel.TypeIPv4, Value: "198.51.100.1"}}
	deliver(t, sink, []intel.Change{c})
	if got := active(); got != "[ipv4-addr:value = '198.51.100.9']" {
		t.Fatalf("after the third version: %s", got)
	}

	w := withdraw(&last, intel.ReasonRevoked)
	deliver(t, sink, []intel.Change{w})
	if got := active(); got != "" {
		t.Errorf("after the withdrawal: %s", got)
	}
	if n := len(server.Objects()); n != 2 {
		t.Errorf("%d identities were used, want 2", n)
	}
	if r := server.Regressions(); len(r) > 0 {
		t.Errorf("older versions were sent: %v", r)
	}
}
