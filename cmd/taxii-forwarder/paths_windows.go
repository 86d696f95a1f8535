package main

import (
	"os"
	"path/filepath"
)

func defaultConfig() string {
	dir := os.Getenv("ProgramData")
	if dir == "" {
		dir = `C:\ProgramData`
	}
	return filepath.Join(dir, "taxii-forwarder", "config.hcl")
}
