package status

import (
	"fmt"
	"strings"
)

// Ready reports whether the forwarder that s describes does its work, and what
// is to be said of each part. It is ready when it runs, its configuration is
// loaded, its state can be written and none of its loops is stuck. A feed or a destination that fails is
// listed, but is no lack of readiness: the forwarder is doing all it can, and a
// restart would not help.
func (s *Status) Ready() (bool, []Reason) {
	var reasons []Reason
	ready := true
	add := func(r Reason) {
		if !r.OK && (r.Part == PartConfig || r.Part == PartState || r.Part == PartLoops) {
			ready = false
		}
		reasons = append(reasons, r)
	}
	config := Reason{Part: PartConfig, OK: s.Running}
	switch {
	case !s.Running:
		config.Message = "no configuration is running"
	case s.Config.Error != "":
		config.Message = "the last reload was refused, the one before is in force: " + s.Config.Error
	}
	add(config)
	add(Reason{Part: PartState, OK: s.State.Error == "", Message: s.State.Error})
	if len(s.Stalled) > 0 {
		add(Reason{Part: PartLoops, Message: "stuck: " + strings.Join(s.Stalled, "; ")})
	}
	for i := range s.Feeds {
		f := &s.Feeds[i]
		add(part(PartFeed, f.Name, f.State, f.Failure, "no poll has ended yet"))
	}
	for i := range s.Sinks {
		k := &s.Sinks[i]
		add(part(PartSink, k.Name, k.State, k.Failure, "nothing has been delivered yet"))
	}
	return ready, reasons
}

func part(p Part, name string, state State, f Failure, starting string) Reason {
	r := Reason{Part: p, Name: name, OK: true}
	switch state {
	case StateFailing:
		r.OK, r.Message, r.Kind = false, f.Error, f.FailureKind
		if r.Message == "" {
			r.Message = fmt.Sprintf("%s failure", f.FailureKind)
		}
	case StateStarting:
		r.Message = starting
	case StateStopped:
		r.OK, r.Message = false, "not running"
	}
	return r
}
