package e2e

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMain is the forwarder itself where a test asks for that. Else it lets more tests run side by side than there are processors: they
// spend their time waiting for poll intervals and back-offs.
func TestMain(m *testing.M) {
	if config := os.Getenv(asForwarder); config != "" {
		os.Exit(forward(config))
	}
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
