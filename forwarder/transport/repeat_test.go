package transport

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

// The same trouble reads the same at every attempt: what numbers the attempt, a
// local port or an HTTP/2 stream, is left out.
func TestSameTroubleSameText(t *testing.T) {
	broken := func(port int, err error) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: os.NewSyscallError("read", err)}
	}
	c := mustNew(t, Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://siem.example.com/upload", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		first, next error
		says        string
	}{
		{"reset", broken(40001, syscall.ECONNRESET), broken(40002, syscall.ECONNRESET), "reset the connection"},
		{"broken pipe", broken(40001, syscall.EPIPE), broken(40002, syscall.EPIPE), "reset the connection"},
		{"stream", errors.New("stream error: stream ID 9; INTERNAL_ERROR; received from peer"),
			errors.New("stream error: stream ID 11; INTERNAL_ERROR; received from peer"), "without an answer"},
		{"goaway", errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""`),
			errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=3, ErrCode=NO_ERROR, debug=""`), "without an answer"},
	} {
		a, b := c.failure(req, tt.first), c.failure(req, tt.next)
		if a.Error() != b.Error() || a.Kind != intel.FailUnreachable || !strings.Contains(a.Error(), tt.says) {
			t.Errorf("%s: %s %q, then %q", tt.name, a.Kind, a, b)
		}
	}
	if f := c.bodyFailure(req, 7, errors.New("stream error: stream ID 9; INTERNAL_ERROR; received from peer")); !strings.Contains(f.Error(), "cut off after 7 bytes") {
		t.Errorf("in the middle of an answer: %v", f)
	}
}
