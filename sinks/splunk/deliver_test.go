package splunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// mustDeliver delivers and wants every change Delivered.
func mustDeliver(t testing.TB, s *Sink, batch []intel.Change) {
	t.Helper()
	out, err := s.Deliver(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Status != intel.Delivered {
			t.Fatalf("change %d: %+v", i, out[i])
		}
	}
}

// wantContent compares what users of the server see with the upserts of batch,
// except those numbered in without, and the number of repeats.
func wantContent(t testing.TB, srv *splunktest.Server, batch []intel.Change, repeats int, without ...int) {
	t.Helper()
	want := map[string]bool{}
	for i := range batch {
		for j := range batch[i].Indicator.Observables {
			want[batch[i].Indicator.ID+" "+batch[i].Indicator.Observables[j].Value] = true
		}
	}
	for _, i := range without {
		for j := range batch[i].Indicator.Observables {
			delete(want, batch[i].Indicator.ID+" "+batch[i].Indicator.Observables[j].Value)
		}
	}
	for _, e := range srv.Current() {
		k := e.STIXID + " " + e.Value
		if !want[k] {
			t.Errorf("splunk has %s, which it should not", k)
		}
		delete(want, k)
	}
	for k := range want {
		t.Errorf("splunk lacks %s", k)
	}
	if got := srv.Repeats(); got > repeats {
		t.Errorf("%d events came again, want at most %d", got, repeats)
	}
}

func TestDeliver(t *testing.T) {
	for _, gzip := range []bool{true, false} {
		t.Run(fmt.Sprintf("gzip=%v", gzip), func(t *testing.T) {
			srv := server(t, splunktest.Options{Indexes: []string{"threat_intel"}})
			s := open(t, srv, func(c *Config) { c.Gzip = &gzip })
			batch := batchOf(0, 1200)
			mustDeliver(t, s, batch)
			wantContent(t, srv, batch, 0)
			if n := srv.Requests("event"); n != 3 {
				t.Errorf("%d requests, want 3 of at most 500 events", n)
			}
			if n := srv.Requests("ack"); n != 0 {
				t.Errorf("%d questions about acknowledgments that the token does not have", n)
			}
			e := srv.Events()[0]
			if e.Index != "threat_intel" || e.SourceType != "stix:indicator" || e.Source != "taxii:osint/91a7b528-80eb-42ed-a74d-c6fbd5a26116" || e.Time != "1778051289.123" {
				t.Errorf("envelope %+v", e)
			}

			for i := range batch {
				batch[i] = withdraw(batch[i].Indicator, intel.ReasonGone)
			}
			mustDeliver(t, s, batch)
			if left := srv.Current(); len(left) != 0 {
				t.Errorf("%d items left after their withdrawal", len(left))
			}
		})
	}
}

func TestDeliverNothing(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	if out, err := s.Deliver(t.Context(), nil); err != nil || len(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
	empty := testIndicator(1)
	empty.Observables, empty.Pattern = nil, ""
	out, err := s.Deliver(t.Context(), []intel.Change{upsert(empty)})
	if err != nil || out[0].Status != intel.Skipped || out[0].Reason != "no_pattern" {
		t.Errorf("%+v, %v", out, err)
	}
	if n := srv.Requests("event"); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}
}

// TestDeliverLarge delivers more than a window, in one change and in many.
func TestDeliverLarge(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	many := make([]intel.Observable, 8_000)
	for i := range many {
		many[i] = obs(intel.TypeDomain, fmt.Sprintf("h%d.example.net", i))
	}
	huge := testIndicator(1, many...)
	huge.Description = strings.Repeat("x", maxDescription)
	batch := append([]intel.Change{upsert(testIndicator(0)), upsert(huge)}, batchOf(2, 10)...)
	srv.Poison(func(e splunktest.Event) bool { return e.Value == "h7777.example.net" }, 6)
	out, err := s.Deliver(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if i == 1 {
			if out[i].Status != intel.Rejected || len(out[i].Held) != len(many)-1 {
				t.Errorf("the poisoned change: %s, %d of %d held", out[i].Status, len(out[i].Held), len(many)-1)
			}
		} else if out[i].Status != intel.Delivered {
			t.Errorf("change %d: %+v", i, out[i])
		}
	}
	if n := len(srv.Current()); n != len(many)-1+11 {
		t.Errorf("%d items", n)
	}
	if n := srv.Repeats(); n != 0 {
		t.Errorf("%d repeats", n)
	}
}

