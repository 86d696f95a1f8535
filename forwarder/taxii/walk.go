package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/intel"
)

// Bounds of a walk. A server can not make it endless: every request but a few
// in a row must bring something new.
const (
	maxStale    = 20      // pages in a row without a new object
	maxRequests = 1000000 // in all
	maxGrowth   = 64      // how much larger than asked for a page may become
	// dateOverlap is how far before the server's clock a position is put when
	// its answers have no date at all.
	dateOverlap = time.Hour
)

// A Filter chooses objects at the server; empty = the server's defaults, which
// are the latest version of every object (TAXII 2.1 §3.4.1).
type Filter struct {
	Types        []string // match[type]
	SpecVersions []string // match[spec_version]
}

func (f Filter) key() string {
	return strings.Join(f.Types, ",") + ";" + strings.Join(f.SpecVersions, ",")
}

// A Walk reads a collection.
type Walk struct {
	// Root is the API root's URL, Collection an id or alias.
	Root, Collection string
	Filter           Filter
	// From is where to begin.
	From Position
	// Overlap is how long before From to begin in truth, for objects that became
	// visible after later ones. At least one unit of the server's precision is
	// always taken.
	Overlap time.Duration
	// Visit is called for every chunk, in order, from the goroutine of
	// [Client.Walk]. Objects are not touched afterwards and may be kept. An error
	// ends the walk.
	Visit func(ctx context.Context, c Chunk) error
}

// A Chunk is a piece of a page.
type Chunk struct {
	// Objects are valid JSON objects as the server sent them. Some may have been
	// in earlier chunks.
	Objects []json.RawMessage
	// Position is where the collection's position may move once the objects of
	// this and all earlier chunks are safe; nil = it stays.
	Position *Position
	// Page counts the pages from 1; PageEnd marks the last chunk of one. It may
	// have no objects.
	Page    int
	PageEnd bool
	// Broken says of each entry of the page that was no JSON object why.
	Broken []string
}

// WalkResult is what a walk did, also one that ended with an error.
type WalkResult struct {
	Pages, Objects, Requests int
	// Position is the last that a chunk had and Visit returned nil for, else From.
	Position Position
	// Complete: the walk reached the end of the collection.
	Complete bool
	// Warnings are oddities of the server worth a line in a log, each once.
	Warnings []string
	// ServerTime is the server's clock at its last answer; zero = unknown.
	ServerTime time.Time
}

// Walk reads a collection from a position to its end; see the package
// documentation. It makes one request at a time.
//
// The error is (or wraps) an [*intel.Failure], or is Visit's own. What was
// visited and acknowledged before it stands.
func (c *Client) Walk(ctx context.Context, w Walk) (WalkResult, error) {
	root, err := parseURL(w.Root)
	if err != nil {
		return WalkResult{Position: w.From}, err
	}
	if w.Collection == "" || w.Collection == "." || w.Collection == ".." {
		return WalkResult{Position: w.From}, intel.Fail(intel.FailConfig, "%q is no collection id", w.Collection)
	}
	r := &walker{
		c: c, w: w, log: c.log, base: collectionURL(folder(root), w.Collection),
		pos: w.From, seen: newSeen(), base0: c.pageSize, limit: c.pageSize,
	}
	r.res.Position = w.From
	r.begin()
	err = r.run(ctx)
	var visit visitError
	if errors.As(err, &visit) {
		err = visit.err
	} else {
		err = plainFailure(err)
	}
	r.res.Complete = err == nil
	return r.res, err
}

// A walker is the state of one walk.
type walker struct {
	c    *Client
	w    Walk
	log  hclog.Logger
	base string // the collection's URL
	res  WalkResult
	pos  Position // the next to hand out
	seen *seen

	// What the next request asks for. after and limit stay the same as long as
	// a token is followed.
	after    time.Time
	hasAfter bool
	limit    int
	token    string

	base0      int       // the limit as configured
	grownFrom  int       // how many entries came before the limit was last raised
	order                // of the pages' dates
	newest     stamp     // the newest date of the window
	began      time.Time // the server's clock at the first answer
	tail       []byte    // the last object that came
	tailDate   stamp     // what its page said of its date
	stale      int       // pages in a row without a new object
	largest    int       // entries of the largest page
	atLargest  int       // how many such pages there were
	strange    int       // boundaries whose anchor was not where its date says
	prev       *boundary // the end of the page before, when it had a token
	probe      *probe    // a boundary is being checked
	distinct   bool      // two tokens of this walk differed
	noProbe    bool
	noTokens   bool // follow dates, not tokens
	noManifest bool
	came       kinds  // types of the objects that came, while that matters
	told       bool   // one of them tells that match[type] means the type
	sampled    bool   // it was looked what comes without match[type]
	hidden     stamp  // objects of this date can not all be reached
	restarts   int    // since the position last moved
	restartAt  string // Added at the last restart
	tokenErr   error  // why tokens are not followed
	precise    error  // the first refusal of an added_after
	tried      Precision
}

// A decision is what a page leads to.
type decision struct {
	position *Position // to hand out with the page's end
	done     bool
	err      error // ends the walk after the page's end was visited
}

