package elastictest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A matcher says whether a document satisfies a query.
type matcher func(doc map[string]any) bool

// compile reads a query: bool, match_all, term, terms, range, exists, ids,
// prefix and wildcard on keyword, text, date, number and address fields. As in
// the real server, a field that is not mapped holds nothing.
func (s *Server) compile(q any, root *node) (matcher, *Error) {
	m, ok := q.(map[string]any)
	if !ok || len(m) != 1 {
		return nil, fail(400, "parsing_exception", "[_na] query malformed, must start with start_object and have one member")
	}
	for kind, body := range m {
		switch kind {
		case "match_all":
			return func(map[string]any) bool { return true }, nil
		case "bool":
			return s.compileBool(body, root)
		case "exists":
			b, _ := body.(map[string]any)
			field, _ := b["field"].(string)
			n, props := root.leaf(field), []string{field}
			if n != nil && n.kind == "object" || strings.HasSuffix(field, "*") {
				props = below(root, strings.TrimSuffix(strings.TrimSuffix(field, "*"), "."))
			}
			return func(doc map[string]any) bool {
				return slices.ContainsFunc(props, func(p string) bool { return len(values(doc, p, root)) > 0 })
			}, nil
		case "term", "terms", "prefix", "wildcard", "range", "match":
			b, _ := body.(map[string]any)
			if len(b) != 1 {
				return nil, fail(400, "parsing_exception", "[%s] query doesn't support multiple fields", kind)
			}
			for field, arg := range b {
				return s.compileField(kind, field, arg, root)
			}
		}
		return nil, fail(400, "parsing_exception", "unknown query [%s]", kind)
	}
	panic("unreachable")
}

func (s *Server) compileBool(body any, root *node) (matcher, *Error) {
	b, _ := body.(map[string]any)
	var must, not, should []matcher
	for clause, arg := range b {
		if clause == "minimum_should_match" {
			continue
		}
		all, ok := arg.([]any)
		if !ok {
			all = []any{arg}
		}
		for _, q := range all {
			m, e := s.compile(q, root)
			if e != nil {
				return nil, e
			}
			switch clause {
			case "must", "filter":
				must = append(must, m)
			case "must_not":
				not = append(not, m)
			case "should":
				should = append(should, m)
			default:
				return nil, fail(400, "parsing_exception", "[bool] query does not support [%s]", clause)
			}
		}
	}
	return func(doc map[string]any) bool {
		yes := func(m matcher) bool { return m(doc) }
		return !slices.ContainsFunc(must, func(m matcher) bool { return !m(doc) }) && !slices.ContainsFunc(not, yes) &&
			(len(should) == 0 || slices.ContainsFunc(should, yes) || len(must) > 0 && b["minimum_should_match"] == nil)
	}, nil
}

func (s *Server) compileField(kind, field string, arg any, root *node) (matcher, *Error) {
	n := root.leaf(field)
	some := func(ok func(v any) bool) matcher {
		return func(doc map[string]any) bool { return slices.ContainsFunc(values(doc, field, root), ok) }
	}
	if m, ok := arg.(map[string]any); ok && kind != "range" {
		arg = m["value"]
		if kind == "match" {
			arg = m["query"]
		}
	}
	switch kind {
	case "term", "match":
		return some(func(v any) bool { return equal(n, v, arg) }), nil
	case "terms":
		args, ok := arg.([]any)
		if !ok {
			return nil, fail(400, "parsing_exception", "[terms] query requires an array")
		}
		return some(func(v any) bool {
			return slices.ContainsFunc(args, func(a any) bool { return equal(n, v, a) })
		}), nil
	case "prefix":
		return some(func(v any) bool { return strings.HasPrefix(text(v), text(arg)) }), nil
	case "wildcard":
		return some(func(v any) bool { return match(text(arg), text(v)) }), nil
	}
	bounds, _ := arg.(map[string]any)
	for op := range bounds {
		if !slices.Contains([]string{"gt", "gte", "lt", "lte", "format", "time_zone"}, op) {
			return nil, fail(400, "parsing_exception", "[range] query does not support [%s]", op)
		}
	}
	now := s.options.Now()
	return some(func(v any) bool {
		for op, bound := range bounds {
			cmp, ok := compare(n, v, bound, now)
			if !ok {
				return false
			}
			if op == "gt" && cmp <= 0 || op == "gte" && cmp < 0 || op == "lt" && cmp >= 0 || op == "lte" && cmp > 0 {
				return false
			}
		}
		return true
	}), nil
}