// TestDeliverPoison puts bad events at every place of a request.
func TestDeliverPoison(t *testing.T) {
	const n = 20
	for _, code := range []int{6, 12, 13, 15} {
		for _, bad := range [][]int{{0}, {n - 1}, {7}, {0, 1, 2}, {n - 2, n - 1}, {3, 9, 10}, {0, n - 1}} {
			for _, ack := range []bool{false, true} {
				t.Run(fmt.Sprintf("code=%d,bad=%v,ack=%v", code, bad, ack), func(t *testing.T) {
					srv := server(t, splunktest.Options{Ack: ack})
					s := open(t, srv, nil)
					batch := batchOf(0, n)
					poisoned := map[string]bool{}
					for _, i := range bad {
						poisoned[batch[i].Indicator.ID] = true
					}
					srv.Poison(func(e splunktest.Event) bool { return poisoned[e.STIXID] }, code)
					out, err := s.Deliver(t.Context(), batch)
					if err != nil {
						t.Fatal(err)
					}
					for i := range out {
						ind := batch[i].Indicator
						if !poisoned[ind.ID] {
							if out[i].Status != intel.Delivered {
								t.Errorf("a neighbour, %d: %+v", i, out[i])
							}
							continue
						}
						if out[i].Status != intel.Rejected || out[i].Reason != fmt.Sprintf("hec_code_%d", code) || out[i].Detail == "" || !bytes.Contains(out[i].Sent, []byte(ind.ID)) {
							t.Errorf("the bad one, %d: %+v", i, out[i])
						}
					}
					wantContent(t, srv, batch, 0, bad...)
				})
			}
		}
	}
}

func TestDeliverPoisonAlone(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	srv.Poison(func(splunktest.Event) bool { return true }, 6)
	out, err := s.Deliver(t.Context(), batchOf(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Status != intel.Rejected || out[i].Reason != "hec_code_6" {
			t.Errorf("%+v", out[i])
		}
	}
}

// TestDeliverPartOfChange refuses one of several events of a change.
func TestDeliverPartOfChange(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	c := upsert(testIndicator(1,
		obs(intel.TypeDomain, "a.example.com"),
		obs(intel.TypeFile, sha256A, intel.FieldSHA256, sha256A, intel.FieldMD5, md5A),
		obs(intel.TypeDomain, "b.example.com")))
	c.Remove = []intel.Ref{{Type: intel.TypeDomain, Value: "gone.example.com"}}
	srv.Poison(func(e splunktest.Event) bool { return e.Value == sha256A || e.Value == "b.example.com" }, 12)
	out, err := s.Deliver(t.Context(), []intel.Change{c, upsert(testIndicator(2))})
	if err != nil {
		t.Fatal(err)
	}
	want := []intel.Ref{{Type: intel.TypeDomain, Value: "a.example.com"}, {Type: intel.TypeFile, Value: md5A}}
	if fmt.Sprint(out[0].Held) != fmt.Sprint(want) || out[0].Status != intel.Rejected {
		t.Errorf("%s, held %v, want %v", out[0].Status, out[0].Held, want)
	}
	if n := bytes.Count(out[0].Sent, []byte("\n")); n != 2 {
		t.Errorf("sent shows %d events, want the two refused", n)
	}
	if out[1].Status != intel.Delivered {
		t.Errorf("the neighbour: %+v", out[1])
	}
}

func TestDeliverTooLarge(t *testing.T) {
	for name, o := range map[string]splunktest.Options{
		"413":       {MaxContentLength: 60_000},
		"cloud":     {CloudMaxBytes: 60_000},
		"cloud,ack": {CloudMaxBytes: 60_000, Ack: true, Cloud: true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server(t, o)
			s := open(t, srv, nil)
			batch := batchOf(0, 1000)
			mustDeliver(t, s, batch)
			wantContent(t, srv, batch, 0)
			n := srv.Requests("event")
			if n > 60 {
				t.Errorf("%d requests", n)
			}
			// What was learned stays learned.
			mustDeliver(t, s, batchOf(1000, 100))
			if more := srv.Requests("event") - n; more > 6 {
				t.Errorf("%d requests for 100 events afterwards", more)
			}
		})
	}
}

func TestDeliverTooLargeAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		o      splunktest.Options
		reason string
	}{
		"413":   {splunktest.Options{MaxContentLength: 60_000}, "http_413"},
		"cloud": {splunktest.Options{CloudMaxBytes: 60_000}, "hec_code_6"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server(t, tt.o)
			s := open(t, srv, nil)
			batch := batchOf(0, 21)
			big := yara()
			big.Pattern = strings.Repeat("x", 100_000)
			batch[10] = upsert(big)
			out, err := s.Deliver(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range out {
				if i == 10 {
					if out[i].Status != intel.Rejected || out[i].Reason != tt.reason || len(out[i].Sent) > maxSent {
						t.Errorf("the large one: %s %s, %d bytes shown", out[i].Status, out[i].Reason, len(out[i].Sent))
					}
				} else if out[i].Status != intel.Delivered {
					t.Errorf("change %d: %+v", i, out[i])
				}
			}
			if n := srv.Repeats(); n != 0 {
				t.Errorf("%d repeats", n)
			}
		})
	}
}

// TestDeliverFailure: whatever concerns the destination as a whole is a failure
// that says why, loses nothing and is over once the cause is.
func TestDeliverFailure(t *testing.T) {
	const n = 30
	for _, tt := range []struct {
		name     string
		fault    splunktest.Fault
		kind     intel.FailureKind
		retry    time.Duration
		contains []string
		taken    int // events that arrived all the same
		known    int // outcomes that are known
	}{
		{name: "1 token disabled", fault: splunktest.Code(1), kind: intel.FailAuth, contains: []string{"token disabled", "enable the token"}},
		{name: "2 token required", fault: splunktest.Code(2), kind: intel.FailAuth, contains: []string{"code 2"}},
		{name: "3 invalid authorization", fault: splunktest.Code(3), kind: intel.FailAuth, contains: []string{"code 3"}},
		{name: "4 invalid token", fault: splunktest.Code(4), kind: intel.FailAuth, contains: []string{"invalid token (code 4)", "check that token"}},
		{name: "7 incorrect index", fault: splunktest.Code(7), kind: intel.FailConfig, contains: []string{`"threat_intel"`, "create"}},
		{name: "7 after some", fault: splunktest.Fault{Code: 7, Part: 11, Take: true}, kind: intel.FailConfig, contains: []string{`"threat_intel"`}, taken: 11, known: 10},
		{name: "8 internal error", fault: splunktest.Code(8), kind: intel.FailServer},
		{name: "8 internal error, taken", fault: splunktest.Fault{Code: 8, Take: true}, kind: intel.FailServer, taken: n},
		{name: "9 busy", fault: splunktest.Code(9), kind: intel.FailThrottled},
		{name: "9 busy after some", fault: splunktest.Fault{Code: 9, Part: 10, Take: true}, kind: intel.FailThrottled, taken: 10, known: 10},
		{name: "10 channel missing", fault: splunktest.Code(10), kind: intel.FailConfig, contains: []string{"X-Splunk-Request-Channel"}},
		{name: "11 channel invalid", fault: splunktest.Code(11), kind: intel.FailConfig},
		{name: "14 ack disabled", fault: splunktest.Code(14), kind: intel.FailConfig, contains: []string{`ack = "off"`}},
		{name: "16 query", fault: splunktest.Code(16), kind: intel.FailConfig},
		{name: "18 queues full", fault: splunktest.Code(18), kind: intel.FailThrottled},
		{name: "19 ack down", fault: splunktest.Code(19), kind: intel.FailThrottled},
		{name: "20 both", fault: splunktest.Code(20), kind: intel.FailThrottled},
		{name: "21 invalid token", fault: splunktest.Code(21), kind: intel.FailAuth},
		{name: "22 token disabled", fault: splunktest.Code(22), kind: intel.FailAuth},
		{name: "23 shutting down", fault: splunktest.Code(23), kind: intel.FailServer},
		{name: "26 at capacity", fault: splunktest.Throttle(7 * time.Second), kind: intel.FailThrottled, retry: 7 * time.Second},
		{name: "27 ack at capacity", fault: splunktest.Code(27), kind: intel.FailThrottled},
		{name: "28 channel missing", fault: splunktest.Code(28), kind: intel.FailConfig},
		{name: "502 page", fault: splunktest.Fault{HTML: 502}, kind: intel.FailServer, contains: []string{"502"}},
		{name: "502 page, taken", fault: splunktest.Fault{HTML: 502, Take: true}, kind: intel.FailServer, taken: n},
		{name: "503 page", fault: splunktest.Fault{HTML: 503, RetryAfter: time.Minute}, kind: intel.FailThrottled, retry: time.Minute},
		{name: "504 page", fault: splunktest.Fault{HTML: 504}, kind: intel.FailTimeout},
		{name: "200 page", fault: splunktest.Fault{HTML: 200}, kind: intel.FailProtocol, contains: []string{"no answer of an HTTP event collector"}},
		{name: "200 other JSON", fault: splunktest.Fault{Body: `{"ok":true}`}, kind: intel.FailProtocol},
		{name: "200 healthy", fault: splunktest.Fault{Body: `{"text":"HEC is healthy","code":17}`}, kind: intel.FailProtocol},
		{name: "400 page", fault: splunktest.Fault{HTML: 400}, kind: intel.FailProtocol},
		{name: "403 page", fault: splunktest.Fault{HTML: 403}, kind: intel.FailAuth},
		{name: "404 page", fault: splunktest.Fault{HTML: 404}, kind: intel.FailNotFound, contains: []string{"8088"}},
		{name: "415 page", fault: splunktest.Fault{HTML: 415}, kind: intel.FailConfig, contains: []string{"gzip = false"}},
		{name: "302", fault: splunktest.Fault{HTML: 302}, kind: intel.FailProtocol},
		{name: "cut before", fault: splunktest.CutBefore(), kind: intel.FailUnreachable},
		{name: "cut after", fault: splunktest.CutAfter(), kind: intel.FailUnreachable, taken: n},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := server(t, splunktest.Options{})
			s := open(t, srv, nil)
			srv.Inject(tt.fault)
			batch := batchOf(0, n)
			out, err := s.Deliver(t.Context(), batch)
			var f *intel.Failure
			if !errors.As(err, &f) {
				t.Fatalf("error %v is no failure", err)
			}
			if f.Kind != tt.kind || f.RetryAfter != tt.retry {
				t.Errorf("kind %s, retry after %s: %v", f.Kind, f.RetryAfter, err)
			}
			for _, want := range tt.contains {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), srv.Token()) {
				t.Errorf("the token is in %q", err)
			}
			for i := range out {
				want := intel.Unknown
				if i < tt.known {
					want = intel.Delivered
				}
				if out[i].Status != want {
					t.Errorf("outcome %d is %s, want %s", i, out[i].Status, want)
				}
			}
			if got := len(srv.Events()); got != tt.taken {
				t.Errorf("%d events arrived, want %d", got, tt.taken)
			}
			srv.Clear()
			mustDeliver(t, s, batch[tt.known:])
			wantContent(t, srv, batch, tt.taken-tt.known)
		})
	}
}

