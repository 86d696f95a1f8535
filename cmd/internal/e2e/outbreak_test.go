package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/sinktest"
)

// outbreak is one way in which one destination goes wrong, and what is required
// while it lasts and afterwards. Required of every one is what [outbreak.run]
// checks: nothing is lost, the other sinks notice nothing, and whoever looks is
// told what is wrong.
type outbreak struct {
	fault sinktest.Fault // one of sinktest's, or one of the destination's own
	sink  string

	setup func(*testing.T, *rig) // makes a server of another kind, before anything runs; nil = none
	begin func(*rig)
	heal  func(*rig) // nil = [rig.mend]

	kinds []intel.FailureKind // that the status may give; none = the sink copes, which is no failure
	says  string              // part of the error
	takes bool                // the destination takes what it fails to confirm, so that it is told again
	brief bool                // it is over before one could look
	dead  string              // reason of the dead letter of the one indicator that is not taken
	never string              // why this can not happen to this destination
}

// TestOutbreaks runs the table, which has an entry for every fault of the
// contract suite and every sink.
func TestOutbreaks(t *testing.T) {
	t.Parallel()
	for _, f := range sinktest.Faults() {
		for _, sink := range everySink {
			if !slices.ContainsFunc(outbreaks, func(o outbreak) bool { return o.fault == f && o.sink == sink }) {
				t.Errorf("no entry for fault %s of %s", f, sink)
			}
		}
	}
	for i, o := range outbreaks {
		kind, _, _ := strings.Cut(o.sink, ".")
		t.Run(string(o.fault)+"/"+kind, func(t *testing.T) {
			if o.never != "" {
				t.Skip(o.never)
			}
			if slowness > 1 && i%5 != 0 {
				t.Skip("the race detector has seen enough of the same code with every fifth")
			}
			t.Parallel()
			o.run(t)
		})
	}
}

// refused is the number of the indicator that the destination does not take,
// in outbreaks with a dead letter.
const refused = 108

// news returns what the feed adds during an outbreak: new indicators of every
// shape, new versions, one with an observable less, revocations.
func news(epoch time.Time) [][]byte {
	later := stamp(epoch.Add(time.Minute))
	var objects [][]byte
	for i := range len(shapes) {
		objects = append(objects, shaped(100+i, epoch).raw())
	}
	for i := range 4 {
		objects = append(objects, shaped(i, epoch).with(object{"modified": later, "name": "another name"}).raw())
	}
	objects = append(objects, shaped(8, epoch).with(object{"modified": later, "pattern": "[ipv4-addr:value = '" + address(8) + "']"}).raw())
	for _, i := range []int{4, 7, 20} {
		objects = append(objects, shaped(i, epoch).with(object{"modified": later, "revoked": true}).raw())
	}
	return objects
}

