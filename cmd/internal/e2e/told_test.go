package e2e

import (
	"os"
	"testing"

	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// told returns how many things a destination was ever told, and took: events,
// objects, operations, lines.
func (r *rig) told(sink string) int {
	r.Helper()
	switch sink {
	case splunkSink:
		return int(r.splunk.Stored())
	case sentinelSink:
		return r.sentinel.Accepted()
	case elasticSink:
		st := r.elastic.Stats()
		return st.Created + st.Updated + st.Deleted
	}
	return len(r.lines())
}

// repeats returns how many of them it had been told before, under the same key
// and in the same version.
func (r *rig) repeats(sink string) int {
	r.Helper()
	switch sink {
	case splunkSink:
		return r.splunk.Repeats()
	case sentinelSink:
		return r.sentinel.Repeats()
	case elasticSink:
		return r.elastic.Stats().Repeated
	}
	n := 0
	last := map[string]string{}
	for _, l := range r.lines() {
		now := l.Action + string(l.Seq)
		if last[l.Indicator.ID] == now {
			n++
		}
		last[l.Indicator.ID] = now
	}
	return n
}

func (r *rig) rename(from, to string) {
	r.Helper()
	if err := os.Rename(from, to); err != nil {
		r.Fatal(err)
	}
}

// otherSplunk replaces the server by one of another kind.
func (r *rig) otherSplunk(t *testing.T, o splunktest.Options) {
	r.splunk.Close()
	o.Token, o.Indexes = hecToken, []string{"threat_intel"}
	r.splunk = splunktest.NewServer(o)
	t.Cleanup(r.splunk.Close)
}

// otherSentinel replaces the server by one of another kind.
func (r *rig) otherSentinel(t *testing.T, o sentineltest.Options) {
	r.sentinel.Close()
	o.ClientID, o.ClientSecret, o.RequestsPerMinute = clientID(t.Name()), azureSecret, -1
	var err error
	if r.sentinel, err = sentineltest.NewServer(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.sentinel.Close)
	r.write("sentinel-ca.pem", string(r.sentinel.CAPEM()))
}

// restartSplunk restarts the server while it holds the answer to the next
// request, whose events it has.
func (r *rig) restartSplunk(keep bool) {
	restarted := make(chan error, 1)
	r.splunk.Inject(splunktest.Fault{Take: true, Hang: true, Times: 1, Do: func() {
		go func() { restarted <- r.splunk.Restart(keep) }()
	}})
	r.Cleanup(func() {
		select {
		case err := <-restarted:
			if err != nil {
				r.Error(err)
			}
		default:
			r.Error("splunk was never restarted")
		}
	})
}

// restartElastic restarts the server while it holds the next bulk request: f
// says whether it has carried it out.
func (r *rig) restartElastic(f elastictest.Fault) {
	r.elastic.Inject(f, 1)
	restarted := make(chan error, 1)
	go func() {
		err := r.elastic.Wait(r.Context(), func(elastictest.Stats) bool { return r.elastic.Hanging() > 0 })
		if err == nil {
			err = r.elastic.Restart(true)
		}
		restarted <- err
	}()
	r.Cleanup(func() {
		if err := <-restarted; err != nil {
			r.Error(err)
		}
	})
}

// otherElastic replaces the server by one of another kind.
func (r *rig) otherElastic(o elastictest.Options) {
	r.elastic.Close()
	o.APIKey = elasticKey
	r.elastic = elastictest.NewServer(o)
	r.Cleanup(r.elastic.Close)
}