func TestDeliverNearCapacity(t *testing.T) {
	for _, code := range []int{24, 25} {
		for _, ack := range []bool{false, true} {
			srv := server(t, splunktest.Options{Ack: ack})
			s := open(t, srv, nil)
			srv.Inject(splunktest.Fault{Code: code, Take: true, Times: 2})
			batch := batchOf(0, 1500)
			mustDeliver(t, s, batch)
			wantContent(t, srv, batch, 0)
		}
	}
}

// TestDeliverSlowsDown: after a warning that queues fill, the next request
// waits; what was accepted with the warning is known.
func TestDeliverSlowsDown(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, func(c *Config) { c.Batch = &Batch{MaxEvents: 10} })
	s.times.slow = time.Hour
	srv.Inject(splunktest.Fault{Code: 24, Take: true, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	out, err := s.Deliver(ctx, batchOf(0, 20))
	if err == nil || srv.Requests("event") != 1 || out[9].Status != intel.Delivered || out[10].Status != intel.Unknown {
		t.Errorf("%d requests, outcomes %s and %s, %v", srv.Requests("event"), out[9].Status, out[10].Status, err)
	}
}

func TestDeliverWrongToken(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, func(c *Config) { c.Token = "11111111-secret-secret" })
	_, err := s.Deliver(t.Context(), batchOf(0, 1))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailAuth || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	// A page that shows the request it complains about, headers and all.
	srv.Inject(splunktest.Fault{Body: "<html>Authorization: Splunk 11111111-secret-secret</html>"})
	_, err = s.Deliver(t.Context(), batchOf(0, 1))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailProtocol || strings.Contains(err.Error(), "secret-secret") {
		t.Errorf("%v", err)
	}
}

