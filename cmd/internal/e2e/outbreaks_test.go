package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/sinktest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// kinds of failure, for short in the table.
var (
	unreachable = []intel.FailureKind{intel.FailUnreachable}
	timeout     = []intel.FailureKind{intel.FailTimeout}
	serverError = []intel.FailureKind{intel.FailServer}
	protocol    = []intel.FailureKind{intel.FailProtocol}
	throttled   = []intel.FailureKind{intel.FailThrottled}
	badLogin    = []intel.FailureKind{intel.FailAuth}
	notFound    = []intel.FailureKind{intel.FailNotFound}
	badConfig   = []intel.FailureKind{intel.FailConfig}
	local       = []intel.FailureKind{intel.FailLocal}
	dropped     = []intel.FailureKind{intel.FailUnreachable, intel.FailTimeout}
)

// outbreaks is what can go wrong with each sink's destination.
var outbreaks = slices.Concat(splunkOutbreaks, sentinelOutbreaks, elasticOutbreaks, fileOutbreaks)

var splunkOutbreaks = []outbreak{
	{fault: sinktest.Refuse, sink: splunkSink, begin: func(r *rig) { r.splunk.Stop() }, kinds: unreachable, says: "refused"},
	{fault: sinktest.Hang, sink: splunkSink, begin: hec(splunktest.Fault{Hang: true}), kinds: timeout, says: "no answer within"},
	{fault: sinktest.CutBeforeAccept, sink: splunkSink, begin: hec(splunktest.CutBefore()), kinds: unreachable, says: "closed the connection"},
	{fault: sinktest.CutAfterAccept, sink: splunkSink, begin: hec(splunktest.CutAfter()), kinds: unreachable, says: "closed the connection", takes: true},
	{fault: sinktest.HTML, sink: splunkSink, begin: hec(splunktest.Fault{HTML: 502}), kinds: serverError, says: "502"},
	{fault: sinktest.HTML200, sink: splunkSink, begin: hec(splunktest.Fault{HTML: 200}), kinds: protocol, says: "no answer of an HTTP event collector"},
	{fault: sinktest.Slow, sink: splunkSink, begin: hec(splunktest.Fault{Delay: 300 * time.Millisecond})},
	{fault: sinktest.Throttle, sink: splunkSink, begin: hec(splunktest.Throttle(time.Second)), kinds: throttled, says: "queue at capacity"},
	{fault: sinktest.ServerError, sink: splunkSink, begin: hec(splunktest.Code(8)), kinds: serverError, says: "code 8"},
	{fault: sinktest.Unauthorized, sink: splunkSink, begin: hec(splunktest.Code(4)), kinds: badLogin, says: "invalid token"},
	{fault: sinktest.NotFound, sink: splunkSink, begin: hec(splunktest.Fault{HTML: 404}), kinds: notFound, says: "check host, port and path"},
	{fault: sinktest.Echo, sink: splunkSink, begin: hec(splunktest.Fault{Body: "<html>Authorization: Splunk " + hecToken + "</html>"}), kinds: protocol, says: "**redacted**"},
	{fault: sinktest.RestartKeep, sink: splunkSink, begin: func(r *rig) { r.restartSplunk(true) }, kinds: dropped, takes: true, brief: true},
	{fault: sinktest.RestartLose, sink: splunkSink, begin: func(r *rig) { r.restartSplunk(false) }, kinds: dropped, takes: true, brief: true},
	{fault: sinktest.DiskFull, sink: splunkSink, begin: hec(splunktest.Code(18)), kinds: throttled, says: "queues are full"},

	{fault: "token_disabled", sink: splunkSink, begin: hec(splunktest.Code(1)), kinds: badLogin, says: "enable the token"},
	{fault: "index_wrong", sink: splunkSink, begin: hec(splunktest.Code(7)), kinds: badConfig, says: "threat_intel"},
	{fault: "busy", sink: splunkSink, begin: hec(splunktest.Code(9)), kinds: throttled, says: "busy"},
	{fault: "busy_after_some", sink: splunkSink, begin: hec(splunktest.Fault{Take: true, Part: 3, Code: 9}), kinds: throttled, says: "busy", takes: true},
	{fault: "cut_after_some", sink: splunkSink, begin: hec(splunktest.Fault{Take: true, Part: 3, Cut: true}), kinds: unreachable, takes: true},
	{fault: "shutting_down", sink: splunkSink, begin: hec(splunktest.Code(23)), kinds: serverError, says: "shutting down"},
	{fault: "queue_near_full", sink: splunkSink, begin: hec(splunktest.Fault{Take: true, Code: 24, Times: 1})},
	{fault: "ack_late", sink: splunkSink, setup: func(t *testing.T, r *rig) { r.otherSplunk(t, splunktest.Options{Ack: true, AckPolls: 3}) }, begin: func(*rig) {}},
	{fault: "ack_never", sink: splunkSink, begin: hec(splunktest.Fault{Endpoint: "ack", Body: `{"acks":{}}`}), kinds: timeout, says: "did not acknowledge", takes: true},
	{fault: "ack_fails", sink: splunkSink, begin: hec(splunktest.Fault{Endpoint: "ack", Code: 19}), kinds: throttled, says: "ack service unavailable", takes: true},
	{fault: "ack_lost", sink: splunkSink, begin: hec(splunktest.Fault{Endpoint: "ack", Take: true, Cut: true, Times: 1}), takes: true},
	{fault: "no_ack", sink: splunkSink, setup: func(t *testing.T, r *rig) { r.otherSplunk(t, splunktest.Options{}) }, begin: hec(splunktest.CutAfter()), kinds: unreachable, takes: true},
	{fault: "invalid_event_6", sink: splunkSink, begin: badEvent(6), dead: "hec_code_6"},
	{fault: "invalid_event_12", sink: splunkSink, begin: badEvent(12), dead: "hec_code_12"},
	{fault: "invalid_event_13", sink: splunkSink, begin: badEvent(13), dead: "hec_code_13"},
	{fault: "invalid_event_15", sink: splunkSink, begin: badEvent(15), dead: "hec_code_15"},
}

