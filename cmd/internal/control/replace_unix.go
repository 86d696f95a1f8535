//go:build !windows

package control

import "os"

func replaceFile(from, to string) error { return os.Rename(from, to) }