func TestDeliverWrongIndex(t *testing.T) {
	srv := server(t, splunktest.Options{Indexes: []string{"main"}})
	s := open(t, srv, nil)
	_, err := s.Deliver(t.Context(), batchOf(0, 10))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailConfig || !strings.Contains(err.Error(), "threat_intel") {
		t.Errorf("%v", err)
	}
}

func TestDeliverDown(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	batch := batchOf(0, 10)
	mustDeliver(t, s, batch[:5])
	srv.Stop()
	_, err := s.Deliver(t.Context(), batch[5:])
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailUnreachable {
		t.Errorf("%v", err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, s, batch[5:])
	wantContent(t, srv, batch, 0)
}

func TestDeliverHang(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, func(c *Config) { c.Timeout = "1s" })
	srv.Inject(splunktest.Fault{Hang: true})
	_, err := s.Deliver(t.Context(), batchOf(0, 1))
	if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailTimeout {
		t.Errorf("%v", err)
	}
}

func TestDeliverCanceled(t *testing.T) {
	srv := server(t, splunktest.Options{})
	s := open(t, srv, nil)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Inject(splunktest.Fault{Hang: true, Do: cancel})
	out, err := s.Deliver(ctx, batchOf(0, 2))
	if f := (*intel.Failure)(nil); !errors.As(err, &f) || out[0].Status != intel.Unknown {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestDeliverConcurrently(t *testing.T) {
	for _, ack := range []bool{false, true} {
		srv := server(t, splunktest.Options{Ack: ack, AckPolls: 1, Sticky: ack})
		s := open(t, srv, func(c *Config) { c.Batch = &Batch{MaxEvents: 50} })
		all := batchOf(0, 1600)
		var wg sync.WaitGroup
		for part := range 8 {
			wg.Go(func() {
				out, err := s.Deliver(t.Context(), all[part*200:(part+1)*200])
				if err != nil {
					t.Error(err)
				}
				for i := range out {
					if out[i].Status != intel.Delivered {
						t.Errorf("%+v", out[i])
					}
				}
			})
		}
		wg.Wait()
		wantContent(t, srv, all, 0)
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, bb := range []struct {
		name string
		o    splunktest.Options
	}{{"plain", splunktest.Options{CountOnly: true}}, {"ack", splunktest.Options{CountOnly: true, Ack: true}}} {
		b.Run(bb.name, func(b *testing.B) {
			srv := server(b, bb.o)
			s := open(b, srv, nil)
			changes, _ := s.BatchLimit()
			batch := batchOf(0, changes)
			b.ReportAllocs()
			for b.Loop() {
				mustDeliver(b, s, batch)
			}
			b.ReportMetric(float64(b.N*changes)/b.Elapsed().Seconds(), "indicators/s")
		})
	}
}
