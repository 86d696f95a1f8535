package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// index is where the demo's documents go in Elasticsearch.
const index = "logs-ti_taxii"

// poison makes every stand-in refuse what it is sent of one indicator.
func (s *stage) poison(id string) {
	s.splunk.Poison(func(e splunktest.Event) bool { return e.STIXID == id }, 6)
	s.sentinel.Poison(func(o json.RawMessage) bool { return strings.Contains(string(o), id) }, false)
	s.elastic.Poison(func(docID string, doc []byte) *elastictest.Error {
		if strings.Contains(string(doc), id) {
			return &elastictest.Error{Status: 400, Type: "document_parsing_exception", Reason: "refused for the demonstration"}
		}
		return nil
	})
}

// arrived is what one destination holds.
type arrived struct {
	sink      string
	ids       map[string]bool // of indicators it holds
	documents int
	what      string // what a document is there
	problems  []string
}

// report prints what arrived where and checks it against the feed.
func (s *stage) report(ctx context.Context, a *app.App, out io.Writer) error {
	want := s.feed.current(time.Now())
	destinations, err := s.arrivals()
	if err != nil {
		return err
	}
	st, letters, err := stored(ctx, a)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe feed has %d indicators in force (of %d; the others are revoked, expired or benign)\nand %d entries that are no STIX object, which were counted and passed over.\n\n",
		len(want), len(s.feed.ids), s.feed.broken)
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "DESTINATION\tINDICATORS\tDOCUMENTS\tNOT HELD THERE\tREFUSED\t")
	var wrong []string
	for _, d := range destinations {
		var route status.Route
		for _, r := range st.Routes {
			if r.Sink == d.sink {
				route = r
			}
		}
		refused := map[string]bool{}
		for _, l := range letters {
			if l.Sink == d.sink {
				refused[l.STIXID] = true
			}
		}
		verdict := "ok"
		if p := d.check(want, refused, route.Skips()); len(p) > 0 {
			verdict = "WRONG"
			wrong = append(wrong, p...)
		}
		fmt.Fprintf(tw, "%s\t%d\t%d %s\t%s\t%d\t%s\n", d.sink, len(d.ids), d.documents, d.what, reasons(route.Skipped), len(refused), verdict)
	}
	tw.Flush()
	if len(letters) > 0 {
		fmt.Fprintln(out, "\nRefused, and kept as dead letters:")
		for _, l := range letters {
			fmt.Fprintf(out, "  %-22s %s  %s: %s\n", l.Sink, l.STIXID, l.Reason, l.Detail)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not everything arrived:\n  %s", strings.Join(wrong, "\n  "))
	}
	fmt.Fprintln(out, "\nEvery indicator is where it should be, and none is where it should not.")
	return nil
}

// check compares a destination with the feed.
func (d *arrived) check(want, refused map[string]bool, skipped int64) (wrong []string) {
	missing := 0
	for id := range want {
		if !d.ids[id] && !refused[id] {
			missing++
		}
	}
	if int64(missing) != skipped {
		wrong = append(wrong, fmt.Sprintf("%s: %d indicators are missing, %d of them are accounted for", d.sink, missing, skipped))
	}
	for id := range d.ids {
		if !want[id] {
			wrong = append(wrong, fmt.Sprintf("%s: %s is there and should not be", d.sink, id))
		}
	}
	for _, p := range d.problems {
		wrong = append(wrong, d.sink+": "+p)
	}
	return wrong
}

func reasons(m map[string]int64) string {
	if len(m) == 0 {
		return "-"
	}
	var parts []string
	for r, n := range m {
		parts = append(parts, fmt.Sprintf("%d %s", n, r))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// stored reads routes and dead letters from the state of the stopped forwarder.
func stored(ctx context.Context, a *app.App) (status.Status, []replica.DeadLetter, error) {
	dir := a.StateDir()
	store, err := replica.Open(ctx, replica.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		return status.Status{}, nil, err
	}
	defer store.Close()
	letters, err := store.DeadLetters(ctx, replica.DeadFilter{})
	return forwarder.StoredStatus(ctx, store), letters, err
}

// arrivals asks every stand-in what it holds.
func (s *stage) arrivals() ([]*arrived, error) {
	splunk := &arrived{sink: "splunk_hec.soc", ids: map[string]bool{}, what: "events", problems: s.splunk.Problems()}
	for _, e := range s.splunk.Current() {
		splunk.ids[e.STIXID] = true
		splunk.documents++
	}
	sentinel := &arrived{sink: "sentinel.corp", ids: map[string]bool{}, what: "objects", problems: s.sentinel.Regressions()}
	for _, o := range s.sentinel.Active() {
		sentinel.ids[o.ID] = true
		sentinel.documents++
	}
	elastic := &arrived{sink: "elasticsearch.elastic", ids: map[string]bool{}, what: "documents"}
	for _, d := range s.elastic.Docs(index) {
		if doc, ok := d.Decoded()["stix"].(map[string]any); ok {
			elastic.ids[fmt.Sprint(doc["id"])] = true
		}
		elastic.documents++
	}
	archive, err := s.archived()
	return []*arrived{splunk, sentinel, elastic, archive}, err
}

// archived replays the file sink's lines: the last one about an indicator says
// whether it is held.
func (s *stage) archived() (*arrived, error) {
	f, err := os.Open(s.archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := &arrived{sink: "file.archive", ids: map[string]bool{}, what: "lines"}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var l struct {
			Action    string          `json:"action"`
			Indicator intel.Indicator `json:"indicator"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s: %w", s.archive, err)
		}
		d.documents++
		if l.Action == intel.Upsert.String() {
			d.ids[l.Indicator.ID] = true
		} else {
			delete(d.ids, l.Indicator.ID)
		}
	}
	return d, lines.Err()
}
