package main

import (
	"time"

	"taxii-forwarder/forwarder/setting"
)

// parseSince reads a point in time: empty = zero, an RFC 3339 time, or a
// duration before now.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if d, err := setting.Duration(s).Parse(); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("%q is neither a time such as 2026-01-31T00:00:00Z nor a duration such as 12h", s)
}
