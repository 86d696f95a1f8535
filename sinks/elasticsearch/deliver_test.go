package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// TestReplyFaults: an answer that does not fit the request is a failure of the
// destination, what it tells is kept, and the next delivery completes it.
func TestReplyFaults(t *testing.T) {
	for _, c := range []struct {
		fault elastictest.Fault
		kind  intel.FailureKind
		known int // outcomes known in spite of it; -1 = several, but not all
		text  string
	}{
		{elastictest.ShortReply, intel.FailProtocol, 29, "29 items for 30 operations"},
		{elastictest.LongReply, intel.FailProtocol, 30, "more items than the 30 operations"},
		{elastictest.Shuffled, intel.FailProtocol, 0, "item 1 of the reply"},
		{elastictest.EmptyReply, intel.FailProtocol, 0, "can not be read"},
		{elastictest.HTML, intel.FailProtocol, 0, "not from Elasticsearch"},
		{elastictest.BadGateway, intel.FailServer, 0, "502"},
		{elastictest.CutReply, intel.FailUnreachable, 0, "cut off"},
		{elastictest.Throttle, intel.FailThrottled, 0, "429"},
		{elastictest.Forbidden, intel.FailAuth, 0, "index and delete on logs-ti_taxii"},
		{elastictest.Unauthorized, intel.FailAuth, 0, "api_key"},
		{elastictest.ReadOnly, intel.FailConfig, 0, "read-only"},
		{elastictest.DiskFull, intel.FailThrottled, 0, "disk"},
		{elastictest.IndexGone, intel.FailNotFound, 0, "auto_configure"},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			s := server(t, elastictest.Options{})
			sink := open(t, s)
			changes := upsert(now, sinktest.Indicators(0, 30)...)
			s.Inject(c.fault, 1)
			outcomes, err := sink.Deliver(context.Background(), changes)
			var f *intel.Failure
			if !errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error = %v; want kind %s with %q", err, c.kind, c.text)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), testKey) {
				t.Error("the error shows the key")
			}
			known := 0
			var left []intel.Change
			for i, o := range outcomes {
				switch o.Status {
				case intel.Delivered:
					known++
				case intel.Unknown:
					left = append(left, changes[i])
				default:
					t.Errorf("change %d: %s %s", i, o.Status, o.Reason)
				}
			}
			if known != c.known {
				t.Errorf("%d outcomes are known, not %d", known, c.known)
			}
			mustDeliver(t, sink, left...)
			if n := s.Len(defaultIndex); n != 30 {
				t.Errorf("%d documents, not 30", n)
			}
		})
	}
}

// TestBusyItems: only the operations that the server was too busy for are sent
// again, and all arrive in one delivery.
func TestBusyItems(t *testing.T) {
	for _, fault := range []elastictest.Fault{elastictest.BusyItems, elastictest.ErrorItems} {
		s := server(t, elastictest.Options{})
		sink := open(t, s)
		s.Inject(fault, 2)
		mustDeliver(t, sink, upsert(now, sinktest.Indicators(0, 30)...)...)
		if st := s.Stats(); st.Created != 30 || st.Repeated != 0 || st.Bulks != 3 {
			t.Errorf("%s: %+v", fault, st)
		}
	}
}

// TestBusyForGood: a server that stays busy is left to the engine's back-off;
// what it took is known.
func TestBusyForGood(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	s.Inject(elastictest.BusyItems, -1)
	outcomes, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicators(0, 64)...))
	if f := intel.AsFailure(err); err == nil || f.Kind != intel.FailThrottled {
		t.Fatalf("error = %v", err)
	}
	known := 0
	for _, o := range outcomes {
		if o.Status == intel.Delivered {
			known++
		}
	}
	if st := s.Stats(); st.Bulks > attempts || known != st.Created || known < 32 {
		t.Errorf("%d known after %+v", known, st)
	}
}

// TestTooLarge: 413, or 429 for what alone is over the server's memory for
// indexing, halves the request, later ones keep to the size that went
// through, and only what is too large by itself is refused.
func TestTooLarge(t *testing.T) {
	for _, o := range []elastictest.Options{{MaxBody: 100_000}, {Pressure: 100_000}, {Pressure: 100_000, Distribution: OpenSearch}} {
		t.Run(fmt.Sprintf("%d of %d %s", o.Pressure, o.MaxBody, o.Distribution), func(t *testing.T) { tooLargeFor(t, o) })
	}
}

