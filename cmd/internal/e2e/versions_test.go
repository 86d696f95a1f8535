package e2e

import (
	"encoding/json"
	"slices"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// shown is what a destination shows of one thing that it holds.
type shown struct {
	id, name string
	version  int64    // 0 = not shown
	families []string // nil = not shown
	creator  string
	context  bool // families and creator are shown
}

// shows returns what a destination shows of everything that it holds.
func (r *rig) shows(sink string) (all []shown) {
	r.Helper()
	switch sink {
	case splunkSink:
		for _, e := range r.splunk.Current() {
			s := shown{id: e.STIXID, name: e.Field("name"), version: e.Version, context: true, creator: e.Field("created_by")}
			switch v := e.Fields()["malware"].(type) {
			case string:
				s.families = []string{v}
			case []any:
				for _, name := range v {
					s.families = append(s.families, name.(string))
				}
			}
			all = append(all, s)
		}
	case sentinelSink:
		for _, o := range r.sentinel.Active() {
			s := shown{id: o.ID, name: o.Name}
			for _, l := range o.Labels {
				if name, ok := strings.CutPrefix(l, "malware:"); ok {
					s.families = append(s.families, name)
				}
			}
			all = append(all, s)
		}
	case elasticSink:
		for _, d := range r.elastic.Docs(index) {
			var doc struct {
				Threat struct {
					Indicator struct {
						ID       []string `json:"id"`
						Modified string   `json:"modified_at"`
					} `json:"indicator"`
				} `json:"threat"`
			}
			if err := json.Unmarshal(d.Source, &doc); err != nil {
				r.Fatal(err)
			}
			all = append(all, shown{id: doc.Threat.Indicator.ID[0], name: doc.Threat.Indicator.Modified})
		}
	case fileSink:
		last := map[string]line{}
		for _, l := range r.lines() {
			last[l.Indicator.ID] = l
		}
		for id, l := range last {
			if l.Action != "upsert" {
				continue
			}
			s := shown{id: id, name: l.Indicator.Name, version: l.Indicator.Version(), context: true, creator: l.Indicator.CreatedBy}
			for _, f := range l.Indicator.Related {
				if f.Name != "" { // else it is known by its id only
					s.families = append(s.families, f.Name)
				}
			}
			all = append(all, s)
		}
	}
	return all
}

// compareVersions reports what a destination holds in another version, or with
// other things known about it, than it should.
func (o *ordeal) compareVersions(sink string, want map[string]*intel.Indicator) {
	o.Helper()
	problems := 0
	for _, s := range o.shows(sink) {
		ind := want[s.id]
		if ind == nil {
			continue // reported already
		}
		name := ind.Name
		if sink == elasticSink {
			name = stamp(ind.Modified)
		}
		slices.Sort(s.families)
		families, creator := o.history.related(number(s.id)), o.history.creator(number(s.id))
		wrong := s.name != name || s.version != 0 && s.version != ind.Version()
		if s.context {
			wrong = wrong || !slices.Equal(s.families, families) || s.creator != creator
		}
		if sink == sentinelSink {
			wrong = wrong || !slices.Equal(s.families, families)
		}
		if wrong {
			if problems++; problems <= 5 {
				o.Errorf("%s: holds %+v; want %s of version %d, families %q, creator %q", sink, s, name, ind.Version(), families, creator)
			}
		}
	}
	if problems > 5 {
		o.Errorf("%s: %d held in another way than they should be", sink, problems)
	}
}

// compareRepeats reports when a destination was told what it had been told just
// before more often than failures and kills explain: a clean end repeats nothing.
func (o *ordeal) compareRepeats() {
	o.Helper()
	repeats := map[string]int{elasticSink: o.repeats(elasticSink), sentinelSink: o.repeats(sentinelSink), fileSink: o.repeats(fileSink)}
	last := map[string]string{}
	for _, e := range o.splunk.Events() { // by change: a version that left the filter may come back
		now := e.Action + e.Field("seq")
		if last[e.ItemKey] == now {
			repeats[splunkSink]++
		}
		last[e.ItemKey] = now
	}
	// What one batch after another can have in flight, and how many events or
	// documents a change makes at most.
	const most = 7
	flights := map[string]int{splunkSink: 40 * 4, sentinelSink: 100 * 4, elasticSink: 50 * 4, fileSink: 2000}
	for _, sink := range everySink {
		failures := len(o.log.lines("deliver", "sink="+sink, "failing"))
		resends := len(o.log.lines("did not acknowledge")) // of Splunk
		bound := (o.kills + failures + resends) * flights[sink] * most
		o.Logf("%s: %d repeats; %d failed attempts, %d kills, %d clean ends or reloads", sink, repeats[sink], failures, o.kills, o.ends)
		if repeats[sink] > bound {
			o.Errorf("%s was told %d things twice, more than %d failures and %d kills explain", sink, repeats[sink], failures, o.kills)
		}
	}
}
