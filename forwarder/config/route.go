package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// target is a feed or a sink that a route can refer to.
type target struct {
	ref      string // feed.NAME or sink.KIND.NAME
	feed     string
	sinkKind string
	sinkName string
}

func (l *loader) routes(cfg *Config, raw []*rawRoute) {
	feeds, sinks := targets(cfg)
	if len(raw) == 0 {
		for _, f := range feeds {
			for _, s := range sinks {
				cfg.Routes = append(cfg.Routes, Route{Name: defaultRoute, Feed: f.feed, SinkKind: s.sinkKind, SinkName: s.sinkName})
			}
		}
		return
	}
	named := map[string]scope{}
	taken := map[[2]string]Route{}
	lines := map[string]int{}
	for i, s := range l.scopes("route") {
		r := raw[i]
		l.checkName(s, "route", r.Name, named)
		lines[r.Name] = s.block.Start.Line
		from := l.references(s, "from", feeds)
		to := l.references(s, "to", sinks)
		where := l.where(s)
		for _, f := range from {
			for _, t := range to {
				pair := [2]string{f.ref, t.ref}
				if other, ok := taken[pair]; ok {
					l.errorAt(s.block, fmt.Sprintf("route %q leads from %s to %s, and so does route %q in line %d", r.Name, f.ref, t.ref, other.Name, lines[other.Name]),
						"a feed reaches a sink by one route; join the two filters with ||")
					continue
				}
				route := Route{Name: r.Name, Feed: f.feed, SinkKind: t.sinkKind, SinkName: t.sinkName, Where: where}
				taken[pair] = route
				cfg.Routes = append(cfg.Routes, route)
			}
		}
	}
	// A route that is wrong uses nothing: no reason to warn as well.
	if !slices.ContainsFunc(l.diags, func(d Diagnostic) bool { return d.Severity == Error }) {
		l.warnUnrouted(cfg)
	}
}

func targets(cfg *Config) (feeds, sinks []target) {
	for _, f := range cfg.Feeds {
		feeds = append(feeds, target{ref: "feed." + f.Name, feed: f.Name})
	}
	for _, s := range cfg.Sinks {
		sinks = append(sinks, target{ref: "sink." + s.Kind + "." + s.Name, sinkKind: s.Kind, sinkName: s.Name})
	}
	return distinct(feeds), distinct(sinks)
}

// distinct drops targets that share their name; that is reported elsewhere.
func distinct(all []target) []target {
	var out []target
	for _, t := range all {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// references resolves from or to.
func (l *loader) references(s scope, attr string, all []target) []target {
	want := "feed.NAME"
	if attr == "to" {
		want = "sink.KIND.NAME"
	}
	expr := s.attr(attr)
	if expr == nil {
		if l.incomplete(s.whole) {
			return nil
		}
		l.errorAt(s.block, fmt.Sprintf("a route needs %s", attr), fmt.Sprintf("write %s = [%s]", attr, want))
		return nil
	}
	items := []hclsyntax.Expression{expr}
	if tuple, ok := expr.(*hclsyntax.TupleConsExpr); ok {
		items = tuple.Exprs
	}
	if len(items) == 0 {
		l.errorAt(expr.Range(), attr+" is empty", fmt.Sprintf("write %s = [%s]", attr, want))
	}
	var refs []string
	for _, t := range all {
		refs = append(refs, t.ref)
	}
	var out []target
	for _, item := range items {
		ref, ok := referenceText(item)
		if !ok {
			detail := "write " + want + " without quotes"
			if text, isText := literalText(item); isText {
				for _, t := range all {
					if t.feed == text || t.sinkName == text || t.ref == text {
						detail = "write " + t.ref + ", without quotes"
					}
				}
			}
			l.errorAt(item.Range(), fmt.Sprintf("%s holds references", attr), detail)
			continue
		}
		i := slices.IndexFunc(all, func(t target) bool { return t.ref == ref })
		switch {
		case i < 0:
			detail := "there is none"
			if len(refs) > 0 {
				detail = "there " + isAre(len(refs)) + " " + strings.Join(refs, ", ")
				if near := suggest(ref, refs); near != "" {
					detail = "did you mean " + near + "? " + detail
				}
			}
			l.errorAt(item.Range(), ref+" does not exist", detail)
		case slices.Contains(out, all[i]):
			l.errorAt(item.Range(), ref+" twice", "leave one out")
		default:
			out = append(out, all[i])
		}
	}
	return out
}

// referenceText returns a reference as it is written: feed.NAME.
func referenceText(expr hclsyntax.Expression) (string, bool) {
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		return "", false
	}
	text := t.RootName()
	for _, step := range t[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			return "", false
		}
		text += "." + a.Name
	}
	return text, true
}

func literalText(expr hclsyntax.Expression) (string, bool) {
	if t, ok := expr.(*hclsyntax.TemplateExpr); ok {
		return plainText(t)
	}
	return "", false
}

// where compiles a route's filter.
func (l *loader) where(s scope) *Where {
	expr := s.attr("where")
	if expr == nil {
		return nil
	}
	w, flaws := compileWhere(expr, time.Now)
	for _, f := range flaws {
		l.errorAt(f.rng, f.summary, f.detail)
	}
	return w
}

// warnUnrouted names what no route uses.
func (l *loader) warnUnrouted(cfg *Config) {
	used := map[string]bool{}
	for _, r := range cfg.Routes {
		used[r.Feed] = true
		used[r.SinkKind+"."+r.SinkName] = true
	}
	for i, s := range l.scopes("feed") {
		if name := cfg.Feeds[i].Name; !used[name] {
			l.warnAt(s.block, "feed."+name+" is in no route", "it is polled, and goes nowhere")
		}
	}
	for i, s := range l.scopes("sink") {
		if name := cfg.Sinks[i].Kind + "." + cfg.Sinks[i].Name; !used[name] {
			l.warnAt(s.block, "sink."+name+" is in no route", "nothing is delivered to it")
		}
	}
}
