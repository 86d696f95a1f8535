package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// errSilence is the cancellation cause of an exchange in which nothing moved
// for the timeout.
var errSilence = errors.New("no sign of life")

// silence cancels an exchange when nothing has moved for a while.
type silence struct {
	ctx   context.Context // of the exchange, for [intel.Expect]
	limit time.Duration

	mu     sync.Mutex
	timer  *time.Timer // nil once stopped
	paused bool
}

func newSilence(ctx context.Context, limit time.Duration, cancel context.CancelCauseFunc) *silence {
	intel.Expect(ctx, limit)
	return &silence{ctx: ctx, limit: limit, timer: time.AfterFunc(limit, func() { cancel(errSilence) })}
}

// reset starts the count anew, after a pause too.
func (s *silence) reset() {
	intel.Expect(s.ctx, s.limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = false
	if s.timer != nil {
		s.timer.Reset(s.limit)
	}
}

// touch starts the count anew unless it is paused.
func (s *silence) touch() {
	intel.Expect(s.ctx, s.limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil && !s.paused {
		s.timer.Reset(s.limit)
	}
}

// pause stops the count until the next reset.
func (s *silence) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// stop ends the watch for good; a late reset does not revive it.
func (s *silence) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// watchUpload makes every piece of req's body that is taken up count as a sign
// of life, so that a large batch on a slow line is not cut off.
func (s *silence) watchUpload(req *http.Request) {
	if req.Body == nil || req.Body == http.NoBody {
		return
	}
	req.Body = &upload{ReadCloser: req.Body, quiet: s}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			b, err := again()
			if err != nil {
				return nil, err
			}
			return &upload{ReadCloser: b, quiet: s}, nil
		}
	}
}

type upload struct {
	io.ReadCloser
	quiet *silence
}

func (u *upload) Read(p []byte) (int, error) {
	u.quiet.touch()
	return u.ReadCloser.Read(p)
}
