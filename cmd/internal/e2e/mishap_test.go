package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// feedName stands for the TAXII server among the things that can go wrong.
const feedName = "research"

// listening makes a server listen again at its old address, which somebody's
// outgoing connection may hold for a moment.
func listening(t testing.TB, start func() error) {
	t.Helper()
	var err error
	for range 200 {
		if err = start(); err == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatal(err)
}

// poison makes every SIEM refuse the indicators for which bad is true, for
// good; their withdrawals it takes.
func (r *rig) poison(bad func(id string) bool) {
	r.splunk.Poison(func(e splunktest.Event) bool { return e.Action == "upsert" && bad(e.STIXID) }, 6)
	r.elastic.Poison(func(_ string, doc []byte) *elastictest.Error {
		if id, _, _ := document(r, doc); bad(id) {
			return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "poisoned"}
		}
		return nil
	})
	r.sentinel.Poison(func(raw json.RawMessage) bool {
		var o struct {
			ID      string `json:"id"`
			Revoked bool   `json:"revoked"`
		}
		return json.Unmarshal(raw, &o) == nil && !o.Revoked && bad(o.ID)
	}, false)
}

// mishap breaks a destination, or the feed, in a random way, until [rig.mend].
func (r *rig) mishap(what string, random *rand.Rand) {
	switch what {
	case splunkSink:
		faults := []splunktest.Fault{
			{Hang: true}, splunktest.CutBefore(), splunktest.CutAfter(), {HTML: 502}, {HTML: 200}, {Delay: 30 * time.Millisecond},
			splunktest.Throttle(time.Second), splunktest.Code(8), splunktest.Code(9), splunktest.Code(4), splunktest.Code(1), splunktest.Code(7),
			splunktest.Code(23), {Take: true, Code: 24}, {Take: true, Part: 3, Cut: true}, {Take: true, Part: 2, Code: 9}, {Take: true, Hang: true},
			{Endpoint: "ack", Cut: true}, {Endpoint: "ack", Hang: true}, {Endpoint: "ack", Code: 18}, {Endpoint: "ack", Take: true, Cut: true},
		}
		if i := random.IntN(len(faults) + 3); i < len(faults) {
			f := faults[i]
			f.Times = random.IntN(4) // 0 = until mended
			r.splunk.Inject(f)
			return
		}
		r.splunk.Stop()
	case sentinelSink:
		if random.IntN(4) == 0 {
			r.sentinel.RevokeTokens()
		}
		faults := []sentineltest.Fault{
			{Kind: sentineltest.Hang}, {Kind: sentineltest.HangAfter}, {Kind: sentineltest.CutBefore}, {Kind: sentineltest.CutAfter},
			{Kind: sentineltest.HTML}, {Kind: sentineltest.HTML, Code: 502}, {Kind: sentineltest.Slow, Delay: 30 * time.Millisecond},
			{Kind: sentineltest.Throttle, Seconds: 1}, {Kind: sentineltest.ThrottleText, Seconds: 1}, {Kind: sentineltest.Status, Code: 401},
			{Kind: sentineltest.Status, Code: 403}, {Kind: sentineltest.Status, Code: 404}, {Kind: sentineltest.Status, Code: 500},
			{Kind: sentineltest.BadIndex}, {Kind: sentineltest.Garbage}, {Kind: sentineltest.RestartKeep, Count: 1}, {Kind: sentineltest.RestartLose, Count: 1},
			{Kind: sentineltest.Status, Code: 500, Login: true}, {Kind: sentineltest.HTML, Login: true}, {Kind: sentineltest.CutBefore, Login: true},
		}
		if i := random.IntN(len(faults) + 3); i < len(faults) {
			f := faults[i]
			if f.Count == 0 {
				f.Count = random.IntN(4)
			}
			r.sentinel.Inject(f)
			return
		}
		r.sentinel.Refuse()
	case elasticSink:
		faults := elastictest.Faults()
		i := random.IntN(len(faults) + 3)
		if i >= len(faults) {
			r.elastic.Stop()
			return
		}
		if faults[i] == elastictest.TooLarge {
			return // a server that takes no document of any size makes dead letters
		}
		times := random.IntN(4)
		if times == 0 {
			times = -1
		}
		r.elastic.Inject(faults[i], times)
	case fileSink:
		if err := os.Rename(filepath.Dir(r.archive), filepath.Dir(r.archive)+"-away"); err != nil {
			r.Fatal(err)
		}
	case feedName:
		header := http.Header{"Content-Type": {"application/taxii+json;version=2.1"}}
		faults := []taxiitest.Fault{
			{Status: 500}, {Status: 503}, {Status: 401}, {Status: 404}, {Status: 502, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
			{Status: 429, Header: http.Header{"Retry-After": {"1"}}}, {Status: 200, Body: `{"more":true,"objects":[{`, Header: header}, {Hang: true},
			{Lose: true}, {CutAfter: 700}, {CutAfter: 700, CutQuietly: true}, {Delay: 50 * time.Millisecond}, {Match: "/taxii2/", Status: 503},
			{Status: 200, Body: "<html>sign in</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		}
		f := faults[random.IntN(len(faults))]
		f.Skip, f.Times = random.IntN(3), random.IntN(5)
		if f.Times == 0 {
			f.Times = -1
		}
		r.taxii.Inject(f)
	}
}

// mend ends what [rig.mishap] began. It does no harm to what is whole.
func (r *rig) mend(what string) {
	r.Helper()
	switch what {
	case splunkSink:
		r.splunk.Clear()
		listening(r, r.splunk.Start)
	case sentinelSink:
		listening(r, r.sentinel.Heal)
	case elasticSink:
		listening(r, func() error { return r.elastic.Restart(true) })
	case fileSink:
		err := os.Rename(filepath.Dir(r.archive)+"-away", filepath.Dir(r.archive))
		if err != nil && !os.IsNotExist(err) {
			r.Fatal(err)
		}
	case feedName:
		r.taxii.ClearFaults()
	}
}

// restart takes a destination down and up again, with all it has in memory but
// what its kind does not keep.
func (r *rig) restart(what string) {
	r.Helper()
	switch what {
	case splunkSink:
		listening(r, func() error { return r.splunk.Restart(true) })
	case sentinelSink:
		listening(r, func() error { return r.sentinel.Restart(true) })
	case elasticSink:
		listening(r, func() error { return r.elastic.Restart(true) })
	}
}

// isPoisoned is [poisoned] by id.
func isPoisoned(id string) bool { return strings.HasPrefix(id, "indicator--") && poisoned(number(id)) }
