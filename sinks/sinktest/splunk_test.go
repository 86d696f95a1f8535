package sinktest_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/sinktest"
	"taxii-forwarder/sinks/splunk"
	"taxii-forwarder/sinks/splunk/splunktest"
)

func TestSplunk(t *testing.T) {
	const token = "5ec4e7c0-1111-4222-8333-0123456789ab"
	for _, ack := range []string{"off", "required"} {
		t.Run("ack="+ack, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Harness{
				New: func(t testing.TB) sinktest.Destination {
					return &splunkDestination{t: t, ack: ack, server: splunktest.NewServer(splunktest.Options{Token: token, Ack: ack == "required"})}
				},
				Holds:   splunkRefs,
				Secrets: []string{token},
				Package: "taxii-forwarder/sinks/splunk",
			})
		})
	}
}

// splunkRefs is one Ref per observable, one for each further hash of a file,
// and one for a pattern that yields none.
func splunkRefs(ind *intel.Indicator) []intel.Ref {
	refs := sinktest.Refs(ind)
	if len(refs) == 0 && ind.Pattern != "" {
		return []intel.Ref{{Type: "pattern"}}
	}
	for _, o := range ind.Observables {
		for _, f := range o.Fields {
			if (o.Type == intel.TypeFile || o.Type == intel.TypeArtifact) && strings.HasPrefix(f.Name, "hash.") && f.Value != o.Value {
				refs = append(refs, intel.Ref{Type: o.Type, Value: f.Value})
			}
		}
	}
	return refs
}

type splunkDestination struct {
	t      testing.TB
	ack    string
	server *splunktest.Server

	mu      sync.Mutex
	armed   int             // counts Heals: a restart injected before the last one is off
	restart []chan struct{} // each closed when a restart is over
}

// restartSoon restarts the server, but not from the request that asks for it.
func (d *splunkDestination) restartSoon(armed int, keep bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if armed != d.armed {
		return
	}
	done := make(chan struct{})
	d.restart = append(d.restart, done)
	go func() {
		defer close(done)
		if err := d.server.Restart(keep); err != nil {
			d.t.Errorf("restart: %v", err)
		}
	}()
}

// restarted waits for restarts under way and allows no more.
func (d *splunkDestination) restarted() {
	d.mu.Lock()
	d.armed++
	restart := d.restart
	d.restart = nil
	d.mu.Unlock()
	for _, done := range restart {
		<-done
	}
}

func (d *splunkDestination) Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error) {
	return splunk.New(splunk.Config{
		URL: d.server.URL(), Token: setting.Secret(d.server.Token()), Index: "threat_intel", Ack: d.ack,
		Timeout: setting.Duration(strconv.FormatInt(max(timeout, time.Second).Milliseconds(), 10) + "ms"), // the least it takes
	}, o)
}

func (d *splunkDestination) Contents() (sinktest.Contents, error) {
	if p := d.server.Problems(); len(p) > 0 {
		return nil, fmt.Errorf("splunk found fault with the sink: %s", strings.Join(p, "; "))
	}
	held := sinktest.Contents{}
	for _, e := range d.server.Current() {
		held[sinktest.Held{Feed: e.Field("feed"), ID: e.STIXID, Ref: intel.Ref{Type: intel.ObservableType(e.Type), Value: e.Value}}] = e.Version
	}
	return held, nil
}

func (d *splunkDestination) Inject(f sinktest.Fault) bool {
	fault, ok := map[sinktest.Fault]splunktest.Fault{
		sinktest.Hang:            {Hang: true},
		sinktest.CutBeforeAccept: splunktest.CutBefore(),
		sinktest.CutAfterAccept:  splunktest.CutAfter(),
		sinktest.HTML:            {HTML: 502},
		sinktest.HTML200:         {HTML: 200},
		sinktest.Slow:            {Delay: 50 * time.Millisecond},
		sinktest.Throttle:        splunktest.Throttle(time.Second),
		sinktest.ServerError:     splunktest.Code(8),
		sinktest.Unauthorized:    splunktest.Code(4),
		sinktest.NotFound:        {HTML: 404},
		sinktest.Echo:            {Body: "<html>GET / Authorization: Splunk " + d.server.Token() + "</html>"},
	}[f]
	switch {
	case f == sinktest.Refuse:
		d.server.Stop()
	case f == sinktest.RestartKeep, f == sinktest.RestartLose:
		// The events are taken; the answer never comes, as the restart cuts it off.
		d.mu.Lock()
		armed := d.armed
		d.mu.Unlock()
		d.server.Inject(splunktest.Fault{Take: true, Hang: true, Times: 1, Do: func() { d.restartSoon(armed, f == sinktest.RestartKeep) }})
	case ok:
		for _, endpoint := range []string{"event", "health"} {
			fault.Endpoint = endpoint
			d.server.Inject(fault)
		}
	default:
		return false
	}
	return true
}

func (d *splunkDestination) Heal() {
	d.server.Clear()
	d.restarted()
	if err := d.server.Start(); err != nil {
		d.t.Errorf("start: %v", err)
	}
}

func (d *splunkDestination) Poison(ids ...string) bool {
	bad := make(map[string]bool, len(ids))
	for _, id := range ids {
		bad[id] = true
	}
	d.server.Poison(func(e splunktest.Event) bool { return bad[e.STIXID] }, 6)
	return true
}

func (d *splunkDestination) Close() {
	d.restarted()
	d.server.Close()
}
