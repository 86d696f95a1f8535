package splunk

import (
	"context"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

const (
	// maxPollFailures in a row end the waiting: the destination is down, and
	// will not remember what it was given when it comes back.
	maxPollFailures = 3
	// maxResends is how often one Deliver sends again what was not acknowledged.
	maxResends = 1
	// maxAckLosses in a row without one acknowledgment ever: with ack = "auto"
	// they are then done without.
	maxAckLosses = 3
)

// awaitAcks polls until every outstanding request is acknowledged. Those that
// count as lost go back to d.todo, under a new channel, within bounds.
//
// HEC reports an acknowledgment once and forgets it; before and after, and for
// whatever it does not know, it says false. So an answer that is lost on the
// way looks like data that is lost, and waiting has to end some time.
func (d *delivery) awaitAcks(ctx context.Context) error {
	var (
		pause    = d.s.times.ackFirst
		deadline = time.Now().Add(d.s.times.ackTimeout)
		failures = 0
	)
	for len(d.unacked) > 0 {
		if d.ch.moved {
			return d.lost("the load balancer's cookie changed, so that other indexers answer than those that have the events")
		}
		if time.Now().After(deadline) {
			return d.lost("no acknowledgment within " + d.s.times.ackTimeout.String())
		}
		if err := d.wait(ctx, min(pause, max(time.Until(deadline), time.Millisecond))); err != nil {
			return err
		}
		pause = min(2*pause, d.s.times.ackMost)

		acked, err := d.s.poll(ctx, d.ch, d.unacked)
		if err != nil {
			failures++
			f := intel.AsFailure(err)
			if failures == maxPollFailures || ctx.Err() != nil || f.Kind == intel.FailAuth || f.Kind == intel.FailConfig || f.Kind == intel.FailNotFound {
				return err
			}
			continue
		}
		failures = 0
		waiting := d.unacked[:0]
		for _, u := range d.unacked {
			if acked[u.id] {
				d.s.ackSeen.Store(true)
				d.s.ackLosses.Store(0)
				d.settle(u.span)
			} else {
				waiting = append(waiting, u)
			}
		}
		d.unacked = waiting
	}
	return nil
}

// lost deals with acknowledgments that will not come: send again under a new
// channel, give the batch back, or, where none has ever come and the
// configuration leaves it to us, do without.
func (d *delivery) lost(why string) error {
	s := d.s
	losses := s.ackLosses.Add(1)
	if s.ack == AckAuto && losses >= maxAckLosses && !s.ackSeen.Load() {
		// Sending the same again and again would never end: typically several
		// indexers behind a balancer that keeps no session.
		s.ackIgnored.Store(true)
		s.log.Warn("splunk hands out acknowledgment ids but no acknowledgment ever came; going on without, as with ack = \"off\"", "reason", why)
		for _, u := range d.unacked {
			d.settle(u.span)
		}
		d.unacked = nil
		d.ch = newChannel()
		return nil
	}
	if d.resends >= maxResends {
		return intel.Fail(intel.FailTimeout, "splunk accepted events but did not acknowledge them: %s", why).
			WithHint("a load balancer in front of several indexers must keep sessions (sticky cookies) for acknowledgment to work; ack = \"off\" does without")
	}
	d.resends++
	s.log.Warn("splunk accepted events but did not acknowledge them; sending them again", "requests", len(d.unacked), "reason", why)
	for i := len(d.unacked) - 1; i >= 0; i-- {
		u := d.unacked[i]
		d.todo = append(d.todo, u.span)
	}
	d.unacked = nil
	d.ch = newChannel()
	return nil
}

// poll asks once which requests are acknowledged.
func (s *Sink) poll(ctx context.Context, ch *channel, waiting []unacked) (map[int64]bool, error) {
	ids := append([]byte(nil), `{"acks":[`...)
	for i, u := range waiting {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = strconv.AppendInt(ids, u.id, 10)
	}
	return s.postAck(ctx, ch, append(ids, "]}"...))
}

func (s *Sink) postAck(ctx context.Context, ch *channel, payload []byte) (map[int64]bool, error) {
	resp, body, err := s.post(ctx, ch, s.base.JoinPath("ack"), payload)
	if err != nil {
		return nil, err
	}
	var r struct {
		Acks map[string]bool `json:"acks"`
	}
	if resp.StatusCode != 200 || json.Unmarshal(body, &r, tolerant) != nil || r.Acks == nil {
		a := judge(resp, body, 1, s.index)
		if a.fail == nil {
			a.fail = intel.Fail(intel.FailProtocol, "splunk answered %d to a question about acknowledgments: %s", a.status, transport.Snippet(body))
		}
		return nil, a.fail
	}
	acked := make(map[int64]bool, len(r.Acks))
	for id, ok := range r.Acks {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && ok {
			acked[n] = true
		}
	}
	return acked, nil
}

// proveAck makes sure that the token has indexer acknowledgment on, before
// anything is sent that would have to be sent again.
func (s *Sink) proveAck(ctx context.Context) error {
	// On a channel that was never used, id 0 is unknown, which HEC says as false.
	if _, err := s.postAck(ctx, newChannel(), []byte(`{"acks":[0]}`)); err != nil {
		return err
	}
	return nil
}

func ackMissing() error {
	return intel.Fail(intel.FailConfig, "splunk accepted events without an ackId, and ack is \"required\"").
		WithHint("turn indexer acknowledgment on for the token, or set ack = \"auto\"")
}
