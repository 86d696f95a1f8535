package intel

import (
	"context"
	"time"
)

type expectKey struct{}

// WithExpect returns a context under which [Expect] calls f. f may be called by
// several goroutines and after the work that ctx was made for has ended.
func WithExpect(ctx context.Context, f func(within time.Duration)) context.Context {
	return context.WithValue(ctx, expectKey{}, f)
}

// Expect is a sign of life: it tells whoever watches over the work under ctx
// that the next one may take as long as within. It is called before something
// is waited for that may take more than moments: an answer, a turn, a pause that
// the other side asked for. Work that is overdue by minutes counts as stuck, and
// a watchdog may end the process.
func Expect(ctx context.Context, within time.Duration) {
	if f, ok := ctx.Value(expectKey{}).(func(time.Duration)); ok {
		f(within)
	}
}
