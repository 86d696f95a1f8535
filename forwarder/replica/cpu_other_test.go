//go:build !unix

package replica

import "time"

func cpuTime() time.Duration { return 0 }
