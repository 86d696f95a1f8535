package config

import (
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// What a configuration says by saying nothing.
const (
	DefaultListen       = "127.0.0.1:9464"
	DefaultPollInterval = 15 * time.Minute
	DefaultOverlap      = 5 * time.Minute
	DefaultTimeout      = time.Minute
	DefaultPageSize     = 1000
	defaultRoute        = "default"
)

// DefaultStateDir returns where the state is kept on this system unless the
// configuration says otherwise.
func DefaultStateDir() string {
	if runtime.GOOS != "windows" {
		return "/var/lib/taxii-forwarder"
	}
	data := os.Getenv("ProgramData")
	if data == "" {
		data = `C:\ProgramData`
	}
	return filepath.Join(data, "taxii-forwarder")
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
