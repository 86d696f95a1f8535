package status

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"taxii-forwarder/forwarder/intel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// sample has one of everything that can be said.
func sample() Status {
	return Status{
		Version: "1.2.3", Commit: "abc", Running: true, PID: 4711, Time: now,
		Started: now.Add(-76 * time.Hour), Uptime: 76 * 3600,
		State:  Store{Path: "/var/lib/taxii-forwarder/state.db", Bytes: 12_345_678},
		Config: Config{Path: "/etc/taxii-forwarder/config.hcl", LoadedAt: now.Add(-2 * time.Hour), LastReloadOK: false, Error: "config.hcl:3: unknown block \"feeed\""},
		Feeds: []Feed{
			{
				Name: "osint", URL: "https://taxii.example.com/taxii2/", State: StatePolling,
				LastPoll: now.Add(-3 * time.Minute), LastSuccess: now.Add(-3 * time.Minute), NextPoll: now.Add(12 * time.Minute),
				Objects: 40_000, Indicators: 30_000, Current: 29_000, Revoked: 700, Expired: 300,
				Collections: []Collection{
					{
						Root: "https://taxii.example.com/api1/", ID: "91a7b528-80eb-42ed-a74d-c6fbd5a26116", Title: "High confidence indicators of the exercise",
						State: StatePolling, AddedAfter: now.Add(-4 * time.Minute), LagSeconds: 180, Polling: true,
						LastPoll: now.Add(-3 * time.Minute), LastSuccess: now.Add(-3 * time.Minute), NextPoll: now.Add(12 * time.Minute), Objects: 1234, New: 5,
						Warnings: []string{"2 entries were no STIX objects"},
					},
					{Root: "https://taxii.example.com/api1/", ID: "52892447-4d7e-4f70-b94d-d7f22742ff63", State: StateStarting, LagSeconds: -1},
				},
			},
			{
				Name: "vendor", State: StateFailing, LastPoll: now.Add(-time.Minute), Collections: []Collection{},
				Failure: Failure{
					Error: "poll vendor: the server refuses the key\x1b[31m (check token)", FailureKind: intel.FailAuth,
					FailingSince: now.Add(-2 * time.Hour), RetryAt: now.Add(5 * time.Minute),
				},
			},
		},
		Sinks: []Sink{{Name: "soc", Kind: "splunk_hec", State: StateOK, LastSuccess: now.Add(-time.Minute)}},
		Routes: []Route{
			{Feed: "osint", Sink: "soc", State: StateOK, Cursor: 40_000, Head: 40_000, Delivered: 29_000, Skipped: map[string]int64{"pattern_type": 12, "negation": 3}, LastSuccess: now.Add(-time.Minute)},
			{
				Feed: "osint", Sink: "corp", State: StateFailing, Cursor: 100, Head: 40_000, Pending: 39_900, DeadLetters: 2, Rejected: 2,
				Failure: Failure{Error: "deliver osint to corp: too many requests", FailureKind: intel.FailThrottled, RetryAt: now.Add(30 * time.Second)},
			},
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// TestJSON pins the keys, which are an interface.
func TestJSON(t *testing.T) {
	b, err := json.MarshalIndent(sample(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "status.json", string(b)+"\n")
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name  string
		width int
		color bool
	}{{"wide.txt", 0, false}, {"100.txt", 100, false}, {"60.txt", 60, false}, {"color.txt", 120, true}} {
		var b strings.Builder
		if err := WriteTable(&b, sample(), c.width, c.color); err != nil {
			t.Fatal(err)
		}
		golden(t, c.name, b.String())
		if !c.color && strings.Contains(b.String(), "\x1b") {
			t.Errorf("%s: an escape sequence got through", c.name)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); c.width > 0 && !c.color && n > c.width {
				t.Errorf("%s: %d columns: %s", c.name, n, line)
			}
		}
	}
	stopped := Status{Time: now, State: Store{Path: "state.db", Bytes: 5, Error: "disk full"}}
	var b strings.Builder
	if err := WriteTable(&b, stopped, 80, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "stopped.txt", b.String())
}

// TestTableAnyWidth: no width makes it panic or loop.
func TestTableAnyWidth(t *testing.T) {
	for width := range 200 {
		for _, s := range []Status{sample(), {}} {
			if err := WriteTable(new(strings.Builder), s, width, width%2 == 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReady(t *testing.T) {
	s := sample()
	ready, reasons := s.Ready()
	if !ready {
		t.Error("not ready because of a failing feed")
	}
	var failing []string
	for _, r := range reasons {
		if !r.OK {
			failing = append(failing, string(r.Part)+" "+r.Name)
			if r.Message == "" {
				t.Errorf("%+v says nothing", r)
			}
		}
	}
	if got := strings.Join(failing, ", "); got != "feed vendor" {
		t.Errorf("not OK: %s", got)
	}
	s.State.Error = "disk full"
	if ready, _ := s.Ready(); ready {
		t.Error("ready with a full disk")
	}
	if ready, reasons := new(Status).Ready(); ready || reasons[0].OK {
		t.Errorf("ready before anything runs: %+v", reasons)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(0), "0"}, {Count(999), "999"}, {Count(1000), "1 000"}, {Count(-1234567), "-1 234 567"}, {Count(-123), "-123"},
		{Bytes(0), "0 B"}, {Bytes(999), "999 B"}, {Bytes(1000), "1 kB"}, {Bytes(12_345_678), "12.3 MB"}, {Bytes(999_999), "1 MB"},
		{Bytes(2_500_000_000), "2.5 GB"}, {Bytes(7_200_000_000_000), "7.2 TB"},
		{Span(0), "0s"}, {Span(-time.Hour), "0s"}, {Span(999 * time.Millisecond), "0s"}, {Span(90 * time.Second), "1m 30s"},
		{Span(time.Hour), "1h"}, {Span(76 * time.Hour), "3d 4h"}, {Span(time.Hour + 5*time.Second), "1h"},
		{Ago(time.Time{}, now), "never"}, {Ago(now.Add(time.Minute), now), "in 1m"}, {Ago(now.Add(-time.Minute), now), "1m ago"},
		{Lag(-1), "-"}, {Lag(61), "1m 1s"},
		{clean("a\x1b[31m\r\n\tb\u202ec\xffd"), "a?[31m?  b?c?d"},
	} {
		if c.got != c.want {
			t.Errorf("got %q; want %q", c.got, c.want)
		}
	}
}
