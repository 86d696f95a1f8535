//go:build unix

// Command testfeed is what the test of the packages has beside the installed
// service: a TAXII server with indicators, and a look at what a file sink wrote.
//
//	testfeed serve -token-file FILE -url-file FILE -count N
//	testfeed check -file FILE -count N [-repeats N]
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testfeed:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want serve or check")
	}
	fs := flag.NewFlagSet(args[0], flag.ExitOnError)
	count := fs.Int("count", 1000, "`number` of indicators")
	switch args[0] {
	case "serve":
		tokenFile := fs.String("token-file", "", "`file` with the bearer token to ask for")
		urlFile := fs.String("url-file", "", "`file` to write the discovery URL to")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		return serve(*tokenFile, *urlFile, *count)
	case "check":
		file := fs.String("file", "", "`file` that a file sink wrote")
		repeats := fs.Int("repeats", 0, "how `often` in all an indicator may be there again")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		text, err := check(*file, *count, *repeats)
		fmt.Println(text)
		return err
	}
	return fmt.Errorf("unknown verb %q, want serve or check", args[0])
}

const (
	// Pages are small and slow, so that there is time to interrupt.
	pageSize  = 200
	pageDelay = 100 * time.Millisecond
	// growth is how many indicators SIGUSR1 adds.
	growth = 100
)

// serve serves a collection until a signal ends it.
func serve(tokenFile, urlFile string, count int) error {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	s := taxiitest.New(taxiitest.Options{
		Auth:      taxiitest.Auth{Kind: "bearer", Token: strings.TrimSpace(string(token))},
		PageCap:   pageSize,
		OnRequest: func(int, *http.Request) { time.Sleep(pageDelay) },
	})
	defer s.Close()
	c := s.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001", Title: "indicators"})
	n := 0
	add := func(more int) {
		at := time.Now()
		for range more {
			c.Add(at.Add(time.Duration(n)*time.Microsecond), indicator(n))
			n++
		}
	}
	add(count)
	grow := make(chan os.Signal, 1)
	signal.Notify(grow, syscall.SIGUSR1)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	if err := os.WriteFile(urlFile, []byte(s.URL()), 0o644); err != nil {
		return err
	}
	for {
		select {
		case <-grow:
			add(growth)
		case <-end:
			return nil
		}
	}
}

const idFormat = "indicator--0b0e0de0-0000-4000-8000-%012x"

func indicator(n int) []byte {
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'host-%d.example.com']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`,
		fmt.Sprintf(idFormat, n), n)
}

// check tells whether file holds each of the first count indicators and no
// other, and at most repeats lines more than that.
func check(file string, count, repeats int) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	seen := map[string]bool{}
	lines := 0
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var l struct {
			Action    string
			Indicator struct{ ID string }
		}
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return "", fmt.Errorf("line %d: %w", lines+1, err)
		}
		if l.Action != "upsert" {
			return "", fmt.Errorf("line %d: %s of %s, though nothing is withdrawn", lines+1, l.Action, l.Indicator.ID)
		}
		lines++
		seen[l.Indicator.ID] = true
	}
	if err := scanner.Err(); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d indicators, %d of them again", len(seen), lines-len(seen))
	for n := range count {
		if !seen[fmt.Sprintf(idFormat, n)] {
			return text, fmt.Errorf("indicator %d is missing", n)
		}
	}
	switch {
	case len(seen) > count:
		return text, fmt.Errorf("there are more than the %d that are expected", count)
	case lines-len(seen) > repeats:
		return text, fmt.Errorf("that is more than %d", repeats)
	}
	return text, nil
}
