package sinks

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/sinks/file"
)

func TestKinds(t *testing.T) {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
		cfg := k.NewConfig()
		v, ok := cfg.(interface{ Validate() []setting.Problem })
		if !ok {
			t.Errorf("%s: %T has no Validate", k.Name, cfg)
			continue
		}
		if problems := v.Validate(); len(problems) == 0 {
			t.Errorf("%s: an empty block is valid", k.Name)
		}
		if _, err := k.Open("no configuration", intel.SinkOptions{Name: "x"}); err == nil {
			t.Errorf("%s: Open took a string for its configuration", k.Name)
		}
		if k.NewConfig() == cfg {
			t.Errorf("%s: NewConfig returns the same value twice", k.Name)
		}
	}
	if want := []string{"splunk_hec", "sentinel", "elasticsearch", "file"}; !slices.Equal(names, want) {
		t.Errorf("kinds %v; want %v", names, want)
	}
}

func TestOpen(t *testing.T) {
	o := intel.SinkOptions{Name: "archive", Logger: hclog.NewNullLogger()}
	s, err := Open("file", &file.Config{Path: filepath.Join(t.TempDir(), "x.ndjson")}, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err := Open("file", &file.Config{}, o); err == nil || s != nil {
		t.Errorf("an invalid configuration opens: %v, %v", s, err)
	}
	if _, err := Open("csv", nil, o); err == nil || !strings.Contains(err.Error(), "splunk_hec, sentinel, elasticsearch, file") {
		t.Errorf("unknown kind: %v", err)
	}
}