// below returns the paths of all leaves below a path.
func below(root *node, prefix string) []string {
	var out []string
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		for name, child := range n.props {
			p := strings.TrimPrefix(path+"."+name, ".")
			if child.kind == "object" {
				walk(child, p)
			} else if strings.HasPrefix(p, prefix) {
				out = append(out, p)
			}
		}
	}
	walk(root, "")
	return out
}

// values returns what is indexed of a document in a field.
func values(doc map[string]any, path string, root *node) []any {
	n := root.leaf(path)
	if n == nil || n.kind == "object" {
		return nil
	}
	var out []any
	var walk func(v any, names []string)
	walk = func(v any, names []string) {
		switch t := v.(type) {
		case []any:
			for _, e := range t {
				walk(e, names)
			}
		case map[string]any:
			for i := 1; i <= len(names); i++ {
				if child, ok := t[strings.Join(names[:i], ".")]; ok {
					walk(child, names[i:])
				}
			}
		case nil:
		default:
			if len(names) == 0 && (n.ignoreAbove == 0 || len([]rune(text(v))) <= n.ignoreAbove) {
				out = append(out, v)
			}
		}
	}
	walk(doc, strings.Split(path, "."))
	return out
}

func text(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case json.Number:
		return t.String()
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func equal(n *node, v, arg any) bool {
	a, b := text(v), text(arg)
	switch n.kind {
	case "ip":
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return false
		}
		if p, err := netip.ParsePrefix(b); err == nil {
			return p.Contains(addr)
		}
		other, err := netip.ParseAddr(b)
		return err == nil && addr == other
	case "ip_range":
		p, err := netip.ParsePrefix(a)
		addr, err2 := netip.ParseAddr(b)
		return err == nil && err2 == nil && p.Contains(addr)
	case "date", "long", "float":
		cmp, ok := compare(n, v, arg, time.Time{})
		return ok && cmp == 0
	case "text":
		words := strings.FieldsFunc(strings.ToLower(a), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r > 127) })
		return slices.Contains(words, strings.ToLower(b))
	}
	return a == b
}

// compare orders a value and a bound, in which dates may be calculated:
// "now-30d/d".
func compare(n *node, v, bound any, now time.Time) (int, bool) {
	switch n.kind {
	case "date":
		a, ok := parseDate(text(v))
		b, ok2 := dateMath(text(bound), now)
		return a.Compare(b), ok && ok2
	case "long", "integer", "float", "double":
		a, err := strconv.ParseFloat(text(v), 64)
		b, err2 := strconv.ParseFloat(text(bound), 64)
		switch {
		case err != nil || err2 != nil:
			return 0, false
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	}
	return strings.Compare(text(v), text(bound)), true
}

func dateMath(s string, now time.Time) (time.Time, bool) {
	rest, ok := strings.CutPrefix(s, "now")
	if !ok {
		return parseDate(s)
	}
	t := now.UTC()
	rest, round, _ := strings.Cut(rest, "/")
	if len(rest) > 2 {
		count, err := strconv.Atoi(rest[:len(rest)-1])
		unit := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}[rest[len(rest)-1]]
		if err != nil || unit == 0 {
			return t, false
		}
		t = t.Add(time.Duration(count) * unit)
	}
	if round == "d" {
		t = t.Truncate(24 * time.Hour)
	}
	return t, true
}
