package e2e

import (
	"os"
	"testing"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestLostData: a destination that loses what it had confirmed, an index
// deleted by mistake or a restored backup, does not say so, and no destination
// is asked. It is given what changes, and what replay gives it again: all that
// it should have, and no other sink is told anything.
func TestLostData(t *testing.T) {
	t.Parallel()
	for sink, lose := range map[string]func(*rig) error{
		splunkSink:  func(r *rig) error { r.splunk.Forget(); return nil },
		elasticSink: func(r *rig) error { return r.elastic.Restart(false) },
		fileSink:    func(r *rig) error { return os.Remove(r.archive) },
	} {
		t.Run(sink, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, taxiitest.Options{})
			r.within = 100 * slowness * time.Millisecond
			r.serveShapes(42)
			r.configure(layout{poll: 100 * time.Millisecond})
			r.start()
			r.settle()
			if err := lose(r); err != nil {
				t.Fatal(err)
			}
			told := r.told(sink)
			r.settle()
			if n := r.told(sink); n != told {
				t.Errorf("it was told %d things, though nobody can know that it lost any", n-told)
			}
			r.serve(r.main, time.Now(), indicator(100, time.Now().Add(-time.Hour), "[domain-name:value = 'new.example.com']").raw())
			r.settle()
			if h := r.holds(sink); len(h) != 1 {
				t.Errorf("it holds %d indicators, want the new one", len(h))
			}

			others := map[string]int{}
			for _, other := range everySink {
				others[other] = r.told(other)
			}
			if n, err := r.app.Replay(t.Context(), sink, "", time.Time{}); n != 1 || err != nil {
				t.Fatalf("replay: %d routes, %v", n, err)
			}
			r.settle()
			r.checkHeld(expect(r.truth.inForce(t, time.Now())))
			for _, other := range everySink {
				if n := r.told(other); other != sink && n != others[other] {
					t.Errorf("%s was told %d things for the sake of another", other, n-others[other])
				}
			}
		})
	}
}