func tooLargeFor(t *testing.T, o elastictest.Options) {
	s := server(t, o)
	sink := open(t, s)
	if o.Distribution == OpenSearch {
		sink = open(t, s, openSearch)
	}
	inds := sinktest.Indicators(0, 400)
	inds[7].Description = strings.Repeat("x", 150_000)
	outcomes, err := sink.Deliver(context.Background(), upsert(now, inds...))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if i != 7 && o.Status != intel.Delivered || i == 7 && (o.Status != intel.Rejected || o.Reason != "too_large" || len(o.Sent) == 0 || o.Detail == "") {
			t.Errorf("change %d: %s %s %s", i, o.Status, o.Reason, o.Detail)
		}
	}
	if limit := sink.maxBytes.Load(); limit > 100_000 {
		t.Errorf("the limit is still %d bytes", limit)
	}
	before := len(s.Requests())
	mustDeliver(t, sink, upsert(now, sinktest.Indicators(1000, 100)...)...)
	if n := len(s.Requests()) - before; n > 6 {
		t.Errorf("%d requests for 100 documents after the lesson", n)
	}
}

// TestTooLargeForAll: a server that refuses every request takes none of the
// indicators for dead.
func TestTooLargeForAll(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	s.Inject(elastictest.TooLarge, -1)
	if err := sink.installTemplate(context.Background()); err == nil {
		t.Fatal("the fault does not cover all requests")
	}
	sink.prepared.Store(sink.now().UnixNano())
	outcomes, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicators(0, 4)...))
	if err == nil {
		t.Fatal("no error")
	}
	for i, o := range outcomes {
		if o.Status != intel.Unknown {
			t.Errorf("change %d: %s %s", i, o.Status, o.Reason)
		}
	}
}

// TestPoisoned: the refused document is a dead letter with the server's reason
// and what was sent; the indicator's other documents are known to be held.
func TestPoisoned(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	multi := sinktest.Multi(2, 3)
	bad := documentID(multi, multi.Observables[1].Ref())
	s.Poison(func(id string, _ []byte) *elastictest.Error {
		if id == bad {
			return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "[1:9] failed to parse field [x]",
				CausedBy: &elastictest.Error{Type: "illegal_argument_exception", Reason: "the innermost reason"}}
		}
		return nil
	})
	outcomes, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1), multi, sinktest.Indicator(3)))
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Status != intel.Delivered || outcomes[2].Status != intel.Delivered {
		t.Errorf("the neighbours: %v", outcomes)
	}
	o := outcomes[1]
	if o.Status != intel.Rejected || o.Reason != "document_parsing_exception" || !strings.Contains(o.Detail, "the innermost reason") {
		t.Errorf("outcome = %s %s %s", o.Status, o.Reason, o.Detail)
	}
	if !bytes.Contains(o.Sent, []byte(bad)) || bytes.Count(o.Sent, []byte("\n")) != 2 {
		t.Errorf("sent = %s", o.Sent)
	}
	if len(o.Held) != 2 || o.Held[0] != multi.Observables[0].Ref() || o.Held[1] != multi.Observables[2].Ref() {
		t.Errorf("held = %v", o.Held)
	}
}

func TestFailureStore(t *testing.T) {
	s := server(t, elastictest.Options{FailureStore: true})
	sink := open(t, s)
	s.Poison(func(id string, _ []byte) *elastictest.Error {
		return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "x"}
	})
	outcomes, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1)))
	if err != nil || outcomes[0].Status != intel.Rejected || outcomes[0].Reason != "failure_store" || outcomes[0].Detail == "" {
		t.Errorf("%v, %v", outcomes, err)
	}
}

// TestSkipped: a STIX pattern without observables is skipped with the parser's
// reason; a pattern in another language is a document, and goes when the
// indicator gets observables or is withdrawn.
func TestSkipped(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	ind := sinktest.New(1)
	ind.FidelityReason = "negation"
	outcomes, err := sink.Deliver(context.Background(), upsert(now, ind))
	if err != nil || outcomes[0].Status != intel.Skipped || outcomes[0].Reason != "negation" {
		t.Errorf("%v, %v", outcomes, err)
	}
	yara := sinktest.Unsupported(2)
	mustDeliver(t, sink, upsert(now, yara)...)
	if s.Len(defaultIndex) != 1 {
		t.Fatal("the YARA rule is no document")
	}
	next := upsert(now, sinktest.With(sinktest.New(2), sinktest.Domain(1)))[0]
	next.FirstDelivered, next.Whole = now, true
	mustDeliver(t, sink, next)
	if docs := s.Docs(defaultIndex); len(docs) != 1 || docs[0].ID == documentID(yara, intel.Ref{}) {
		t.Errorf("after the pattern became STIX: %d documents", len(docs))
	}
	mustDeliver(t, sink, upsert(now, sinktest.Unsupported(3))...)
	mustDeliver(t, sink, withdraw(now, sinktest.Unsupported(3)))
	if s.Len(defaultIndex) != 1 {
		t.Error("the withdrawn YARA rule is still there")
	}
}