func (o outbreak) run(t *testing.T) {
	r := newRig(t, taxiitest.Options{})
	r.within = 100 * slowness * time.Millisecond
	if o.setup != nil {
		o.setup(t, r)
	}
	epoch := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	var first [][]byte
	for i := range 2 * len(shapes) {
		first = append(first, shaped(i, epoch).raw())
	}
	r.serve(r.main, time.Now().Add(-time.Minute), first...)
	l := layout{poll: 100 * time.Millisecond}
	if slices.Contains(o.kinds, intel.FailTimeout) {
		l.tight = []string{o.sink}
	}
	r.configure(l)
	r.start()
	r.settle()
	r.log.forget() // a slow machine may have made a short time-out pass
	before := route(t, r.app.Status(t.Context()), o.sink)
	told, repeated := r.told(o.sink), r.repeats(o.sink)

	o.begin(r)
	r.serve(r.main, time.Now(), news(epoch)...)
	if len(o.kinds) > 0 && !o.brief {
		o.observe(r, before)
	}
	if o.brief {
		r.settle() // heals by itself
	}
	if o.dead == "" {
		o.end(r)
	}
	s := r.settle()

	want := expect(r.truth.inForce(t, time.Now()))
	for _, sink := range everySink {
		held := want[sink].held
		if o.dead != "" && sink == o.sink {
			delete(held, id("indicator", refused))
		}
		compare(t, sink, held, r.holds(sink))
		k := route(t, s, sink)
		if k.Cursor != k.Head || k.Pending != 0 || k.Delivered != int64(len(held)) {
			t.Errorf("%s: cursor %d of %d, %d pending, %d delivered; want it at the end with %d", sink, k.Cursor, k.Head, k.Pending, k.Delivered, len(held))
		}
		if up := r.metric(`sink_up{feed="research",sink="` + sink + `"}`); up != 1 {
			t.Errorf("%s: metric sink_up is %v in the end", sink, up)
		}
		if sink != o.sink {
			if complaints := r.log.lines("sink="+sink, "[ERROR]"); len(complaints) > 0 || r.repeats(sink) > 0 || k.DeadLetters > 0 {
				t.Errorf("%s has nothing to do with it, but has %d repeats, %d dead letters and %q", sink, r.repeats(sink), k.DeadLetters, complaints)
			}
		}
	}
	if code, page := r.get("/readyz?strict"); code != http.StatusOK {
		t.Errorf("/readyz?strict %d in the end: %s", code, page)
	}
	o.checkLog(r)
	o.checkRepeats(r, told, repeated)
	o.checkDead(r, s)
	o.end(r)
}

// observe looks at all faces of the forwarder while the outbreak lasts.
func (o outbreak) observe(r *rig, before status.Route) {
	r.Helper()
	kind := func(s status.Status) intel.FailureKind { return route(r, s, o.sink).FailureKind }
	s := r.until("two failures, and the other sinks in step", func(s status.Status) bool {
		if kind(s) == "" || r.metric(`sink_failures_total{feed="research",kind="`+string(kind(s))+`",sink="`+o.sink+`"}`) < 2 {
			return false
		}
		return !slices.ContainsFunc(s.Routes, func(k status.Route) bool {
			return k.Sink != o.sink && (k.State != status.StateOK || k.Pending > 0 || k.Head == before.Head)
		})
	})
	k := route(r, s, o.sink)
	if !slices.Contains(o.kinds, k.FailureKind) || k.State != status.StateFailing || !strings.Contains(k.Error, o.says) ||
		k.FailingSince.IsZero() || k.RetryAt.IsZero() {
		r.Errorf("the status says %+v; want kind %v and %q", k, o.kinds, o.says)
	}
	if k.Cursor != before.Cursor || k.Pending == 0 || k.DeadLetters > 0 {
		r.Errorf("cursor %d with %d pending and %d dead letters; before the outbreak it was at %d", k.Cursor, k.Pending, k.DeadLetters, before.Cursor)
	}
	for _, sink := range s.Sinks {
		if is := sink.Kind+"."+sink.Name == o.sink; is != (sink.State == status.StateFailing) {
			r.Errorf("sink %s is %s", sink.Name, sink.State)
		}
		up := r.metric(`sink_up{feed="research",sink="` + sink.Kind + "." + sink.Name + `"}`)
		if is := sink.Kind+"."+sink.Name == o.sink; is == (up == 1) {
			r.Errorf("metric sink_up of %s is %v", sink.Name, up)
		}
	}
	if code, page := r.get("/healthz"); code != http.StatusOK {
		r.Errorf("/healthz %d, though a restart would not help: %s", code, page)
	}
	if said := r.log.lines("[ERROR]", "sink="+o.sink); len(said) < 1 || len(said) > len(o.kinds) {
		r.Errorf("after several attempts the log says %d times that delivery fails, want once:\n%s", len(said), strings.Join(said, "\n"))
	}
	_, name, _ := strings.Cut(o.sink, ".")
	for path, want := range map[string]int{"/readyz": http.StatusOK, "/readyz?strict": http.StatusServiceUnavailable, "/status": http.StatusOK} {
		code, page := r.get(path)
		if code != want || !strings.Contains(page, `"`+name+`"`) || !strings.Contains(page, string(k.FailureKind)) || !strings.Contains(page, o.says) {
			r.Errorf("%s %d, want %d with %q, %s and %q: %s", path, code, want, name, k.FailureKind, o.says, page)
		}
	}
}

