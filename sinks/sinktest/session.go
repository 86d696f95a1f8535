package sinktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
)

// session is one case's sink and destination, with what the engine would know:
// the ledger of what was handed over, and the truth that the destination is to
// end with.
type session struct {
	*testing.T
	h    Harness
	dest Destination
	sink intel.Sink
	log  *logBuffer
	seq  int64
	// ledger holds, per indicator, every Ref that the destination may hold.
	ledger map[string]map[intel.Ref]bool
	whole  map[string]bool // indicators that it may hold from when they had no observables
	first  map[string]time.Time
	want   Contents
}

// shortTimeout is what the sinks of most cases wait for an answer; patience is
// how long the suite waits for anything that must end by itself.
const (
	shortTimeout = 500 * time.Millisecond
	patience     = 20 * time.Second
)

func newSession(t *testing.T, h Harness, timeout time.Duration) *session {
	t.Helper()
	s := &session{
		T: t, h: h, dest: h.New(t), log: &logBuffer{},
		ledger: map[string]map[intel.Ref]bool{}, whole: map[string]bool{}, first: map[string]time.Time{}, want: Contents{},
	}
	t.Cleanup(s.dest.Close)
	s.open(timeout)
	t.Cleanup(func() {
		s.close()
		s.noSecret("the log", s.log.String())
	})
	return s
}

func (s *session) open(timeout time.Duration) {
	s.Helper()
	sink, err := s.dest.Open(intel.SinkOptions{
		Name:    "contract",
		Logger:  hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: s.log}),
		Version: "0.0.0-test",
	}, timeout)
	if err != nil {
		s.Fatalf("open the sink: %v", err)
	}
	s.sink = sink
}

// close closes the sink and waits for its goroutines to end.
func (s *session) close() {
	s.Helper()
	if s.sink == nil {
		return
	}
	if err := s.sink.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	s.sink = nil
	if s.h.Package == "" {
		return
	}
	for deadline := time.Now().Add(5 * time.Second); ; <-time.After(2 * time.Millisecond) {
		left := goroutinesOf(s.h.Package)
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			s.Errorf("a goroutine outlives Close:\n%s", left)
			return
		}
	}
}

// goroutinesOf returns the stack of a goroutine, other than the tests' own, that
// runs code of a package.
func goroutinesOf(path string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, path+".") && !strings.Contains(stack, "testing.tRunner(") {
			return stack
		}
	}
	return ""
}

// holds returns what the destination is to hold of ind.
func (s *session) holds(ind *intel.Indicator) []intel.Ref {
	if s.h.Holds != nil {
		return s.h.Holds(ind)
	}
	return Refs(ind)
}

// upsert returns the changes that make the destination hold each of inds.
func (s *session) upsert(inds ...*intel.Indicator) []intel.Change {
	changes := make([]intel.Change, len(inds))
	for i, ind := range inds {
		changes[i] = s.change(intel.Upsert, "", ind)
	}
	return changes
}

// withdraw returns the changes that make the destination hold none of inds.
func (s *session) withdraw(reason intel.Reason, inds ...*intel.Indicator) []intel.Change {
	changes := make([]intel.Change, len(inds))
	for i, ind := range inds {
		changes[i] = s.change(intel.Withdraw, reason, ind)
	}
	return changes
}

func (s *session) change(action intel.Action, reason intel.Reason, ind *intel.Indicator) intel.Change {
	s.seq++
	c := intel.Change{
		Seq: s.seq, Action: action, Reason: reason, Indicator: ind,
		At: Epoch.AddDate(0, 1, 0).Add(time.Duration(s.seq) * time.Second), FirstDelivered: s.first[ind.ID],
		Whole: s.whole[ind.ID],
	}
	now := map[intel.Ref]bool{}
	if action == intel.Upsert {
		for _, r := range Refs(ind) {
			now[r] = true
		}
	}
	for r := range s.ledger[ind.ID] {
		if !now[r] {
			c.Remove = append(c.Remove, r)
		}
	}
	slices.SortFunc(c.Remove, func(a, b intel.Ref) int { return strings.Compare(a.String(), b.String()) })

	// From here on the destination may hold them, whatever Deliver says.
	if s.ledger[ind.ID] == nil {
		s.ledger[ind.ID] = map[intel.Ref]bool{}
	}
	maps.Copy(s.ledger[ind.ID], now)
	if action == intel.Upsert && len(now) == 0 {
		s.whole[ind.ID] = true
	}
	maps.DeleteFunc(s.want, func(h Held, _ int64) bool { return h.Feed == ind.Feed && h.ID == ind.ID })
	if action == intel.Upsert {
		for _, r := range s.holds(ind) {
			s.want[Held{ind.Feed, ind.ID, r}] = ind.Version()
		}
	}
	return c
}

// settle brings the ledger up to date with a change that the destination took,
// held being what it was given besides the indicator's own observables.
func (s *session) settle(c *intel.Change, held []intel.Ref) {
	if c.Action == intel.Upsert {
		for _, r := range held {
			s.ledger[c.Indicator.ID][r] = true
		}
	}
	if c.Action == intel.Withdraw || len(c.Indicator.Observables) > 0 {
		delete(s.whole, c.Indicator.ID)
	}
	if s.first[c.Indicator.ID].IsZero() {
		s.first[c.Indicator.ID] = c.At
	}
	for _, r := range c.Remove {
		if !slices.Contains(held, r) {
			delete(s.ledger[c.Indicator.ID], r)
		}
	}
	if c.Action == intel.Withdraw {
		delete(s.first, c.Indicator.ID)
	}
}