var sentinelOutbreaks = []outbreak{
	{fault: sinktest.Refuse, sink: sentinelSink, begin: func(r *rig) { r.sentinel.Refuse() }, kinds: unreachable, says: "refused"},
	{fault: sinktest.Hang, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Hang}), kinds: timeout, says: "no answer within"},
	{fault: sinktest.CutBeforeAccept, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.CutBefore}), kinds: unreachable, says: "closed the connection"},
	{fault: sinktest.CutAfterAccept, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.CutAfter}), kinds: unreachable, takes: true},
	{fault: sinktest.HTML, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.HTML, Code: 502}), kinds: serverError, says: "502"},
	{fault: sinktest.HTML200, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.HTML}), kinds: protocol, says: "not the API's"},
	{fault: sinktest.Slow, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Slow, Delay: 300 * time.Millisecond})},
	{fault: sinktest.Throttle, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.ThrottleText, Seconds: 1}), kinds: throttled, says: "Rate limit"},
	{fault: sinktest.ServerError, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Status, Code: 500}), kinds: serverError, says: "500"},
	{fault: sinktest.Unauthorized, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Status, Code: 401}), kinds: badLogin, says: "does not accept the token"},
	{fault: sinktest.NotFound, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Status, Code: 404}), kinds: notFound, says: "workspace_id"},
	{fault: sinktest.Echo, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Echo}), kinds: serverError, says: "**redacted**"},
	{fault: sinktest.RestartKeep, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.RestartKeep, Count: 1}), kinds: dropped, takes: true, brief: true},
	{fault: sinktest.RestartLose, sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.RestartLose, Count: 1}), kinds: dropped, brief: true},
	{fault: sinktest.DiskFull, sink: sentinelSink, never: "the service has no disk that its users know of"},

	{fault: "throttle_header", sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Throttle, Seconds: 1}), kinds: throttled, says: "Rate limit"},
	{fault: "hang_after", sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.HangAfter}), kinds: timeout, takes: true},
	{fault: "half_an_answer", sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Garbage}), kinds: protocol, takes: true},
	{fault: "wrong_index", sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.BadIndex}), kinds: protocol, says: "not sent", takes: true},
	{fault: "forbidden", sink: sentinelSink, begin: upload(sentineltest.Fault{Kind: sentineltest.Status, Code: 403}), kinds: badLogin, says: "Microsoft Sentinel Contributor"},
	{fault: "token_revoked", sink: sentinelSink, begin: func(r *rig) { r.sentinel.RevokeTokens() }},
	{fault: "login_error", sink: sentinelSink, begin: login(sentineltest.Fault{Kind: sentineltest.Status, Code: 500}), kinds: serverError},
	{fault: "login_cut", sink: sentinelSink, begin: login(sentineltest.Fault{Kind: sentineltest.CutBefore}), kinds: unreachable},
	{fault: "login_hang", sink: sentinelSink, begin: login(sentineltest.Fault{Kind: sentineltest.Hang}), kinds: timeout},
	{fault: "login_html", sink: sentinelSink, begin: login(sentineltest.Fault{Kind: sentineltest.HTML}), kinds: badLogin},
	{fault: "error_messages", sink: sentinelSink, begin: badObject(false), dead: "validation"},
	{fault: "validation_error_messages", sink: sentinelSink, setup: func(t *testing.T, r *rig) {
		r.otherSentinel(t, sentineltest.Options{SwaggerNames: true})
	}, begin: badObject(false), dead: "validation"},
	{fault: "whole_request_refused", sink: sentinelSink, begin: badObject(true), dead: "bad_request"},
}

