package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// asProgram makes this test binary behave as the program itself, for tests
// that need a process of their own to kill.
const asProgram = "TAXII_FORWARDER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"taxii-forwarder": main})
}

// TestScripts runs the sessions in testdata. Each has a TAXII server at $TAXII
// with one collection of 30 indicators, that wants the bearer token "sesame".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			s := taxiitest.New(taxiitest.Options{Auth: taxiitest.Auth{Kind: "bearer", Token: "sesame"}})
			e.Defer(s.Close)
			col := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001", Alias: "iocs", Title: "Indicators of compromise"})
			for n := range 30 {
				col.Add(time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC), killIndicator(n))
			}
			e.Setenv("TAXII", s.URL())
			e.Setenv("ROOT", s.RootURL())
			e.Setenv("TAXII_TOKEN", "sesame")
			e.Setenv("NO_COLOR", "1")
			return os.WriteFile(e.WorkDir+"/forwarder.hcl", fmt.Appendf(nil, goodConfig, e.WorkDir+"/state", s.URL(), e.WorkDir+"/out.ndjson"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually},
	})
}

const goodConfig = `
state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "bearer" {
    token = env("TAXII_TOKEN")
  }
  poll_interval = "1s"
}
sink "file" "out" {
  path = %q
}
`

// eventually runs a command of the script again and again until it succeeds.
// The pseudo-command "count FILE N" succeeds when FILE has N lines.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		var ok bool
		if args[0] == "count" {
			b, err := os.ReadFile(ts.MkAbs(args[1]))
			ok = err == nil && strconv.Itoa(bytes.Count(b, []byte{'\n'})) == args[2]
		} else {
			ok = ts.Exec(args[0], args[1:]...) == nil
		}
		if ok != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("eventually %v: not yet", args)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
