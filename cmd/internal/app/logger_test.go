package app

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestLogger: level and format change under loggers that were derived before.
func TestLogger(t *testing.T) {
	var out bytes.Buffer
	l := NewLogger(&out, "info", "text")
	sub := l.Named("poll").With("feed", "f")
	take := func() string { defer out.Reset(); return out.String() }

	sub.Debug("hidden")
	sub.Info("shown", "n", 1)
	if got := take(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "[INFO]  taxii-forwarder.poll: shown: feed=f n=1\n") {
		t.Errorf("text: %q", got)
	}
	l.Configure("debug", "json")
	sub.Debug("now shown", "n", 2)
	var record struct {
		Level   string `json:"@level"`
		Module  string `json:"@module"`
		Message string `json:"@message"`
		Feed    string `json:"feed"`
		N       int    `json:"n"`
	}
	got := take()
	if err := json.Unmarshal([]byte(got), &record); err != nil || record.Level != "debug" || record.Module != "taxii-forwarder.poll" || record.Message != "now shown" || record.Feed != "f" || record.N != 2 {
		t.Errorf("JSON: %q, %v", got, err)
	}
	l.Configure("error", "text")
	sub.Warn("hidden")
	l.Error("shown")
	if got := take(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "[ERROR] taxii-forwarder: shown\n") {
		t.Errorf("text again: %q", got)
	}
}
