package file

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sinktest"
)

// fold reads NDJSON and returns what is current at its end.
func fold(data []byte, format string) (sinktest.Contents, error) {
	held := sinktest.Contents{}
	for i, text := range bytes.SplitAfter(data, []byte("\n")) {
		if len(text) == 0 {
			continue
		}
		if text[len(text)-1] != '\n' {
			return nil, fmt.Errorf("line %d is unfinished: %.80q", i+1, text)
		}
		var l struct {
			Action    string
			Indicator struct {
				Feed, ID          string
				Created, Modified time.Time
			}
			ID                string
			Created, Modified time.Time
			Revoked           bool
		}
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w: %.80q", i+1, err, text)
		}
		key, withdrawn := sinktest.Held{Feed: l.Indicator.Feed, ID: l.Indicator.ID}, l.Action == "withdraw"
		version := (&intel.Indicator{Created: l.Indicator.Created, Modified: l.Indicator.Modified}).Version()
		if format == "stix" {
			key, withdrawn = sinktest.Held{Feed: sinktest.Feed, ID: l.ID}, l.Revoked
			version = (&intel.Indicator{Created: l.Created, Modified: l.Modified}).Version()
		}
		if withdrawn {
			delete(held, key)
		} else {
			held[key] = version
		}
	}
	return held, nil
}

func change(action intel.Action, ind *intel.Indicator) intel.Change {
	c := intel.Change{Seq: 7, Action: action, Indicator: ind, At: time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)}
	if action == intel.Withdraw {
		c.Reason, c.Remove, c.FirstDelivered = intel.ReasonExpired, sinktest.Refs(ind), c.At.Add(-time.Hour)
	}
	return c
}

func open(t *testing.T, c Config, log ...*bytes.Buffer) *Sink {
	t.Helper()
	logger := hclog.NewNullLogger()
	if len(log) > 0 {
		logger = hclog.New(&hclog.LoggerOptions{Output: log[0]})
	}
	s, err := New(c, intel.SinkOptions{Name: "archive", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func deliver(t *testing.T, s *Sink, inds ...*intel.Indicator) {
	t.Helper()
	var batch []intel.Change
	for _, ind := range inds {
		batch = append(batch, change(intel.Upsert, ind))
	}
	if _, err := s.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRepair: what a crash may leave at the end of the file is cut off when the
// file is opened, whole lines are kept, and a file that is not ours is not
// touched.
func TestRepair(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 300_000)
	for _, c := range []struct {
		name, before, kept string
		refused            bool
	}{
		{"empty", "", "", false},
		{"whole", "{}\n{}\n", "{}\n{}\n", false},
		{"torn", "{}\n{\"act", "{}\n", false},
		{"torn first line", "{\"act", "", false},
		{"torn long line", "{}\n" + long, "{}\n", false},
		{"tear at a chunk's edge", "{}\n{" + strings.Repeat("x", 64<<10-1), "{}\n", false},
		{"newline at a chunk's edge", "{}\n{" + strings.Repeat("x", 64<<10-2), "{}\n", false},
		{"one byte", "{}\n{", "{}\n", false},
		{"zeros", "{}\n" + strings.Repeat("\x00", 4096), "{}\n", false},
		{"only zeros", strings.Repeat("\x00", 100), "", false},
		{"torn then zeros", "{}\n{\"a\":" + strings.Repeat("\x00", 10), "{}\n", false},
		{"another file", "root:x:0:0\nnobody:x", "", true},
		{"another file, one line", "secret", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.ndjson")
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := open(t, Config{Path: path}, &log)
			_, err := s.Deliver(t.Context(), []intel.Change{change(intel.Upsert, sinktest.Indicator(1))})
			after := read(t, path)
			if c.refused {
				if f := intel.AsFailure(err); err == nil || f.Kind != intel.FailConfig || f.Hint == "" || after != c.before {
					t.Fatalf("error %v; file %q", err, after)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			added, ok := strings.CutPrefix(after, c.kept)
			if !ok || strings.Count(added, "\n") != 1 || !json.Valid([]byte(added)) {
				t.Errorf("file = %.200q; want %q and one line", after, c.kept)
			}
			if warned := strings.Contains(log.String(), "cut off"); warned != (c.kept != c.before) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	path := filepath.Join(t.TempDir(), "out.ndjson")
	deliver(t, open(t, Config{Path: path}), sinktest.Indicator(1))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if extra := info.Mode().Perm() &^ 0o640; extra != 0 || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("mode %v; want at most 0640", info.Mode())
	}
}

func TestMovedAway(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file can not be renamed")
	}
	path := filepath.Join(t.TempDir(), "out.ndjson")
	s := open(t, Config{Path: path})
	deliver(t, s, sinktest.Indicator(1))
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, sinktest.Indicator(2))
	if n := strings.Count(read(t, path), "\n"); n != 1 {
		t.Errorf("%d lines in the new file; want 1", n)
	}
	if n := strings.Count(read(t, path+".old"), "\n"); n != 1 {
		t.Errorf("%d lines in the old file; want 1", n)
	}
}

func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	s := open(t, Config{Path: path, Rotate: &Rotate{MaxBytes: minRotateBytes, Keep: 2}})
	n := 0
	for range 20 {
		deliver(t, s, sinktest.Indicators(n, 50)...)
		n += 50
	}
	matches, err := filepath.Glob(path + "*")
	if err != nil || len(matches) != 3 {
		t.Fatalf("files %v, %v; want the file and two before it", matches, err)
	}
	var all string
	for _, name := range []string{path + ".2", path + ".1", path} {
		text := read(t, name)
		if name != path && len(text) < minRotateBytes {
			t.Errorf("%s has %d bytes; rotated too early", name, len(text))
		}
		all += text
	}
	// What is kept is the newest, without a gap.
	held, err := fold([]byte(all), "indicator")
	if err != nil {
		t.Fatal(err)
	}
	for i := n - len(held); i < n; i++ {
		if _, ok := held[sinktest.Held{Feed: sinktest.Feed, ID: sinktest.ID(i)}]; !ok {
			t.Fatalf("indicator %d of the last %d is missing", i, len(held))
		}
	}
}

// TestFailures: each way in which the file system says no is a local failure
// that says what to do, and delivery goes on once it is over.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	t.Run("no directory", func(t *testing.T) {
		path := filepath.Join(dir, "absent", "out.ndjson")
		s := open(t, Config{Path: path})
		batch := []intel.Change{change(intel.Upsert, sinktest.Indicator(1))}
		_, err := s.Deliver(t.Context(), batch)
		wantFailure(t, err, intel.FailLocal, "create the directory")
		wantFailure(t, s.Check(t.Context()), intel.FailLocal, "create the directory")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Deliver(t.Context(), batch); err != nil {
			t.Error(err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		s := open(t, Config{Path: dir})
		_, err := s.Deliver(t.Context(), []intel.Change{change(intel.Upsert, sinktest.Indicator(1))})
		wantFailure(t, err, intel.FailLocal, "directory")
		wantFailure(t, s.Check(t.Context()), intel.FailConfig, "name a file")
	})
	t.Run("full", func(t *testing.T) {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("no /dev/full")
		}
		s := open(t, Config{Path: "/dev/full"})
		_, err := s.Deliver(t.Context(), []intel.Change{change(intel.Upsert, sinktest.Indicator(1))})
		wantFailure(t, err, intel.FailLocal, "free space")
	})
}

func wantFailure(t *testing.T, err error, kind intel.FailureKind, text string) {
	t.Helper()
	f, ok := errors.AsType[*intel.Failure](err)
	if !ok || f.Kind != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v; want a failure of kind %s with %q", err, kind, text)
	}
}

