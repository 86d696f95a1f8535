package status

import (
	"strings"
	"testing"
)

// TestStalled: a loop that is stuck is a lack of readiness, and is shown.
func TestStalled(t *testing.T) {
	s := Status{Running: true, Stalled: []string{"deliver f to file.out: records outcomes since 2026-03-01T12:00:00Z"}}
	ready, reasons := s.Ready()
	last := reasons[len(reasons)-1]
	if ready || last.Part != PartLoops || last.OK || !strings.Contains(last.Message, "deliver f to file.out") {
		t.Errorf("ready %t, reasons %+v", ready, reasons)
	}
	var b strings.Builder
	if err := WriteTable(&b, s, 0, false); err != nil || !strings.Contains(b.String(), "stuck: deliver f to file.out: records outcomes") {
		t.Errorf("%v\n%s", err, &b)
	}
	s.Stalled = nil
	if ready, reasons := s.Ready(); !ready {
		t.Errorf("not ready: %+v", reasons)
	}
}
