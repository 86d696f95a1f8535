package app

import (
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Logger is the program's logger: lines for people, or JSON. Level and format
// can be changed while it is in use, by loggers that were derived from it too.
type Logger struct {
	hclog.InterceptLogger // hands what is logged to its sinks and writes nothing itself

	w      io.Writer
	writer hclog.SinkAdapter // the sink that writes to w
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, level, format string) *Logger {
	l := &Logger{w: w, InterceptLogger: hclog.NewInterceptLogger(&hclog.LoggerOptions{
		Name: "taxii-forwarder", Level: hclog.Off, Output: io.Discard,
	})}
	l.Configure(level, format)
	return l
}

// Configure changes level and format. Concurrent calls are the caller's to
// prevent.
func (l *Logger) Configure(level, format string) {
	next := hclog.NewSinkAdapter(&hclog.LoggerOptions{
		Level:      hclog.LevelFromString(level),
		Output:     l.w,
		JSONFormat: format == "json",
		TimeFormat: timeFormat,
		TimeFn:     time.Now,
	})
	// Between the two a record is written twice; none is lost.
	l.RegisterSink(next)
	if l.writer != nil {
		l.DeregisterSink(l.writer)
	}
	l.writer = next
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"
