//go:build unix

package replica

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of the processors: unlike the clock, it
// says something on a busy machine too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
