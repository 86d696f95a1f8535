// Package sinks is the list of the kinds of sink there are. A new kind is one
// package beside these and one line in the list.
package sinks

import (
	"fmt"
	"strings"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/file"
	"taxii-forwarder/sinks/sentinel"
	"taxii-forwarder/sinks/splunk"
)

// Kind is one kind of destination.
type Kind struct {
	// Name is the first label of a sink block in the configuration.
	Name string
	// NewConfig returns a pointer to the zero value of the kind's configuration,
	// to decode a block into. It has a method Validate() []setting.Problem.
	NewConfig func() any
	// Open returns a sink for a configuration made by NewConfig. It reaches for
	// nothing over the network.
	Open func(cfg any, o intel.SinkOptions) (intel.Sink, error)
}

var kinds = []Kind{
	kind("splunk_hec", splunk.New),
	kind("sentinel", sentinel.New),
	kind("elasticsearch", elasticsearch.New),
	kind("file", file.New),
}

// kind is the Kind of a sink package's New function.
func kind[C any, S intel.Sink](name string, open func(C, intel.SinkOptions) (S, error)) Kind {
	return Kind{
		Name:      name,
		NewConfig: func() any { return new(C) },
		Open: func(cfg any, o intel.SinkOptions) (intel.Sink, error) {
			c, ok := cfg.(*C)
			if !ok {
				return nil, fmt.Errorf("open sink %s %q: the configuration is a %T", name, o.Name, cfg)
			}
			s, err := open(*c, o)
			if err != nil {
				return nil, err // not s: a nil *Sink in an interface is not nil
			}
			return s, nil
		},
	}
}

// Kinds returns every kind, in the order in which messages list them.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// Open returns a sink of the named kind for a configuration that the kind's
// NewConfig made.
func Open(name string, cfg any, o intel.SinkOptions) (intel.Sink, error) {
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		if k.Name == name {
			return k.Open(cfg, o)
		}
		names = append(names, k.Name)
	}
	return nil, fmt.Errorf("open sink %q: there is no kind %q; there are %s", o.Name, name, strings.Join(names, ", "))
}
