package e2e

import (
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestChanges changes one indicator after another at the TAXII server, and
// finds in every destination the requests that follow from it, and no other.
func TestChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, taxiitest.Options{})
	// All versions are from before the forwarder started, as they are for
	// indicators that take their time to get here.
	epoch := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	minute := func(n int) string { return stamp(epoch.Add(time.Duration(n) * time.Minute)) }

	first := map[int]object{
		1: indicator(1, epoch, "[ipv4-addr:value = '192.0.2.1']"),
		2: indicator(2, epoch, "[domain-name:value = 'two.example.com'] OR [url:value = 'https://two.example.com/x'] OR [ipv4-addr:value = '192.0.2.2']"),
		3: indicator(3, epoch, "[domain-name:value = 'three.example.com']"),
		4: indicator(4, epoch, "[email-addr:value = 'four@example.com']"),
		5: indicator(5, epoch, "[domain-name:value = 'five.example.com']"),
		6: indicator(6, epoch, "[ipv6-addr:value = '2001:db8::6']").with(object{"confidence": 80}),
		7: indicator(7, epoch, "rule seven { condition: true }").with(object{"pattern_type": "yara"}),
		8: indicator(8, epoch, "[mutex:name = 'eight']"),
		9: indicator(9, epoch, "[domain-name:value = 'nine.example.com']"),
	}
	for n := range 9 {
		r.serve(r.main, time.Now().Add(-time.Minute), first[n+1].raw())
	}
	r.configure(layout{poll: 100 * time.Millisecond, where: "indicator.confidence == null || indicator.confidence >= 50"})
	r.start()
	r.settle()
	r.checkHeld(expect(r.truth.inForce(t, time.Now())))

	add := func(objects ...object) {
		for _, o := range objects {
			r.serve(r.main, time.Now(), o.raw())
		}
	}
	var expiry time.Time
	var longest time.Duration // of a step
	steps := []struct {
		name  string
		do    func()
		until func(status.Status) bool
		want  string
	}{
		{name: "changed", do: func() { add(first[1].with(object{"modified": minute(1), "name": "another name"})) }, want: `
splunk: requests 1
  upsert 1 ipv4-addr:192.0.2.1
sentinel: upload, status 200
  hold 1 [ipv4-addr:value = '192.0.2.1']
elastic: requests 1, operations 1
  update 1 ipv4-addr:192.0.2.1
file: upsert 1
`},
		{name: "a late old version", do: func() {
			// The first collection would not serve it any more.
			r.serve(r.other, time.Now(), first[1].with(object{"name": "an old name"}).raw())
		}, want: ""},
		{name: "the same version from elsewhere, in other words", do: func() {
			r.other.Add(time.Now(), first[9].with(object{"name": "theirs"}).raw())
		}, want: ""},
		{name: "an observable less", do: func() {
			add(first[2].with(object{"modified": minute(1), "pattern": "[domain-name:value = 'two.example.com' OR ipv4-addr:value = '192.0.2.2']"}))
		}, want: `
splunk: requests 1
  upsert 2 domain-name:two.example.com
  upsert 2 ipv4-addr:192.0.2.2
  withdraw 2 url:https://two.example.com/x (replaced)
sentinel: upload, status 200
  hold 2 [domain-name:value = 'two.example.com' OR ipv4-addr:value = '192.0.2.2']
elastic: requests 1, operations 3
  delete 2 url:https://two.example.com/x
  update 2 domain-name:two.example.com
  update 2 ipv4-addr:192.0.2.2
file: upsert 2 -url:https://two.example.com/x
`},
		{name: "an observable more", do: func() {
			add(first[8].with(object{"modified": minute(1), "pattern": "[mutex:name = 'eight' OR mutex:name = 'acht']"}))
		}, want: `
splunk: requests 1
  upsert 8 mutex:eight
  upsert 8 mutex:acht
sentinel: upload, status 200
  hold 8 [mutex:name = 'eight' OR mutex:name = 'acht']
elastic: requests 1, operations 2
  create 8 mutex:acht
  update 8 mutex:eight
file: upsert 8
`},
		{name: "revoked", do: func() { add(first[3].with(object{"modified": minute(1), "revoked": true})) }, want: `
splunk: requests 1
  withdraw 3 domain-name:three.example.com (revoked)
sentinel: upload, status 200
  revoke 3 [domain-name:value = 'three.example.com']
elastic: requests 1, operations 1
  delete 3 domain-name:three.example.com
file: withdraw 3 (revoked) -domain-name:three.example.com
`},
		{name: "an old version of what is revoked", do: func() {
			r.serve(r.other, time.Now(), first[3].with(object{"name": "as if nothing were wrong"}).raw())
		}, want: ""},
		{name: "revoked no more, but in the same version", do: func() {
			r.main.Add(time.Now(), first[3].with(object{"modified": minute(1), "name": "really?"}).raw())
		}, want: ""},
		{name: "reinstated by a newer version", do: func() { add(first[3].with(object{"modified": minute(2)})) }, want: `
splunk: requests 1
  upsert 3 domain-name:three.example.com
sentinel: upload, status 200
  hold 3 [domain-name:value = 'three.example.com']
elastic: requests 1, operations 1
  create 3 domain-name:three.example.com
file: upsert 3
`},
		{name: "about to expire", do: func() {
			expiry = time.Now().Add(max(3*time.Second, 4*longest)) // after this step and the next
			add(first[4].with(object{"modified": minute(1), "valid_until": stamp(expiry)}))
		}, want: `
splunk: requests 1
  upsert 4 email-addr:four@example.com
sentinel: upload, status 200
  hold 4 [email-addr:value = 'four@example.com']
elastic: requests 1, operations 1
  update 4 email-addr:four@example.com
file: upsert 4
`},
		{name: "benign", do: func() { add(first[5].with(object{"modified": minute(1), "indicator_types": []string{"benign"}})) }, want: `
splunk: requests 1
  withdraw 5 domain-name:five.example.com (benign)
sentinel: upload, status 200
  revoke 5 [domain-name:value = 'five.example.com']
elastic: requests 1, operations 1
  delete 5 domain-name:five.example.com
file: withdraw 5 (benign) -domain-name:five.example.com
`},
		{name: "expired", do: func() {}, until: func(s status.Status) bool {
			if s.Feeds[0].Expired == 1 && time.Now().Before(expiry) {
				t.Error("expired before its time")
			}
			return s.Feeds[0].Expired == 1
		}, want: `
splunk: requests 1
  withdraw 4 email-addr:four@example.com (expired)
sentinel: upload, status 200
  revoke 4 [email-addr:value = 'four@example.com']
elastic: requests 1, operations 1
  delete 4 email-addr:four@example.com
file: withdraw 4 (expired) -email-addr:four@example.com
`},
		{name: "out of the filter", do: func() { add(first[6].with(object{"modified": minute(1), "confidence": 49})) }, want: `
splunk: requests 1
  withdraw 6 ipv6-addr:2001:db8::6 (filtered)
sentinel: upload, status 200
  revoke 6 [ipv6-addr:value = '2001:db8::6']
elastic: requests 1, operations 1
  delete 6 ipv6-addr:2001:db8::6
file: withdraw 6 (filtered) -ipv6-addr:2001:db8::6
`},
		{name: "still out of the filter", do: func() { add(first[6].with(object{"modified": minute(2), "confidence": 48})) }, want: ""},
		{name: "back in the filter", do: func() { add(first[6].with(object{"modified": minute(3), "confidence": 50})) }, want: `
splunk: requests 1
  upsert 6 ipv6-addr:2001:db8::6
sentinel: upload, status 200
  hold 6 [ipv6-addr:value = '2001:db8::6']
elastic: requests 1, operations 1
  create 6 ipv6-addr:2001:db8::6
file: upsert 6
`},
		{name: "a rule in another language, revoked", do: func() { add(first[7].with(object{"modified": minute(1), "revoked": true})) }, want: `
splunk: requests 1
  withdraw 7 pattern: (revoked)
sentinel: upload, status 200
  revoke 7 rule seven { condition: true }
elastic: requests 1, operations 1
  delete 7 as a whole
file: withdraw 7 (revoked)
`},
		{name: "what it indicates becomes known", do: func() {
			r.serve(r.main, time.Now(), malware(1, epoch, "ExampleLoader").raw(), indicates(8, epoch, id("malware", 1)).raw())
		}, want: `
splunk: requests 1
  upsert 8 mutex:eight
  upsert 8 mutex:acht
sentinel: upload, status 200
  hold 8 [mutex:name = 'eight' OR mutex:name = 'acht']
elastic: requests 1, operations 2
  update 8 mutex:acht
  update 8 mutex:eight
file: upsert 8
`},
		{name: "an object of no interest", do: func() { r.serve(r.main, time.Now(), malware(2, epoch, "Unrelated").raw()) }, want: ""},
	}
	for _, step := range steps {
		// Not parallel, and the rig's own TB: each step goes on from the one before.
		before, polls, began := r.mark(), r.taxii.ObjectRequests(), time.Now()
		step.do()
		if step.until != nil {
			r.until(step.name, step.until)
		}
		r.settle()
		longest = max(longest, time.Since(began))
		if got, want := r.since(before), strings.TrimPrefix(step.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", step.name, got, want)
		}
		if r.taxii.ObjectRequests() == polls {
			t.Errorf("%s: the server was not asked", step.name)
		}
	}
	want := expect(r.truth.inForce(t, time.Now()))
	for _, e := range want { // what the filter keeps out is in none of the lists: 6 came back
		if len(e.held) != 6 {
			t.Errorf("%d indicators should be held at the end, want 6: 1 2 3 6 8 9", len(e.held))
		}
	}
	r.checkHeld(want)
	r.unchanged()
	r.checkFakes()
}
