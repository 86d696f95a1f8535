package control

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestReplaceWhileRead: a reader only delays what it may delay.
func TestReplaceWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { reader.Close() })
	if err := writePrivate(path, endpoint{Address: "127.0.0.1:1", Token: "t"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) == "old" {
		t.Errorf("%q, %v", b, err)
	}
}