var elasticOutbreaks = []outbreak{
	{fault: sinktest.Refuse, sink: elasticSink, begin: func(r *rig) { r.elastic.Stop() }, kinds: unreachable, says: "refused"},
	{fault: sinktest.Hang, sink: elasticSink, begin: elastic(elastictest.Hang), kinds: timeout, says: "no answer within"},
	{fault: sinktest.CutBeforeAccept, sink: elasticSink, begin: elastic(elastictest.CutBefore), kinds: unreachable},
	{fault: sinktest.CutAfterAccept, sink: elasticSink, begin: bulk(elastictest.CutAfter), kinds: unreachable, takes: true},
	{fault: sinktest.HTML, sink: elasticSink, begin: elastic(elastictest.BadGateway), kinds: serverError, says: "502"},
	{fault: sinktest.HTML200, sink: elasticSink, begin: elastic(elastictest.HTML), kinds: protocol, says: "not from Elasticsearch"},
	{fault: sinktest.Slow, sink: elasticSink, begin: bulk(elastictest.Slow)},
	{fault: sinktest.Throttle, sink: elasticSink, begin: elastic(elastictest.Throttle), kinds: throttled, says: "429"},
	{fault: sinktest.ServerError, sink: elasticSink, begin: elastic(elastictest.ServerError), kinds: serverError, says: "something broke"},
	{fault: sinktest.Unauthorized, sink: elasticSink, begin: elastic(elastictest.Unauthorized), kinds: badLogin, says: "api_key"},
	{fault: sinktest.NotFound, sink: elasticSink, begin: elastic(elastictest.NotFound), kinds: notFound, says: "404"},
	{fault: sinktest.Echo, sink: elasticSink, begin: elastic(elastictest.Echo), kinds: serverError, says: "cannot handle"},
	{fault: sinktest.RestartKeep, sink: elasticSink, begin: func(r *rig) { r.restartElastic(elastictest.HangAfter) }, kinds: dropped, takes: true, brief: true},
	{fault: sinktest.RestartLose, sink: elasticSink, begin: func(r *rig) { r.restartElastic(elastictest.Hang) }, kinds: dropped, brief: true},
	{fault: sinktest.DiskFull, sink: elasticSink, begin: bulk(elastictest.DiskFull), kinds: throttled, says: "read-only"},

	{fault: "hang_after", sink: elasticSink, begin: bulk(elastictest.HangAfter), kinds: timeout, takes: true},
	{fault: "half_an_answer", sink: elasticSink, begin: bulk(elastictest.CutReply), kinds: append(protocol, dropped...), takes: true},
	{fault: "unavailable", sink: elasticSink, begin: bulk(elastictest.Unavailable), kinds: append(throttled, serverError...), says: "primary shard"},
	{fault: "forbidden", sink: elasticSink, begin: bulk(elastictest.Forbidden), kinds: badLogin, says: "index privileges"},
	{fault: "items_429", sink: elasticSink, begin: bulk(elastictest.BusyItems), kinds: throttled, says: "rejected execution", takes: true},
	{fault: "items_503", sink: elasticSink, begin: bulk(elastictest.ErrorItems), kinds: serverError, says: "primary shard", takes: true},
	{fault: "items_404", sink: elasticSink, begin: bulk(elastictest.IndexGone), kinds: notFound, says: "does not exist"},
	{fault: "items_403", sink: elasticSink, begin: bulk(elastictest.ReadOnly), kinds: append(badConfig, badLogin...), says: "read-only"},
	{fault: "short_reply", sink: elasticSink, begin: bulk(elastictest.ShortReply), kinds: protocol, says: "items for", takes: true},
	{fault: "overlong_reply", sink: elasticSink, begin: bulk(elastictest.LongReply), kinds: protocol, takes: true, brief: true},
	{fault: "shuffled_reply", sink: elasticSink, begin: bulk(elastictest.Shuffled), kinds: protocol, says: "item 1", takes: true},
	{fault: "empty_reply", sink: elasticSink, begin: bulk(elastictest.EmptyReply), kinds: protocol, says: "can not be read"},
	{fault: "request_too_large", sink: elasticSink, setup: func(_ *testing.T, r *rig) { r.otherElastic(elastictest.Options{MaxBody: 16 << 10}) }, begin: func(*rig) {}},
	{fault: "item_mapping", sink: elasticSink, begin: func(r *rig) { r.elastic.Poison(badDocument(400, "document_parsing_exception")) }, dead: "document_parsing_exception"},
	{fault: "item_413", sink: elasticSink, begin: func(r *rig) { r.elastic.Poison(badDocument(413, "content_too_long_exception")) }, dead: "content_too_long_exception"},
}