// TestCheckLeavesNothing: Check neither creates the file nor leaves its probe.
func TestCheckLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Path: filepath.Join(dir, "out.ndjson")})
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("%v, %v; want an empty directory", entries, err)
	}
}

// TestKill: a process that is killed while it writes leaves a file that holds
// every batch it had been told was delivered, and that goes on in whole lines.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.ndjson")
	settled := 0
	for round := range 5 {
		child := exec.Command(os.Args[0], "-test.run=^TestKillChild$", "-test.v")
		child.Env = append(os.Environ(), "FILE_SINK_CHILD="+path, fmt.Sprintf("FILE_SINK_FROM=%d", settled))
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := settled
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "settled %d", &last); err == nil && last >= settled+100*(round+1) {
				break
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		settled = last
		if settled == 0 {
			t.Fatal("the child wrote nothing")
		}
	}
	deliver(t, open(t, Config{Path: path}), sinktest.Indicator(1_000_000))
	held, err := fold([]byte(read(t, path)), "indicator")
	if err != nil {
		t.Fatal(err)
	}
	for i := range settled {
		if _, ok := held[sinktest.Held{Feed: sinktest.Feed, ID: sinktest.ID(i)}]; !ok {
			t.Fatalf("indicator %d of %d was settled and is not there", i, settled)
		}
	}
}

func TestKillChild(t *testing.T) {
	path := os.Getenv("FILE_SINK_CHILD")
	if path == "" {
		t.Skip("only for TestKill")
	}
	var n int
	fmt.Sscan(os.Getenv("FILE_SINK_FROM"), &n)
	s := open(t, Config{Path: path})
	for {
		deliver(t, s, sinktest.Indicators(n, 20)...)
		n += 20
		fmt.Printf("settled %d\n", n)
	}
}

func BenchmarkDeliver(b *testing.B) {
	for format := range formats {
		b.Run(format, func(b *testing.B) {
			s, err := New(Config{Path: filepath.Join(b.TempDir(), "out.ndjson"), Format: format}, intel.SinkOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var batch []intel.Change
			for _, ind := range sinktest.Indicators(0, 1000) {
				batch = append(batch, change(intel.Upsert, ind))
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, err := s.Deliver(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				n += len(batch)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "indicators/s")
		})
	}
}
