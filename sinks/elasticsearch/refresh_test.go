package elasticsearch

import (
	"context"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sinktest"
)

// TestRefresh plays half a year of days: whatever the day, each rule sees every
// indicator that is still valid, and a document is written as rarely as that
// allows.
func TestRefresh(t *testing.T) {
	clock := now
	s := server(t, elastictest.Options{Now: func() time.Time { return clock }})
	sink := open(t, s)
	sink.now = func() time.Time { return clock }
	stays := sinktest.Indicators(0, 40)
	ends := sinktest.Indicator(100)
	ends.ValidUntil = now.Add(50 * day)
	mustDeliver(t, sink, upsert(now, append(stays, ends)...)...)
	total := int64(0)
	for d := 1; d <= 180; d++ {
		clock = now.Add(time.Duration(d) * day)
		n, err := sink.Refresh(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		total += n
		if again, err := sink.Refresh(context.Background()); again != 0 || err != nil {
			t.Fatalf("day %d: a second refresh touches %d documents, %v", d, again, err)
		}
		seen := len(s.Find(defaultIndex, ruleQuery([]string{"threat.indicator.name"}, "")))
		if want := 40; seen < want {
			t.Fatalf("day %d: the rules see %d of %d indicators", d, seen, want)
		}
		if d > 73 && seen != 40 {
			t.Fatalf("day %d: an indicator that ended on day 50 is still being refreshed", d)
		}
	}
	if total < 8*40 || total > 9*41 {
		t.Errorf("%d documents touched in half a year", total)
	}
	doc := s.Docs(defaultIndex)[0].Decoded()
	if at(doc, "@timestamp") == at(doc, "event.ingested") || at(doc, "threat.indicator.first_seen") == nil {
		t.Error("the refresh changed more than @timestamp, or not even that")
	}
}

// TestRefreshNothing: no index yet is nothing to refresh, no failure.
func TestRefreshNothing(t *testing.T) {
	s := server(t, elastictest.Options{})
	if n, err := open(t, s).Refresh(context.Background()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestRefreshForeign: documents of others in the index are not touched.
func TestRefreshForeign(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	if err := sink.prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	body := `{"index":{"_id":"x"}}` + "\n" + `{"@timestamp":"2020-01-01T00:00:00Z","event":{"module":"ti_other"}}` + "\n"
	if status, _, err := sink.postBulk(context.Background(), []byte(body)); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	if n, err := sink.Refresh(context.Background()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if sink.RefreshInterval() > 30*day-refreshAge {
		t.Error("too rarely for the window")
	}
}

func TestRefreshFails(t *testing.T) {
	s := server(t, elastictest.Options{})
	sink := open(t, s)
	mustDeliver(t, sink, upsert(now, sinktest.Indicator(1))...)
	s.Inject(elastictest.Throttle, -1)
	if _, err := sink.Refresh(context.Background()); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("%v", err)
	}
}
