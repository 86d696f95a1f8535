package main

import (
	"os"
	"testing"
)

// asProgram makes this test binary behave as the program itself, for tests
// that need a process of their own to kill.
const asProgram = "TAXII_FORWARDER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}