func (o outbreak) end(r *rig) {
	r.Helper()
	if o.heal != nil {
		o.heal(r)
		return
	}
	r.mend(o.sink)
}

// checkLog: an outbreak is told of once when it begins and once when it ends,
// however many attempts there were.
func (o outbreak) checkLog(r *rig) {
	r.Helper()
	failing := r.log.lines("[ERROR]", "sink="+o.sink)
	again := append(r.log.lines("[INFO]", "sink="+o.sink, "works again"), r.log.lines("[INFO]", "sink="+o.sink, "nothing left to do")...)
	switch {
	case len(o.kinds) == 0 && len(failing)+len(again) > 0:
		r.Errorf("the log complains of what is no failure: %q %q", failing, again)
	case o.brief && (len(failing) > len(o.kinds) || len(again) > len(failing) || len(failing) > 0 && len(again) == 0),
		// What hangs may be cut by the healing, which is news.
		len(o.kinds) > 0 && !o.brief && (len(failing) < 1 || len(failing) > 1+len(o.kinds) || len(again) != 1):
		r.Errorf("the log says %d times that delivery fails, and %d times that it works again; want once:\n%s",
			len(failing), len(again), strings.Join(append(failing, again...), "\n"))
	}
}

// checkRepeats: a destination is told again only what it may have taken
// unseen, once for each failed attempt at most.
func (o outbreak) checkRepeats(r *rig, told, repeated int) {
	r.Helper()
	attempts := len(r.log.lines("deliver", "sink="+o.sink, "failing")) + len(r.log.lines("[WARN]", "sink="+o.sink, "sending them again"))
	repeats := r.repeats(o.sink) - repeated
	inFlight := r.told(o.sink) - told - repeats
	r.Logf("%d failed attempts with %d things in flight: %d repeats", attempts, inFlight, repeats)
	if !o.takes && repeats > 0 {
		r.Errorf("%d things were told twice, though nothing was taken during the outbreak", repeats)
	}
	if repeats > attempts*inFlight {
		r.Errorf("%d things were told twice, more than %d attempts with %d in flight explain", repeats, attempts, inFlight)
	}
}

func (o outbreak) checkDead(r *rig, s status.Status) {
	r.Helper()
	want := 0
	if o.dead != "" {
		want = 1
		if n := r.metric(`sink_rejected_total{feed="research",reason="` + o.dead + `",sink="` + o.sink + `"}`); n != 1 {
			r.Errorf("the metrics count %v refused for %s", n, o.dead)
		}
		if said := r.log.lines("[WARN]", "sink="+o.sink, "dead-letters list", o.dead); len(said) != 1 {
			r.Errorf("the log tells %d times of the dead letter", len(said))
		}
	}
	if k := route(r, s, o.sink); k.DeadLetters != int64(want) || k.Rejected != int64(want) {
		r.Errorf("%d dead letters, %d rejected, want %d", k.DeadLetters, k.Rejected, want)
	}
	r.stop()
	letters := r.deadLetters()
	if len(letters) != want {
		r.Errorf("%d dead letters in the state, want %d", len(letters), want)
	}
	for _, l := range letters {
		if l.STIXID != id("indicator", refused) || l.Sink != o.sink || l.Reason != o.dead || l.Detail == "" ||
			!strings.Contains(string(l.Sent), id("indicator", refused)) || len(l.Raw) == 0 {
			r.Errorf("dead letter %+v (sent %s)", l, l.Sent)
		}
	}
}
