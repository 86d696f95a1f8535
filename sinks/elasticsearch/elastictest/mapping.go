package elastictest

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type dynamic uint8

const (
	dynamicInherit dynamic = iota
	dynamicTrue
	dynamicFalse
	dynamicStrict
)

// node is a field of a mapping: an object with fields of its own, or a leaf.
type node struct {
	kind        string
	dynamic     dynamic
	props       map[string]*node
	ignoreAbove int
	malformed   bool // ignore_malformed
}

// leafKinds are the field types that this server knows.
var leafKinds = []string{"keyword", "wildcard", "text", "match_only_text", "constant_keyword", "date", "long", "integer", "float", "double",
	"boolean", "ip", "ip_range", "flattened", "version", "binary", "geo_point"}

// parseMapping reads a mapping, strictly.
func (s *Server) parseMapping(m map[string]any) (*node, *Error) {
	n := &node{kind: "object", props: map[string]*node{}}
	for k, v := range m {
		switch k {
		case "properties":
			props, ok := v.(map[string]any)
			if !ok {
				return nil, fail(400, "mapper_parsing_exception", "Expected map for property [properties]")
			}
			for name, p := range props {
				child, ok := p.(map[string]any)
				if !ok {
					return nil, fail(400, "mapper_parsing_exception", "Expected map for property [fields] on field [%s]", name)
				}
				kind, _ := child["type"].(string)
				if kind == "" || kind == "object" || kind == "nested" {
					delete(child, "type")
					sub, e := s.parseMapping(child)
					if e != nil {
						return nil, e
					}
					n.props[name] = sub
					continue
				}
				leaf, e := s.parseLeaf(name, kind, child)
				if e != nil {
					return nil, e
				}
				n.props[name] = leaf
			}
		case "dynamic":
			switch v {
			case true, "true":
				n.dynamic = dynamicTrue
			case false, "false":
				n.dynamic = dynamicFalse
			case "strict":
				n.dynamic = dynamicStrict
			default:
				return nil, fail(400, "illegal_argument_exception", "Could not convert [dynamic.dynamic] to boolean")
			}
		case "_meta", "date_detection", "dynamic_templates":
		default:
			return nil, fail(400, "mapper_parsing_exception", "Root mapping definition has unsupported parameters:  [%s : %v]", k, v)
		}
	}
	return n, nil
}

func (s *Server) parseLeaf(name, kind string, m map[string]any) (*node, *Error) {
	if !slices.Contains(leafKinds, kind) || s.options.Distribution == OpenSearch && slices.Contains([]string{"flattened", "wildcard", "version"}, kind) {
		return nil, fail(400, "mapper_parsing_exception", "No handler for type [%s] declared on field [%s]", kind, name)
	}
	n := &node{kind: kind}
	for k, v := range m {
		switch k {
		case "type", "fields", "index", "doc_values", "norms", "format", "null_value", "coerce", "value":
		case "ignore_above":
			if f, ok := v.(float64); ok {
				n.ignoreAbove = int(f)
			}
		case "ignore_malformed":
			n.malformed, _ = v.(bool)
		default:
			return nil, fail(400, "mapper_parsing_exception", "unknown parameter [%s] on mapper [%s] of type [%s]", k, name, kind)
		}
	}
	return n, nil
}

// merge adds the fields of m to n. Templates override (replace), a mapping of
// an existing index can not change a field's type.
func (n *node) merge(m *node, replace bool) *Error { return n.mergeAt("", m, replace) }

func (n *node) mergeAt(path string, m *node, replace bool) *Error {
	if m.dynamic != dynamicInherit {
		n.dynamic = m.dynamic
	}
	for name, child := range m.props {
		have := n.props[name]
		switch {
		case have == nil || replace && (have.kind != "object" || child.kind != "object"):
			n.props[name] = child
		case have.kind == "object" && child.kind == "object":
			if e := have.mergeAt(path+name+".", child, replace); e != nil {
				return e
			}
		case have.kind != child.kind:
			return fail(400, "illegal_argument_exception", "mapper [%s] cannot be changed from type [%s] to [%s]", path+name, have.kind, child.kind)
		}
	}
	return nil
}

// maxTerm is Lucene's longest term.
const maxTerm = 32766

// immense reports whether a value is too long to be indexed as it is.
func (n *node) immense(v string) bool {
	return n.kind == "keyword" && len(v) > maxTerm && (n.ignoreAbove == 0 || len([]rune(v)) <= n.ignoreAbove)
}

// refuses says why a leaf does not take a value; "" = it does.
func (n *node) refuses(v string, kind jsontext.Kind) string {
	switch n.kind {
	case "date":
		if _, ok := parseDate(v); !ok {
			return "failed to parse date field [" + v + "] with format [strict_date_optional_time||epoch_millis]"
		}
	case "long", "integer":
		if f, err := strconv.ParseFloat(v, 64); err != nil || f > 1<<63-1 || f < -1<<63 {
			return "For input string: \"" + v + "\""
		}
	case "float", "double":
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return "For input string: \"" + v + "\""
		}
	case "boolean":
		if v != "true" && v != "false" && v != "" {
			return "Failed to parse value [" + v + "] as only [true] or [false] are allowed."
		}
	case "ip":
		if _, err := netip.ParseAddr(v); err != nil { // zones are ignored
			return "'" + v + "' is not an IP string literal."
		}
	case "ip_range":
		if kind != '"' {
			return "Expected [ip_range] to be text"
		}
		if p, err := netip.ParsePrefix(v); err == nil && p.Addr().Is4In6() {
			return "CIDR notation is not allowed with IPv6-mapped IPv4 address [" + p.Addr().String() + "] as it introduces ambiguity"
		} else if err != nil {
			if address, length, ok := strings.Cut(v, "/"); ok {
				if _, err := netip.ParseAddr(address); err == nil {
					return "Illegal prefix length [" + length + "] in [" + v + "]. Must be 0-32 for IPv4 ranges, 0-128 for IPv6 ranges"
				}
			}
			return "Expected [ip/prefix] but was [" + v + "]"
		}
	case "binary":
		if _, err := base64.StdEncoding.DecodeString(v); err != nil {
			return "illegal base64"
		}
	}
	return ""
}

// parseDate reads strict_date_optional_time or epoch_millis.
func parseDate(v string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t, true
		}
	}
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil && len(v) > 4 {
		return time.UnixMilli(ms), true
	}
	return time.Time{}, false
}

// leaf returns the field at a dotted path; nil when it is not mapped.
func (n *node) leaf(path string) *node {
	for _, name := range strings.Split(path, ".") {
		if n == nil || n.kind != "object" {
			return nil
		}
		n = n.props[name]
	}
	return n
}
