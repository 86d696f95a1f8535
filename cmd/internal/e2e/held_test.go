package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/stix"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// holds returns what a destination holds, as its users would find it.
func (r *rig) holds(sink string) held {
	r.Helper()
	h := held{}
	switch sink {
	case splunkSink: // the newest event of each item, if it is no withdrawal
		for _, e := range r.splunk.Current() {
			h.add(e.STIXID, refOf(e))
		}
	case sentinelSink: // what is not revoked; its observables are what its pattern means
		for _, o := range r.sentinel.Active() {
			ind, _, err := stix.DecodeIndicator(o.Raw)
			if err != nil {
				r.Errorf("sentinel holds %s: %v", o.Raw, err)
				continue
			}
			stix.Derive(ind)
			h.add(o.ID)
			for i := range ind.Observables {
				h.add(o.ID, ind.Observables[i].Ref())
			}
		}
	case elasticSink:
		for _, d := range r.elastic.Docs(index) {
			id, ref, atomic := document(r, d.Source)
			h.add(id)
			if atomic {
				h.add(id, ref)
			}
		}
	case fileSink: // the last line about each indicator, if it is no withdrawal
		for _, l := range r.lines() {
			delete(h, l.Indicator.ID)
			if l.Action != "upsert" {
				continue
			}
			h.add(l.Indicator.ID)
			for i := range l.Indicator.Observables {
				h.add(l.Indicator.ID, l.Indicator.Observables[i].Ref())
			}
		}
	default:
		r.Fatalf("no sink %s", sink)
	}
	return h
}

func refOf(e splunktest.Event) intel.Ref {
	return intel.Ref{Type: intel.ObservableType(e.Type), Value: e.Value}
}

// document reads what an Elasticsearch document is about: an observable of an
// indicator, or the indicator as a whole.
func document(r *rig, source []byte) (id string, ref intel.Ref, atomic bool) {
	r.Helper()
	var doc struct {
		Threat struct {
			Indicator struct {
				ID   []string `json:"id"`
				Name string   `json:"name"`
			} `json:"indicator"`
		} `json:"threat"`
		STIX struct {
			ID         string     `json:"id"`
			Observable *intel.Ref `json:"observable"`
		} `json:"stix"`
	}
	if err := json.Unmarshal(source, &doc); err != nil {
		r.Fatalf("document %s: %v", source, err)
	}
	if len(doc.Threat.Indicator.ID) != 1 || doc.Threat.Indicator.ID[0] != doc.STIX.ID {
		r.Errorf("document of %q has threat.indicator.id %q", doc.STIX.ID, doc.Threat.Indicator.ID)
	}
	if doc.STIX.Observable == nil {
		return doc.STIX.ID, ref, false
	}
	if doc.Threat.Indicator.Name != doc.STIX.Observable.Value {
		r.Errorf("document of %q has threat.indicator.name %q", doc.STIX.Observable.Value, doc.Threat.Indicator.Name)
	}
	return doc.STIX.ID, *doc.STIX.Observable, true
}

// line is a line of the archive.
type line struct {
	Action    string          `json:"action"`
	Seq       json.RawMessage `json:"seq"`
	Reason    string          `json:"reason"`
	Removed   []intel.Ref     `json:"removed"`
	Indicator intel.Indicator `json:"indicator"`
}

// lines returns the archive, with the part that was renamed away first; it is
// empty before there is one.
func (r *rig) lines() []line {
	r.Helper()
	return append(r.linesOf(r.archive+".1"), r.linesOf(r.archive)...)
}

func (r *rig) linesOf(path string) []line {
	r.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		r.Fatal(err)
	}
	defer f.Close()
	var all []line
	s := bufio.NewScanner(f)
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			r.Fatalf("%s: %v", path, err)
		}
		all = append(all, l)
	}
	if err := s.Err(); err != nil {
		r.Fatal(err)
	}
	return all
}

// checkHeld compares what every sink holds and says of itself with what it
// should, and returns what it should.
func (r *rig) checkHeld(want map[string]expectation) {
	r.Helper()
	s := r.delivered()
	for sink, w := range want {
		compare(r, sink, w.held, r.holds(sink))
		route := route(r, s, sink)
		if route.Delivered != int64(len(w.held)) || route.DeadLetters != 0 || route.Rejected != 0 {
			r.Errorf("%s: status says %d delivered, %d rejected, %d dead letters; want %d, 0, 0",
				sink, route.Delivered, route.Rejected, route.DeadLetters, len(w.held))
		}
		if !maps.Equal(route.Skipped, w.skipped) && len(route.Skipped)+len(w.skipped) > 0 {
			r.Errorf("%s: status says skipped %v, want %v", sink, route.Skipped, w.skipped)
		}
	}
}

// traffic is how much was ever sent to the destinations.
type traffic struct {
	splunk, sentinel, elastic int // requests with something to hold or to withdraw
	lines                     int // of the archive
	others                    int // requests about anything else: acknowledgments, templates
}

func (r *rig) traffic() traffic {
	r.Helper()
	t := traffic{splunk: r.splunk.Requests("event"), sentinel: r.sentinel.Requests(), elastic: r.elastic.Stats().Bulks, lines: len(r.lines())}
	t.others = r.splunk.Requests("ack") + r.splunk.Requests("health")
	for _, q := range r.elastic.Requests() {
		// The refresh keeps its own time.
		if !strings.HasSuffix(q, "/_bulk") && !strings.HasSuffix(q, "/_update_by_query") {
			t.others++
		}
	}
	return t
}

// deadLetters reads them from the state of the stopped forwarder.
func (r *rig) deadLetters() []replica.DeadLetter {
	r.Helper()
	store, err := replica.Open(r.Context(), replica.Options{Dir: filepath.Join(r.dir, "state"), ReadOnly: true})
	if err != nil {
		r.Fatal(err)
	}
	defer store.Close()
	letters, err := store.DeadLetters(r.Context(), replica.DeadFilter{})
	if err != nil {
		r.Fatal(err)
	}
	return letters
}
