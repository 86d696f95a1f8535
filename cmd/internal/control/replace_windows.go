package control

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// replaceWithin bounds how long replaceFile tries.
const replaceWithin = 5 * time.Second

// replaceFile renames from to to. Windows refuses that for as long as somebody
// reads what is there, such as another command or a virus scanner.
func replaceFile(from, to string) error {
	for deadline := time.Now().Add(replaceWithin); ; time.Sleep(10 * time.Millisecond) {
		err := os.Rename(from, to)
		held := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if !held || time.Now().After(deadline) {
			return err
		}
	}
}