// begin decides what to ask for first.
func (r *walker) begin() {
	r.after, r.hasAfter = r.pos.after(r.w.Overlap)
	r.noTokens = r.pos.LossyNext && !r.pos.OtherDates
	r.noProbe = r.pos.SoundNext || r.pos.OtherDates
	r.tried = r.pos.Precision
	r.restartAt = r.pos.Added
	switch {
	case len(r.w.Filter.Types) == 0:
		r.pos.Match = MatchUnknown
	case r.pos.Match == MatchHere:
		r.warnHere()
	case r.pos.Match == MatchOwn:
		r.warnOwn()
	}
	win := r.pos.Window
	r.pos.Window = nil
	if win == nil || win.Filter != r.w.Filter.key() || r.noTokens {
		return
	}
	if age := r.c.now().Sub(win.Saved); age < 0 || age > windowLife {
		return
	}
	after, ok := parseStamp(win.After)
	if ok != (win.After != "") {
		return
	}
	r.pos.Window = win
	r.after, r.hasAfter, r.limit, r.token, r.began = after.time, ok, win.Limit, win.Next, win.Began
	r.newest, _ = parseStamp(win.Newest)
	r.order.broken = true // whatever the headers say from here on, it is not the whole
	r.distinct = true
}

func (r *walker) afterText() string {
	if !r.hasAfter {
		return ""
	}
	return r.pos.Precision.format(r.after)
}

// run makes requests until the walk is done.
func (r *walker) run(ctx context.Context) error {
	for {
		if r.res.Requests >= maxRequests {
			return intel.Fail(intel.FailProtocol, "%s: no end after %d requests", r.base, r.res.Requests)
		}
		q := query{after: r.afterText(), limit: r.limit, next: r.token}
		plan := func(p *page) decision { return r.plan(ctx, p) }
		if r.probe != nil {
			q = query{after: r.pos.Precision.format(r.probe.after), limit: r.probe.limit}
			plan = func(p *page) decision { return r.judge(ctx, p) }
		}
		d, err := r.fetch(ctx, q, plan)
		if err != nil && d.err == nil {
			d, err = r.recover(ctx, err)
		}
		if err != nil {
			return err
		}
		if d.done {
			return r.end()
		}
	}
}

// end is the verdict on a walk that came to its end.
func (r *walker) end() error {
	if !r.hidden.ok() {
		return nil
	}
	return intel.Fail(intel.FailProtocol, "%s: more objects were added at %s than the server gives in one page of %d, and there is no way to ask for the rest; the position stays before them",
		r.base, r.hidden.text, r.largest).WithHint("raise the feed's page_size, or ask the provider for working next tokens (TAXII 2.1 §3.5)")
}

// recover decides what to do about a request that did not succeed: ask in
// another way, or give up.
func (r *walker) recover(ctx context.Context, err error) (decision, error) {
	if ctx.Err() != nil || errors.As(err, new(visitError)) {
		return decision{}, err
	}
	status := statusOf(err)
	switch kind := intel.AsFailure(err).Kind; {
	case kind == intel.FailAuth, kind == intel.FailThrottled, kind == intel.FailConfig, kind == intel.FailTLS, status == http.StatusNotAcceptable:
		return decision{}, err
	case r.probe != nil:
		// The check is a question of our own; the walk does without.
		held := r.probe.held
		r.noProbe, r.probe = true, nil
		d, err := r.resolve(ctx, held)
		if err == nil && d.position != nil {
			err = r.visit(ctx, Chunk{Page: held.number, PageEnd: true, Position: d.position})
		}
		return d, err
	case r.token != "":
		// A token may have expired, or may have been used up by a request whose
		// answer was lost: it is never sent again (medallion's would skip a page).
		return decision{}, r.dropToken(err)
	case status >= 400 && status < 500 && status != http.StatusNotFound && r.limit > r.base0:
		r.limit, r.grownFrom = r.base0, r.largest
		return decision{}, r.hide(r.newest)
	case status == http.StatusBadRequest && r.hasAfter:
		return decision{}, r.coarser(err)
	}
	return decision{}, err
}

// coarser tries added_after with fewer digits: a few servers take three or
// none only (demisto/content#21349, elastic/integrations#19107).
func (r *walker) coarser(err error) error {
	if r.precise == nil {
		r.precise = err
	}
	// All three are tried, beginning with what worked last time.
	if r.pos.Precision = (r.pos.Precision + 1) % Precision(len(precisions)); r.pos.Precision == r.tried {
		return r.precise
	}
	return nil
}

// dropToken goes back to the last position and begins from there. When that
// does not help, tokens are given up for dates.
func (r *walker) dropToken(cause error) error {
	if r.pos.Added != r.restartAt {
		r.restarts = 0
	}
	r.restarts++
	r.restartAt = r.pos.Added
	r.log.Debug("a next token was of no use; beginning again from the last position", "error", cause, "position", r.pos)
	switch {
	case r.restarts > 2:
		return cause
	case r.restarts == 2:
		r.noTokens, r.tokenErr = true, cause
	}
	r.warn("a next token was of no use, so the walk went back to its last position: %s", cause)
	r.token, r.prev, r.probe, r.stale = "", nil, nil, 0
	r.pos.Window = nil
	r.order = order{}
	r.seen.reset()
	r.limit = r.base0
	after, ok := r.pos.after(r.w.Overlap)
	if s := r.pos.added(); s.ok() && r.pos.Added != r.w.From.Added {
		after, ok = s.time.Add(-max(s.unit, r.pos.Precision.unit())), true // read in this walk: no overlap
	}
	r.after, r.hasAfter = after, ok
	return nil
}

func (r *walker) warn(format string, args ...any) {
	const most = 20
	text := fmt.Sprintf(format, args...)
	for _, w := range r.res.Warnings {
		if w == text {
			return
		}
	}
	if len(r.res.Warnings) < most {
		r.res.Warnings = append(r.res.Warnings, text)
	}
}