// offer calls Deliver once and checks all that is true of any call.
func (s *session) offer(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	s.Helper()
	before := fingerprint(batch)
	outcomes, err := s.sink.Deliver(ctx, batch)
	if fingerprint(batch) != before {
		s.Errorf("Deliver changed the batch")
	}
	s.failure("Deliver", err)
	switch {
	case err == nil && len(outcomes) != len(batch), err != nil && len(outcomes) != 0 && len(outcomes) != len(batch):
		s.Fatalf("Deliver returned %d outcomes for %d changes (error: %v)", len(outcomes), len(batch), err)
	case len(outcomes) == 0:
		outcomes = make([]intel.Outcome, len(batch))
	}
	for i, o := range outcomes {
		s.outcome(&batch[i], o, err)
	}
	return outcomes, err
}

var label = regexp.MustCompile(`^[A-Za-z0-9_.+-]{1,64}$`)

// outcome checks what is true of any outcome.
func (s *session) outcome(c *intel.Change, o intel.Outcome, err error) {
	s.Helper()
	id := c.Indicator.ID
	switch o.Status {
	case intel.Unknown:
		if err == nil {
			s.Errorf("%s: outcome unknown beside a nil error", id)
		}
	case intel.Delivered:
		if o.Reason != "" {
			s.Errorf("%s: delivered with reason %q", id, o.Reason)
		}
		s.settle(c, o.Held)
	case intel.Skipped, intel.Rejected:
		if !label.MatchString(o.Reason) {
			s.Errorf("%s: %s with reason %q, which is no short word", id, o.Status, o.Reason)
		}
	default:
		s.Errorf("%s: status %d", id, o.Status)
	}
	s.noSecret("an outcome", o.Reason+"\n"+o.Detail+"\n"+string(o.Sent))
}

// failure checks what is true of any error.
func (s *session) failure(operation string, err error) {
	s.Helper()
	if err == nil {
		return
	}
	f, ok := errors.AsType[*intel.Failure](err)
	if !ok {
		s.Errorf("%s: the error is no *intel.Failure: %v", operation, err)
		return
	}
	if f.Kind == "" || f.Err == nil {
		s.Errorf("%s: incomplete failure %#v", operation, f)
	}
	text := err.Error()
	if strings.TrimSpace(text) == "" || len(text) > 1000 || strings.Contains(text, "\n") {
		s.Errorf("%s: the error is not one readable line: %q", operation, text)
	}
	s.noSecret("an error", fmt.Sprintf("%v\n%+v\n%s", err, err, f.Hint))
}

// noSecret fails when text has a secret in it.
func (s *session) noSecret(where, text string) {
	s.Helper()
	for _, secret := range s.h.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.Errorf("a secret appears in %s: %s", where, strings.ReplaceAll(text, secret, "<SECRET>"))
		}
	}
}

// deliver hands over changes in batches of the size the sink likes, and demands
// that all are settled at once. It returns the outcomes.
func (s *session) deliver(changes []intel.Change) []intel.Outcome {
	s.Helper()
	var all []intel.Outcome
	for batch := range slices.Chunk(changes, s.limit()) {
		outcomes, err := s.offer(s.Context(), batch)
		if err != nil {
			s.Fatalf("Deliver: %v", err)
		}
		all = append(all, outcomes...)
	}
	return all
}

// mustDeliver is deliver, and demands that the destination takes everything.
func (s *session) mustDeliver(changes []intel.Change) {
	s.Helper()
	for i, o := range s.deliver(changes) {
		if o.Status != intel.Delivered {
			s.Fatalf("%s of %s: %s %s %s", changes[i].Action, changes[i].Indicator.ID, o.Status, o.Reason, o.Detail)
		}
	}
}

// limit is the largest batch that the sink likes.
func (s *session) limit() int {
	if l, ok := s.sink.(intel.Limiter); ok {
		if n, _ := l.BatchLimit(); n > 0 {
			return n
		}
	}
	return 1000
}

// compare demands that the destination holds exactly what it should.
func (s *session) compare() {
	s.Helper()
	got, err := s.dest.Contents()
	if err != nil {
		s.Fatalf("read the destination: %v", err)
	}
	var wrong []string
	for held, version := range s.want {
		v, ok := got[held]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("lost: %v", held))
		case v != 0 && v != version:
			wrong = append(wrong, fmt.Sprintf("version %d instead of %d: %v", v, version, held))
		}
	}
	for held := range got {
		if _, ok := s.want[held]; !ok {
			wrong = append(wrong, fmt.Sprintf("left over: %v", held))
		}
	}
	if len(wrong) == 0 {
		return
	}
	slices.Sort(wrong)
	s.Errorf("the destination holds %d things instead of %d; %d wrong:\n%s",
		len(got), len(s.want), len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
}

// fingerprint is a batch's content, to see whether it was changed.
func fingerprint(batch []intel.Change) string {
	b, err := json.Marshal(batch)
	if err != nil {
		panic("sinktest: " + err.Error())
	}
	var raws [][]byte
	for i := range batch {
		raws = append(raws, batch[i].Indicator.Raw)
	}
	return string(b) + string(bytes.Join(raws, nil))
}

// logBuffer is a log that goroutines share.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
