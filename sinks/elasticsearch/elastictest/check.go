package elastictest

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// checker holds documents against a mapping. It reads each value once, as the
// throughput of a stand-in is part of what the forwarder's benchmarks see.
type checker struct {
	openSearch bool // whose words to use
	dec        *jsontext.Decoder
	in         bytes.Reader
	id         string // of the document, for messages
	path       []byte // dotted path of the field being looked at, for messages
}

// check refuses what the mapping does not take. Fields that are new to a
// dynamic object are added to it.
func (c *checker) check(n *node, id string, doc []byte) *Error {
	c.id = id
	c.in.Reset(doc)
	if c.dec == nil {
		c.dec = jsontext.NewDecoder(&c.in)
	} else {
		c.dec.Reset(&c.in)
	}
	c.path = c.path[:0]
	if c.dec.PeekKind() != '{' {
		return c.malformed("failed to parse", fail(400, "not_x_content_exception", "Compressor detection can only be called on some xcontent bytes or compressed xcontent bytes"))
	}
	if e := c.object(n, n.dynamic); e != nil {
		return e
	}
	if _, err := c.dec.ReadToken(); err != io.EOF {
		return c.malformed("failed to parse", fail(400, "x_content_parse_exception", "something follows the document"))
	}
	return nil
}

// malformed is the error of a document; Elasticsearch has a name of its own
// for it since 8.8, and says where.
func (c *checker) malformed(reason string, cause *Error) *Error {
	if c.openSearch {
		return &Error{Status: 400, Type: "mapper_parsing_exception", Reason: reason, CausedBy: cause}
	}
	return &Error{Status: 400, Type: "document_parsing_exception", Reason: "[1:1] " + reason, CausedBy: cause}
}

// misplaced is the error of a value that a field does not take.
func (c *checker) misplaced(field, kind, value string, cause *Error) *Error {
	return c.malformed("failed to parse field ["+field+"] of type ["+kind+"] in document with id '"+c.id+"'. Preview of field's value: '"+preview(value)+"'", cause)
}

func (c *checker) unreadable(err error) *Error {
	return c.malformed("failed to parse", fail(400, "json_parse_exception", "%s", err))
}

func (c *checker) object(n *node, inherited dynamic) *Error {
	dyn := n.dynamic
	if dyn == dynamicInherit {
		dyn = inherited
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return c.unreadable(err)
	}
	depth := len(c.path)
	for c.dec.PeekKind() == '"' {
		v, err := c.dec.ReadValue()
		if err != nil {
			return c.unreadable(err)
		}
		name := v[1 : len(v)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name, _ = jsontext.AppendUnquote(nil, v)
		}
		if len(name) == 0 || !c.openSearch && (name[0] == '.' || name[len(name)-1] == '.') {
			return c.malformed("failed to parse", fail(400, "illegal_argument_exception", "field name cannot be an empty string"))
		}
		if depth == 0 && string(name) == "_id" {
			value, _ := c.dec.ReadValue()
			return c.misplaced("_id", "_id", strings.Trim(string(value), `"`),
				c.malformed("Field [_id] is a metadata field and cannot be added inside a document. Use the index API request parameters.", nil))
		}
		if depth > 0 {
			c.path = append(c.path, '.')
		}
		c.path = append(c.path, name...)
		if e := c.member(n, c.path[len(c.path)-len(name):], dyn); e != nil {
			return e
		}
		c.path = c.path[:depth]
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return c.unreadable(err)
	}
	return nil
}

func (c *checker) member(n *node, name []byte, dyn dynamic) *Error {
	child := n.props[string(name)]
	if child == nil { // dotted names are paths
		if head, rest, ok := bytes.Cut(name, []byte{'.'}); ok {
			if sub := n.props[string(head)]; sub != nil && sub.kind == "object" {
				return c.member(sub, rest, dyn)
			}
		}
		switch dyn {
		case dynamicStrict:
			e := c.malformed("mapping set to strict, dynamic introduction of ["+string(c.path)+"] within [_doc] is not allowed", nil)
			e.Type = "strict_dynamic_mapping_exception"
			return e
		case dynamicFalse:
			return c.skip()
		}
		if child = invent(c.dec.PeekKind()); child == nil {
			return c.skip()
		}
		n.props[string(name)] = child
	}
	return c.value(child, dyn)
}

// invent returns the field that dynamic mapping makes for a value; nil = none
// yet.
func invent(kind jsontext.Kind) *node {
	switch kind {
	case '{':
		return &node{kind: "object", props: map[string]*node{}}
	case '"':
		return &node{kind: "text"}
	case '0':
		return &node{kind: "float"}
	case 't', 'f':
		return &node{kind: "boolean"}
	case '[':
		return &node{kind: "?"}
	}
	return nil
}

func (c *checker) skip() *Error {
	if err := c.dec.SkipValue(); err != nil {
		return c.unreadable(err)
	}
	return nil
}

func (c *checker) value(n *node, dyn dynamic) *Error {
	kind := c.dec.PeekKind()
	if kind == '[' {
		if _, err := c.dec.ReadToken(); err != nil {
			return c.unreadable(err)
		}
		for k := c.dec.PeekKind(); k != ']' && k > 0; k = c.dec.PeekKind() {
			if e := c.value(n, dyn); e != nil {
				return e
			}
		}
		if _, err := c.dec.ReadToken(); err != nil {
			return c.unreadable(err)
		}
		return nil
	}
	if n.kind == "?" { // an array whose elements had not been seen
		if guess := invent(kind); guess != nil {
			*n = *guess
		}
	}
	switch {
	case kind == 'n' || n.kind == "flattened":
		return c.skip()
	case n.kind == "object" && kind == '{':
		return c.object(n, dyn)
	case n.kind == "object":
		return c.malformed("object mapping for ["+string(c.path)+"] tried to parse field ["+string(c.path)+"] as object, but found a concrete value", nil)
	case kind == '{':
		return c.misplaced(string(c.path), n.kind, "{…}", fail(400, "illegal_state_exception", "Can't get text on a START_OBJECT at 1:1"))
	}
	v, err := c.dec.ReadValue()
	if err != nil {
		return c.unreadable(err)
	}
	if (n.kind == "keyword" || n.kind == "wildcard" || n.kind == "text") && len(v) <= maxTerm {
		return nil // takes any scalar
	}
	text := string(v)
	if kind == '"' {
		if b, err := jsontext.AppendUnquote(nil, v); err == nil {
			text = string(b)
		}
	}
	if n.immense(text) {
		return &Error{Status: 400, Type: "illegal_argument_exception",
			Reason: "Document contains at least one immense term in field=\"" + string(c.path) + "\" (whose UTF8 encoding is longer than the max length 32766), all of which were skipped."}
	}
	if reason := n.refuses(text, kind); reason != "" && !n.malformed {
		return c.misplaced(string(c.path), n.kind, text, fail(400, "illegal_argument_exception", "%s", reason))
	}
	return nil
}

func preview(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
