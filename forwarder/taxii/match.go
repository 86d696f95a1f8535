package taxii

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

// Matching is what a server was found to take match[type] for. TAXII 2.1
// §3.4.1 means an object's type; SOC Defenders documents it as the kind of
// observable in an indicator, so that match[type]=indicator finds nothing there.
type Matching string

// The findings. Each walk without one looks for it at its first page, before the
// position moves: a server that leaves out what was asked for must not move it.
const (
	MatchUnknown Matching = ""
	MatchType    Matching = "type" // as specified: what was asked for came
	MatchOwn     Matching = "own"  // other types came; presumably the values are the provider's own
	MatchHere    Matching = "here" // what was asked for is left out: it is not sent, objects are chosen here
)

const mostKinds = 12

// kinds are the object types seen, in order, up to a bound.
type kinds []string

func (k *kinds) add(kind string) {
	if len(*k) < mostKinds && !slices.Contains(*k, kind) {
		*k = append(*k, kind)
	}
}

// undecided: types are matched, and it is not known what the server makes of that.
func (r *walker) undecided() bool {
	return len(r.w.Filter.Types) > 0 && r.pos.Match == MatchUnknown
}

// choosing: objects are chosen by type here, not at the server.
func (r *walker) choosing() bool {
	return len(r.w.Filter.Types) > 0 && r.pos.Match == MatchHere
}

// wanted reports whether match[type] asks for a type.
func (r *walker) wanted(kind string) bool { return slices.Contains(r.w.Filter.Types, kind) }

// telling reports whether a type among the answers proves that the server
// means what we mean. Indicators are what it is all for; some servers put an
// identity on every page, whatever was asked for.
func (r *walker) telling(kind string) bool {
	return r.wanted(kind) && (kind == "indicator" || !r.wanted("indicator"))
}

// decideMatch finds out, at the first page of a walk, what the server takes
// match[type] for. again: the walk has to begin anew, without it.
func (r *walker) decideMatch(ctx context.Context) (again bool, err error) {
	if !r.undecided() {
		return false, nil
	}
	if r.told {
		r.pos.Match = MatchType
		return false, nil
	}
	if r.sampled {
		return false, nil
	}
	r.sampled = true
	sample, withheld, err := r.sample(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case withheld:
		r.pos.Match = MatchHere
		r.warnHere()
		r.token, r.prev, r.order = "", nil, order{}
		r.seen.reset()
		return true, nil
	case slices.Contains(r.came, "indicator"), len(r.came) > 0 && slices.Contains(sample, "indicator"):
		r.pos.Match = MatchOwn
		r.warnOwn()
	}
	if len(sample) > 0 && len(r.came) == 0 {
		r.warn("match[type]=%s finds nothing in this collection; what is in it begins with objects of type %s",
			strings.Join(r.w.Filter.Types, ","), strings.Join(sample, ", "))
	}
	return false, nil
}

func (r *walker) warnHere() {
	r.warn("the server answers match[type]=%s without objects of these types that it has, so match[type] means something else there; everything is read and chosen from here",
		strings.Join(r.w.Filter.Types, ","))
}

func (r *walker) warnOwn() {
	r.warn("the server answers match[type]=%s with objects of other types; that is right only if match_types has values that this provider documents",
		strings.Join(r.w.Filter.Types, ","))
}

// sample returns the types of the objects that the first page has without
// match[type], and whether one of them is what match[type] left out. It fails
// only when the walk has to; otherwise there is no telling.
func (r *walker) sample(ctx context.Context) (found kinds, withheld bool, err error) {
	q := query{after: r.afterText(), limit: r.limit, anyType: true}
	resp, err := r.c.get(ctx, r.url(q), &r.res.Requests)
	if err != nil {
		switch {
		case ctx.Err() != nil, intel.AsFailure(err).Kind == intel.FailThrottled:
			return nil, false, err
		}
		r.log.Debug("the collection can not be read without match[type]", "error", err)
		return nil, false, nil
	}
	defer resp.Body.Close()
	body, err := bodyOf(resp)
	if err != nil {
		return nil, false, nil
	}
	_, scan, err := readEnvelope(body, r.c.maxObject,
		func(raw []byte) error {
			kind := typeOf(raw)
			found.add(kind)
			withheld = withheld || r.telling(kind)
			return nil
		},
		func(string, []byte) error { return nil })
	if err != nil {
		r.log.Debug("the collection can not be read without match[type]", "error", err)
		return nil, false, nil
	}
	scan.drain()
	return found, withheld, nil
}

// typeOf reads an object's type; "" if it has none.
func typeOf(raw []byte) string {
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "type" {
			if d.SkipValue() != nil {
				return ""
			}
			continue
		}
		if d.PeekKind() != '"' {
			return ""
		}
		v, err := d.ReadToken()
		if err != nil {
			return ""
		}
		return v.String()
	}
	return ""
}
