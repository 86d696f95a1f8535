package forwarder

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rawIndicator is an indicator with some members beside the required ones.
func rawIndicator(n int, pattern, more string) []byte {
	if more != "" {
		more = "," + more
	}
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012x",`+
		`"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","valid_from":"2026-01-01T00:00:00Z",`+
		`"pattern_type":"stix","pattern":%q%s}`, n, pattern, more)
}

type confident int

func (c confident) Match(i *intel.Indicator) bool {
	return i.Confidence != nil && *i.Confidence >= int(c)
}
func (c confident) String() string { return fmt.Sprintf("confidence >= %d", int(c)) }

func TestDecide(t *testing.T) {
	const ip = "[ipv4-addr:value = '198.51.100.7']"
	plain := rawIndicator(1, ip, "")
	known := digest(&replica.Record{Raw: plain})
	delivered := func(digest uint64, refs ...string) *replica.Entry {
		return &replica.Entry{Status: intel.Delivered, Digest: digest, Refs: refs, First: testNow.AddDate(0, 0, -3)}
	}
	tests := []struct {
		name   string
		raw    []byte
		state  replica.State
		ledger *replica.Entry
		where  Filter
		action intel.Action // 0 = nothing to send
		reason intel.Reason
		remove []string
		whole  bool
		forget bool
	}{
		{name: "new", raw: plain, action: intel.Upsert},
		{name: "unchanged", raw: plain, ledger: delivered(known, "ipv4-addr:198.51.100.7")},
		{name: "unchanged, filter still passes", raw: rawIndicator(1, ip, `"confidence":80`), where: confident(50),
			ledger: delivered(digest(&replica.Record{Raw: rawIndicator(1, ip, `"confidence":80`)}), "ipv4-addr:198.51.100.7")},
		{name: "replayed", raw: plain, ledger: &replica.Entry{Status: intel.Delivered, Digest: known, Replay: true, Refs: []string{"ipv4-addr:198.51.100.7"}}, action: intel.Upsert},
		{name: "changed", raw: plain, ledger: delivered(1, "ipv4-addr:198.51.100.7"), action: intel.Upsert},
		{name: "lost an observable", raw: plain, ledger: delivered(1, "ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8"),
			action: intel.Upsert, remove: []string{"ipv4-addr:198.51.100.8"}},
		{name: "refused before and unchanged", raw: plain, ledger: &replica.Entry{Status: intel.Rejected, Digest: known}},
		{name: "skipped before and unchanged", raw: plain, ledger: &replica.Entry{Status: intel.Skipped, Digest: known}},
		{name: "revoked, never sent", raw: plain, state: replica.Revoked},
		{name: "revoked", raw: plain, state: replica.Revoked, ledger: delivered(known, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonRevoked, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "expired", raw: plain, state: replica.Expired, ledger: delivered(known, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonExpired, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "gone", raw: plain, state: replica.Gone, ledger: delivered(known, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonGone, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "withdrawn before, still revoked", raw: plain, state: replica.Revoked, ledger: &replica.Entry{}},
		{name: "withdrawn before, comes back", raw: plain, ledger: &replica.Entry{First: testNow}, action: intel.Upsert},
		{name: "perhaps delivered, unchanged", raw: plain, ledger: &replica.Entry{Refs: []string{"ipv4-addr:198.51.100.7"}}, action: intel.Upsert},
		{name: "perhaps delivered, revoked", raw: plain, state: replica.Revoked, ledger: &replica.Entry{Refs: []string{"ipv4-addr:198.51.100.7"}},
			action: intel.Withdraw, reason: intel.ReasonRevoked, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "perhaps delivered, lost an observable", raw: plain, ledger: &replica.Entry{Refs: []string{"ipv4-addr:198.51.100.6"}},
			action: intel.Upsert, remove: []string{"ipv4-addr:198.51.100.6"}},
		{name: "skipped before, revoked now", raw: plain, state: replica.Revoked, ledger: &replica.Entry{Status: intel.Skipped}, forget: true},
		{name: "sent without observables, revoked", raw: rawIndicator(1, "[ipv4-addr:value != '192.0.2.1']", ""), state: replica.Revoked,
			ledger: delivered(1), action: intel.Withdraw, reason: intel.ReasonRevoked, whole: true},
		{name: "sent without observables, has one now", raw: plain, ledger: delivered(1, unobserved), action: intel.Upsert, whole: true},
		{name: "perhaps sent without observables, has one now", raw: plain, ledger: &replica.Entry{Refs: []string{unobserved}}, action: intel.Upsert, whole: true},
		{name: "perhaps sent with observables over none, revoked", raw: plain, state: replica.Revoked,
			ledger: delivered(0, unobserved, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonRevoked, remove: []string{"ipv4-addr:198.51.100.7"}, whole: true},
		{name: "valid_until has passed, sweep is yet to come", raw: rawIndicator(1, ip, `"valid_until":"2026-02-01T00:00:00Z"`)},
		{name: "valid_until has passed, was sent in this form", raw: rawIndicator(1, ip, `"valid_until":"2026-02-01T00:00:00Z"`),
			ledger: delivered(digest(&replica.Record{Raw: rawIndicator(1, ip, `"valid_until":"2026-02-01T00:00:00Z"`)}), "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonExpired, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "valid_until to come", raw: rawIndicator(1, ip, `"valid_until":"2026-04-01T00:00:00Z"`), action: intel.Upsert},
		{name: "benign", raw: rawIndicator(1, ip, `"indicator_types":["benign"]`)},
		{name: "benign now", raw: rawIndicator(1, ip, `"indicator_types":["benign"]`), ledger: delivered(1, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonBenign, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "filtered", raw: rawIndicator(1, ip, `"confidence":10`), where: confident(50)},
		{name: "leaves the filter", raw: rawIndicator(1, ip, `"confidence":10`), where: confident(50), ledger: delivered(1, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonFiltered, remove: []string{"ipv4-addr:198.51.100.7"}},
		{name: "the filter changed, the object did not", raw: plain, where: confident(50), ledger: delivered(known, "ipv4-addr:198.51.100.7"),
			action: intel.Withdraw, reason: intel.ReasonFiltered, remove: []string{"ipv4-addr:198.51.100.7"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := replica.Record{Seq: 7, OID: 3, ID: "indicator--1", Raw: tt.raw, State: tt.state, Ledger: tt.ledger}
			d := decide("feed", tt.where, rec, testNow)
			if d.dead != nil {
				t.Fatalf("dead letter: %+v", d.dead)
			}
			if d.forget != tt.forget {
				t.Errorf("forget = %v, want %v", d.forget, tt.forget)
			}
			if tt.action == 0 {
				if d.change != nil {
					t.Fatalf("change %v (%s), want none", d.change.Action, d.change.Reason)
				}
				return
			}
			if d.change == nil {
				t.Fatalf("no change, want %v", tt.action)
			}
			if d.change.Action != tt.action || d.change.Reason != tt.reason {
				t.Errorf("change %v (%q), want %v (%q)", d.change.Action, d.change.Reason, tt.action, tt.reason)
			}
			var removed []string
			for _, r := range d.change.Remove {
				removed = append(removed, r.String())
			}
			if !slices.Equal(removed, tt.remove) {
				t.Errorf("remove %q, want %q", removed, tt.remove)
			}
			if d.change.Whole != tt.whole {
				t.Errorf("whole = %v, want %v", d.change.Whole, tt.whole)
			}
			if d.change.Indicator.Feed != "feed" {
				t.Errorf("feed %q", d.change.Indicator.Feed)
			}
			if holds(tt.ledger) && !d.change.FirstDelivered.Equal(tt.ledger.First) {
				t.Errorf("first delivered %v, want %v", d.change.FirstDelivered, tt.ledger.First)
			}
		})
	}
}

// The row of an indicator that was delivered without observables says so, so
// that it still does when what a batch in flight may have left joins it.
func TestEntryWhole(t *testing.T) {
	raw := rawIndicator(1, "[ipv4-addr:value != '192.0.2.1']", "")
	d := decide("feed", nil, replica.Record{Raw: raw}, testNow)
	e := d.entry(intel.Outcome{Status: intel.Delivered}, testNow)
	if !slices.Equal(e.Refs, []string{unobserved}) || !whole(e) {
		t.Errorf("row %+v", e)
	}
	e.Refs = append(e.Refs, d.intent().Refs...)
	e.Refs = append(e.Refs, "ipv4-addr:198.51.100.7")
	if !whole(e) {
		t.Errorf("row %+v forgot it", e)
	}
}

// What a ledger row says after an outcome decides every later withdrawal.
func TestEntry(t *testing.T) {
	raw := rawIndicator(1, "[ipv4-addr:value = '198.51.100.7'] OR [ipv4-addr:value = '198.51.100.8']", "")
	before := &replica.Entry{Status: intel.Delivered, Digest: 1, Refs: []string{"ipv4-addr:198.51.100.9"}, First: testNow.AddDate(0, 0, -1)}
	tests := []struct {
		name   string
		state  replica.State
		ledger *replica.Entry
		out    intel.Outcome
		refs   []string
		status intel.Status
	}{
		{"delivered", replica.Current, nil, intel.Outcome{Status: intel.Delivered}, []string{"ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8"}, intel.Delivered},
		{"delivered over another version", replica.Current, before, intel.Outcome{Status: intel.Delivered}, []string{"ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8"}, intel.Delivered},
		{"delivered with something of the sink's own", replica.Current, nil, intel.Outcome{Status: intel.Delivered, Held: []intel.Ref{{Type: "pattern"}}},
			[]string{"ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8", "pattern:"}, intel.Delivered},
		{"refused, nothing there before", replica.Current, nil, intel.Outcome{Status: intel.Rejected, Reason: "x"}, []string{}, intel.Rejected},
		{"refused, the old version stays there", replica.Current, before, intel.Outcome{Status: intel.Rejected}, []string{"ipv4-addr:198.51.100.9"}, intel.Rejected},
		{"refused in part", replica.Current, before, intel.Outcome{Status: intel.Rejected, Held: []intel.Ref{{Type: intel.TypeIPv4, Value: "198.51.100.7"}}},
			[]string{"ipv4-addr:198.51.100.9", "ipv4-addr:198.51.100.7"}, intel.Rejected},
		{"skipped", replica.Current, nil, intel.Outcome{Status: intel.Skipped, Reason: "pattern_type"}, []string{}, intel.Skipped},
		{"withdrawn", replica.Revoked, before, intel.Outcome{Status: intel.Delivered}, []string{}, intel.Unknown},
		{"sent and not answered", replica.Current, nil, intel.Outcome{}, []string{"ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8"}, intel.Unknown},
		{"sent over another version and not answered", replica.Current, before, intel.Outcome{},
			[]string{"ipv4-addr:198.51.100.9", "ipv4-addr:198.51.100.7", "ipv4-addr:198.51.100.8"}, intel.Delivered},
		{"withdrawal not answered", replica.Revoked, before, intel.Outcome{}, []string{"ipv4-addr:198.51.100.9"}, intel.Delivered},
		{"withdrawal refused, all stays there", replica.Revoked, before, intel.Outcome{Status: intel.Rejected}, []string{"ipv4-addr:198.51.100.9"}, intel.Delivered},
		{"refused, an old version without observables stays there", replica.Current, &replica.Entry{Status: intel.Delivered, Digest: 1, First: testNow.AddDate(0, 0, -1)},
			intel.Outcome{Status: intel.Rejected}, []string{unobserved}, intel.Rejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decide("feed", nil, replica.Record{Raw: raw, State: tt.state, Ledger: tt.ledger, Version: 5}, testNow)
			e := d.entry(tt.out, testNow)
			if e == nil {
				t.Fatal("no row")
			}
			if !slices.Equal(e.Refs, tt.refs) || e.Status != tt.status {
				t.Errorf("row %+v, want refs %q and status %v", e, tt.refs, tt.status)
			}
			if d.change.Action == intel.Upsert && tt.out.Status != intel.Unknown && (e.Version != 5 || e.Digest != d.digest || e.Reason != tt.out.Reason) {
				t.Errorf("row %+v does not identify what was sent", e)
			}
			if tt.out.Status == intel.Unknown && tt.state == replica.Current && e.Digest != 0 {
				t.Error("what was not answered looks settled")
			}
			if holds(tt.ledger) && !e.First.Equal(tt.ledger.First) {
				t.Errorf("first delivery %v, want %v", e.First, tt.ledger.First)
			}
		})
	}
}

func TestUndecodableObjectIsADeadLetter(t *testing.T) {
	d := decide("feed", nil, replica.Record{Raw: []byte(`[]`)}, testNow)
	if d.dead == nil || d.dead.Reason != "undecodable" || d.dead.Detail == "" {
		t.Errorf("decision %+v, want a dead letter that says why", d)
	}
}