// TestNoNeedlessDelete: a delete goes only where something can be.
func TestNoNeedlessDelete(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	ind := sinktest.Multi(1, 2)
	mustDeliver(t, sink, upsert(now, ind)...)
	next := upsert(now, sinktest.Newer(ind, 1))[0]
	next.FirstDelivered = now
	mustDeliver(t, sink, next)
	last := withdraw(now, sinktest.Newer(ind, 2))
	mustDeliver(t, sink, last)
	if st := s.Stats(); st.NotFound != 0 || st.Created != 2 || st.Updated != 2 || st.Deleted != 2 {
		t.Errorf("%+v", st)
	}

	// What an unanswered delivery of the indicator without observables may have
	// left goes with its observables.
	mustDeliver(t, sink, upsert(now, sinktest.Unsupported(2))...)
	mustDeliver(t, sink, upsert(now, sinktest.Multi(2, 2))...)
	both := withdraw(now, sinktest.Multi(2, 2))
	both.Whole = true
	mustDeliver(t, sink, both)
	if n := s.Len(defaultIndex); n != 0 {
		t.Errorf("%d documents are left", n)
	}
}

// TestHugeIndicator: thousands of observables go in several requests, bounded
// in size, and their pattern is not repeated in each.
func TestHugeIndicator(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s, func(c *Config) { c.Batch = &Batch{MaxBytes: 1_000_000, MaxDocuments: 700} })
	huge := sinktest.Multi(1, 5000)
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(2), huge, sinktest.Indicator(3))...)
	if n := s.Len(defaultIndex); n != 5002 {
		t.Errorf("%d documents, not 5002", n)
	}
	if st := s.Stats(); st.MaxBytes > 1_010_000 || st.Bulks < 8 || st.Created != 5002 || st.Updated != 0 {
		t.Errorf("%+v", st)
	}
	mustDeliver(t, sink, withdraw(now, huge))
	if n := s.Len(defaultIndex); n != 2 {
		t.Errorf("%d documents left, not 2", n)
	}
}

func TestPlainAndGzip(t *testing.T) {
	for _, zip := range []bool{true, false} {
		s := server(t, elastictest.Options{})
		sink := open(t, s, func(c *Config) { c.Gzip = &zip })
		mustDeliver(t, sink, upsert(now, sinktest.EveryType(0)...)...)
	}
}

// TestDataStream: an index name that belongs to a data stream is a matter of
// configuration, not the fault of every single indicator.
func TestDataStream(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	s.Poison(func(string, []byte) *elastictest.Error {
		return &elastictest.Error{Status: 400, Type: "illegal_argument_exception", Reason: "only write ops with an op_type of create are allowed in data streams"}
	})
	outcomes, err := sink.Deliver(context.Background(), upsert(now, sinktest.Indicator(1)))
	if err == nil || intel.AsFailure(err).Kind != intel.FailConfig || outcomes[0].Status != intel.Unknown {
		t.Errorf("%v, %v", outcomes, err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"errors":false,"items":[{"index":{"_id":"a","status":201}},{"delete":{"_id":"b","status":404}}]}`))
	f.Add([]byte(`{"items":[{"index":{"_id":"a","status":400,"error":{"type":"x","reason":"y","caused_by":{"type":"z","reason":"w"}}}}]}`))
	f.Add([]byte(`{"items":[{"index":{"status":409,"error":{"reason":"current version [12] is higher"}}}]}`))
	f.Add([]byte(`{"items":[{"index":{"error":"text"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = parseReply(body, func(it *item) bool {
			judge(it, false)
			conflictVersion(it.err)
			if reason := refusedReason(it); !isWord(reason) && !strings.HasPrefix(reason, "status_") {
				t.Errorf("reason %q", reason)
			}
			return true
		})
	})
}
