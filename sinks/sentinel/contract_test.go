package sentinel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/sinktest"
)

func TestContract(t *testing.T) {
	whole := func(*intel.Indicator) []intel.Ref { return []intel.Ref{{}} }
	for compound, holds := range map[string]func(*intel.Indicator) []intel.Ref{
		"forward": whole,
		"split": func(ind *intel.Indicator) []intel.Ref {
			if ind.PatternType != "stix" {
				return whole(ind)
			}
			return sinktest.Refs(ind)
		},
	} {
		t.Run(compound, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Harness{
				New: func(t testing.TB) sinktest.Destination {
					server := newServer(t, sentineltest.Options{RequestsPerMinute: -1})
					config := configFor(t, server)
					config.Compound, config.RequestsPerMinute = compound, 10_000
					return &destination{t: t, server: server, config: config}
				},
				Holds:   holds,
				Secrets: []string{sentineltest.ClientSecret, "sentineltest-token"},
				Package: "taxii-forwarder/sinks/sentinel",
			})
		})
	}
}

// destination shows a sentineltest.Server to the contract suite.
type destination struct {
	t      testing.TB
	server *sentineltest.Server
	config Config
}

func (d *destination) Open(o intel.SinkOptions, timeout time.Duration) (intel.Sink, error) {
	c := d.config
	c.Timeout = setting.Duration(fmt.Sprintf("%dms", timeout.Milliseconds()))
	return New(c, o)
}

var onePattern = regexp.MustCompile(`(?s)^\[([a-z0-9-]+):(.+?) = (?:'(.*)'|(\d+))\]$`)

func (d *destination) Contents() (sinktest.Contents, error) {
	contents := sinktest.Contents{}
	for _, o := range d.server.Active() {
		held := sinktest.Held{Feed: o.Source, ID: o.ID}
		if d.config.Compound == "split" && o.ID[len(idPrefix)+14] == '5' {
			var refs struct {
				External []intel.ExternalReference `json:"external_references"`
			}
			m := onePattern.FindStringSubmatch(o.Pattern)
			if err := json.Unmarshal(o.Raw, &refs); err != nil || len(refs.External) == 0 || m == nil {
				return nil, fmt.Errorf("split object refers to nothing: %s", o.Raw)
			}
			kind := intel.ObservableType(m[1])
			if kind == "network-traffic" {
				kind = intel.TypeUserAgent
			}
			held.ID = refs.External[0].ExternalID
			held.Ref = intel.Ref{Type: kind, Value: strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(m[3] + m[4])}
			if derivedID(held.ID, held.Ref) != o.ID {
				return nil, fmt.Errorf("%s is not the id of %s of %s", o.ID, held.Ref, held.ID)
			}
		}
		// Sentinel's modified may be when it was forwarded, so the version is not known.
		contents[held] = 0
	}
	return contents, nil
}

func (d *destination) Inject(f sinktest.Fault) bool {
	fault := map[sinktest.Fault]sentineltest.Fault{
		sinktest.Hang:            {Kind: sentineltest.Hang},
		sinktest.CutBeforeAccept: {Kind: sentineltest.CutBefore},
		sinktest.CutAfterAccept:  {Kind: sentineltest.CutAfter},
		sinktest.HTML:            {Kind: sentineltest.HTML, Code: 502},
		sinktest.HTML200:         {Kind: sentineltest.HTML},
		sinktest.Slow:            {Kind: sentineltest.Slow, Delay: 100 * time.Millisecond},
		sinktest.Throttle:        {Kind: sentineltest.ThrottleText, Seconds: 1},
		sinktest.ServerError:     {Kind: sentineltest.Status, Code: 500},
		sinktest.Unauthorized:    {Kind: sentineltest.Status, Code: 401},
		sinktest.NotFound:        {Kind: sentineltest.Status, Code: 404},
		sinktest.Echo:            {Kind: sentineltest.Echo},
		sinktest.RestartKeep:     {Kind: sentineltest.RestartKeep, Count: 1},
		sinktest.RestartLose:     {Kind: sentineltest.RestartLose, Count: 1},
	}[f]
	switch {
	case f == sinktest.Refuse:
		d.server.Refuse()
	case fault.Kind == 0:
		return false
	default:
		d.server.Inject(fault)
	}
	return true
}

func (d *destination) Heal() {
	if err := d.server.Heal(); err != nil {
		d.t.Errorf("heal: %v", err)
	}
}

func (d *destination) Poison(ids ...string) bool {
	d.server.Poison(func(raw json.RawMessage) bool {
		for _, id := range ids {
			if bytes.Contains(raw, []byte(id)) {
				return true
			}
		}
		return false
	}, true)
	return true
}

func (d *destination) Close() { d.server.Close() }
