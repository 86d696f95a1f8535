package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/cmd/internal/control"
	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// The environment variables that repeat a run of TestRandom, or make it long:
// numbers separated by commas, and a number.
const (
	seedsVariable = "E2E_RANDOM_SEEDS"
	stepsVariable = "E2E_RANDOM_STEPS"
)

// TestRandom lets a feed change at random, thousands of times, while the feed's
// server and every destination fail at random, and the forwarder is killed,
// stopped, started and reconfigured in between. When all is whole again and has
// settled, every destination holds what the feed says now: each indicator, each
// observable, in its newest version and with what is known about it, nothing
// else, and nothing is given up but what is poisoned.
func TestRandom(t *testing.T) {
	seeds := []uint64{1, 2, uint64(time.Now().UnixNano()) % 1_000_000}
	steps := 120
	if testing.Short() || slowness > 1 {
		seeds, steps = seeds[2:], 50/min(slowness, 2)
	}
	if v := os.Getenv(seedsVariable); v != "" {
		seeds = nil
		for s := range strings.SplitSeq(v, ",") {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", seedsVariable, err)
			}
			seeds = append(seeds, n)
		}
	}
	if v := os.Getenv(stepsVariable); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", stepsVariable, err)
		}
		steps = n
	}
	t.Parallel()
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("repeat with %s=%d %s=%d", seedsVariable, seed, stepsVariable, steps)
				}
			})
			newOrdeal(t, seed).run(steps)
		})
	}
}

// ordeal is one run of TestRandom.
type ordeal struct {
	*rig
	history *history
	random  *rand.Rand
	process *process
	layout  layout
	broken  map[string]int // what is broken: steps until it is mended
	kills   int
	ends    int // clean ones, and changes of the configuration
}

// wheres are the filters that a run changes between, and what they mean.
var wheres = []struct {
	text string
	pass func(*intel.Indicator) bool
}{
	{"indicator.confidence == null || indicator.confidence >= 40", func(i *intel.Indicator) bool { return i.Confidence == nil || *i.Confidence >= 40 }},
	{"indicator.confidence == null || indicator.confidence < 70", func(i *intel.Indicator) bool { return i.Confidence == nil || *i.Confidence < 70 }},
	{"", func(*intel.Indicator) bool { return true }},
}

func newOrdeal(t *testing.T, seed uint64) *ordeal {
	t.Helper()
	r := newRig(t, taxiitest.Options{PageCap: 60})
	random := rand.New(rand.NewPCG(seed, 0))
	o := &ordeal{rig: r, history: newHistory(r, random), random: random, broken: map[string]int{}}
	o.layout = layout{
		poll: 100 * time.Millisecond, tight: everySink, where: wheres[0].text,
		feed: fmt.Sprintf("page_size = 50\n  overlap = \"1s\"\n  timeout = \"%ds\"", slowness),
	}
	r.poison(isPoisoned)
	r.configure(o.layout)
	o.process = r.launch()
	return o
}

func (o *ordeal) run(steps int) {
	o.Helper()
	for range steps {
		for range 1 + o.random.IntN(40) {
			o.history.step()
		}
		o.upset()
		for what, left := range o.broken {
			if o.broken[what]--; left <= 1 {
				o.mendOne(what)
			}
		}
		<-time.After(slowness * time.Duration(20+o.random.IntN(150)) * time.Millisecond)
	}
	for what := range o.broken {
		o.mendOne(what)
	}
	o.layout.sinks = nil
	o.reload()
	o.settled()
	o.verdict()
}

func (o *ordeal) mendOne(what string) {
	o.Helper()
	o.mend(what)
	delete(o.broken, what)
}

// upset lets something go wrong, mostly.
func (o *ordeal) upset() {
	o.Helper()
	everything := append([]string{feedName}, everySink...)
	switch roll := o.random.IntN(100); {
	case roll < 10: // as kill -9, at whatever it is doing
		o.process.kill()
		o.kills++
		o.absent()
	case roll < 13:
		o.process.stop()
		o.ends++
		o.absent()
	case roll < 50:
		what := everything[o.random.IntN(len(everything))]
		if _, already := o.broken[what]; !already {
			o.broken[what] = 1 + o.random.IntN(10)
			o.mishap(what, o.random)
		}
	case roll < 56:
		if what := everySink[o.random.IntN(len(everySink))]; o.broken[what] == 0 {
			o.restart(what)
		}
	case roll < 64:
		o.layout.where = wheres[o.random.IntN(len(wheres))].text
		o.layout.sinks = slices.Clone(everySink)
		if o.random.IntN(2) == 0 {
			o.layout.sinks = slices.Delete(o.layout.sinks, 1, 2+o.random.IntN(2))
		}
		o.reload()
	case roll < 67:
		o.process.ask("retry dead letters", func(ctx context.Context, c *control.Client) error {
			_, err := c.RetryDead(ctx, replica.DeadFilter{})
			return err
		})
	}
}

