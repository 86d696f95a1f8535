package svc

import (
	"fmt"
	"strings"
)

// eventText writes a log record as one event log message.
func eventText(name, msg string, args []any) string {
	var b strings.Builder
	b.WriteString(name + ": " + msg)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&b, "\r\n%v: %v", args[i], args[i+1])
	}
	return b.String()
}
