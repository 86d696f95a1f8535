package app

import (
	"io"

	"github.com/hashicorp/go-hclog"
)

// NewLogger returns the program's logger: lines for people, or JSON.
func NewLogger(w io.Writer, level, format string) hclog.InterceptLogger {
	return hclog.NewInterceptLogger(&hclog.LoggerOptions{
		Name:            "taxii-forwarder",
		Level:           hclog.LevelFromString(level),
		Output:          w,
		JSONFormat:      format == "json",
		TimeFormat:      "2006-01-02T15:04:05.000Z07:00",
		IncludeLocation: false,
	})
}