// absent starts the forwarder again, after a while in which the feed went on.
func (o *ordeal) absent() {
	o.Helper()
	for range o.random.IntN(60) {
		o.history.step()
	}
	o.process = o.launch()
}

func (o *ordeal) reload() {
	o.Helper()
	if len(o.layout.sinks) == len(everySink) {
		o.layout.sinks = nil
	}
	o.configure(o.layout)
	o.ends++
	o.process.ask("reload", func(ctx context.Context, c *control.Client) error { return c.Reload(ctx) })
}

// settled waits until the feed's last change has been polled and delivered, and
// everything that was about to expire has.
func (o *ordeal) settled() {
	o.Helper()
	if wait := time.Until(o.history.expiry); wait > 0 {
		<-time.After(wait)
	}
	begun := time.Now()
	seen := map[string]time.Time{}
	polls := map[string]int{}
	quiet := 0
	for deadline := time.Now().Add(patience); ; <-time.After(slowness * 50 * time.Millisecond) {
		s := o.process.status()
		ready := idle(s) && len(s.Routes) == len(everySink)
		for _, f := range s.Feeds {
			for _, c := range f.Collections {
				if c.LastSuccess.After(begun) && c.LastSuccess.After(seen[c.ID]) {
					seen[c.ID] = c.LastSuccess
					polls[c.ID]++
				}
				ready = ready && polls[c.ID] >= 2
			}
			ready = ready && len(f.Collections) == 2 && f.State != status.StateFailing
		}
		if quiet++; !ready {
			quiet = 0
		}
		if quiet == 4 { // an expiry is a moment later than its time
			return
		}
		if time.Now().After(deadline) {
			o.Fatalf("not settled within %s: %+v", patience, s)
		}
	}
}

// verdict compares everything with what it should be.
func (o *ordeal) verdict() {
	o.Helper()
	s := o.process.status()
	o.process.stop()
	now := time.Now()
	pass := wheres[slices.IndexFunc(wheres, func(w struct {
		text string
		pass func(*intel.Indicator) bool
	}) bool {
		return w.text == o.layout.where
	})].pass
	all := slices.DeleteFunc(o.truth.inForce(o, now), func(i *intel.Indicator) bool { return !pass(i) })
	byID := map[string]*intel.Indicator{}
	for _, ind := range all {
		byID[ind.ID] = ind
	}
	want := expect(all)
	dead := map[string][]string{}
	for sink, w := range want {
		if sink == fileSink {
			continue
		}
		for id := range w.held {
			if isPoisoned(id) {
				delete(w.held, id)
				dead[sink] = append(dead[sink], id)
			}
		}
	}
	for _, l := range o.deadLetters() {
		i := slices.Index(dead[l.Sink], l.STIXID)
		if i < 0 {
			o.Errorf("%s: dead letter of %s: %s: %s", l.Sink, l.STIXID, l.Reason, l.Detail)
			continue
		}
		dead[l.Sink] = slices.Delete(dead[l.Sink], i, i+1)
		if l.Reason == "" || len(l.Sent) == 0 || len(l.Raw) == 0 {
			o.Errorf("%s: dead letter of %s without a reason or what was sent: %+v", l.Sink, l.STIXID, l)
		}
	}
	for sink, ids := range dead {
		if len(ids) > 0 {
			o.Errorf("%s: no dead letters of %d poisoned indicators, such as %s", sink, len(ids), ids[0])
		}
	}
	for _, sink := range everySink {
		compare(o, sink, want[sink].held, o.holds(sink))
		o.compareVersions(sink, byID)
		if r := route(o, s, sink); r.Delivered != int64(len(want[sink].held)) {
			o.Errorf("%s: status says %d delivered, want %d", sink, r.Delivered, len(want[sink].held))
		}
	}
	o.compareRepeats()

	if v := o.taxii.Violations(); len(v) > 0 {
		o.Errorf("taxii: %q", v)
	}
	if p := o.splunk.Problems(); len(p) > 0 {
		o.Errorf("splunk: %q", p)
	}
	if g := o.sentinel.Regressions(); len(g) > 0 {
		o.Errorf("sentinel was sent older versions after newer ones: %q", g[:min(len(g), 3)])
	}
	o.checkSecrets()
	o.Logf("%d changes, %d indicators of which %d in force", o.history.changes, len(o.history.lives), len(all))
}