var fileOutbreaks = []outbreak{
	{fault: sinktest.Refuse, sink: fileSink, never: "there is nobody to refuse"},
	{fault: sinktest.Hang, sink: fileSink, never: "only a network file system hangs; the sink's own tests have one"},
	{fault: sinktest.CutBeforeAccept, sink: fileSink, never: "there is no connection"},
	{fault: sinktest.CutAfterAccept, sink: fileSink, never: "there is no connection"},
	{fault: sinktest.HTML, sink: fileSink, never: "there is no answer"},
	{fault: sinktest.HTML200, sink: fileSink, never: "there is no answer"},
	{fault: sinktest.Slow, sink: fileSink, never: "there is no answer"},
	{fault: sinktest.Throttle, sink: fileSink, never: "there is no answer"},
	{fault: sinktest.ServerError, sink: fileSink, never: "there is no server"},
	{fault: sinktest.Unauthorized, sink: fileSink, never: "a service account can not write: see missing_directory"},
	{fault: sinktest.NotFound, sink: fileSink, begin: missingDirectory, kinds: local, says: "create the directory"},
	{fault: sinktest.Echo, sink: fileSink, never: "there is no answer"},
	{fault: sinktest.RestartKeep, sink: fileSink, never: "there is no server"},
	{fault: sinktest.RestartLose, sink: fileSink, never: "there is no server"},
	{fault: sinktest.DiskFull, sink: fileSink, setup: needsFullDevice, begin: fullDisk, heal: fileAgain, kinds: local, says: "free space"},

	{fault: "directory_in_its_place", sink: fileSink, begin: directoryInItsPlace, heal: fileAgain, kinds: append(local, badConfig...), says: "directory"},
	{fault: "renamed", sink: fileSink, begin: func(r *rig) { r.rename(r.archive, r.archive+".1") }, heal: func(*rig) {}},
}

func hec(f splunktest.Fault) func(*rig) { return func(r *rig) { r.splunk.Inject(f) } }

func badEvent(code int) func(*rig) {
	return func(r *rig) {
		r.splunk.Poison(func(e splunktest.Event) bool { return e.STIXID == id("indicator", refused) }, code)
	}
}

func upload(f sentineltest.Fault) func(*rig) { return func(r *rig) { r.sentinel.Inject(f) } }

// login makes the next request need a new login, which fails.
func login(f sentineltest.Fault) func(*rig) {
	f.Login = true
	return func(r *rig) {
		r.sentinel.Inject(f)
		r.sentinel.RevokeTokens()
	}
}

func badObject(wholeRequest bool) func(*rig) {
	return func(r *rig) {
		r.sentinel.Poison(func(o json.RawMessage) bool { return strings.Contains(string(o), id("indicator", refused)) }, wholeRequest)
	}
}

// bulk breaks bulk requests, elastic all others too.
func bulk(f elastictest.Fault) func(*rig)    { return func(r *rig) { r.elastic.Inject(f, 1_000_000) } }
func elastic(f elastictest.Fault) func(*rig) { return func(r *rig) { r.elastic.Inject(f, -1) } }

func badDocument(status int, kind string) func(string, []byte) *elastictest.Error {
	return func(key string, _ []byte) *elastictest.Error {
		if strings.Contains(key, id("indicator", refused)) {
			return &elastictest.Error{Status: status, Type: kind, Reason: "says no"}
		}
		return nil
	}
}

func missingDirectory(r *rig) {
	r.rename(filepath.Dir(r.archive), filepath.Dir(r.archive)+"-away")
}

func directoryInItsPlace(r *rig) {
	r.rename(r.archive, r.archive+"-away")
	if err := os.Mkdir(r.archive, 0o700); err != nil {
		r.Fatal(err)
	}
}

// fullDevice is a file that has no room, where there is such a thing.
const fullDevice = "/dev/full"

func needsFullDevice(t *testing.T, _ *rig) {
	if _, err := os.Stat(fullDevice); err != nil {
		t.Skip(err)
	}
}

func fullDisk(r *rig) {
	r.rename(r.archive, r.archive+"-away")
	if err := os.Symlink(fullDevice, r.archive); err != nil {
		r.Fatal(err)
	}
}

// fileAgain makes room for a file again. What was renamed away does not come
// back to its place: the sink may have begun a new file there meanwhile.
func fileAgain(r *rig) {
	if _, err := os.Lstat(r.archive + "-away"); err != nil {
		return // it was again already
	}
	r.rename(r.archive+"-away", r.archive+".1")
	if err := os.Remove(r.archive); err != nil {
		r.Fatal(err)
	}
}
