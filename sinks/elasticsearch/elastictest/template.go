package elastictest

import (
	"encoding/json"
	"slices"
	"strings"
)

// putTemplate stores a component or index template after the checks that the
// real server makes.
func (s *Server) putTemplate(c *call, into map[string]map[string]any, name string, component bool) {
	if !s.may("manage_index_templates") {
		c.error(denied("indices:admin/index_template/put", "cluster", "manage_index_templates", "manage", "all"))
		return
	}
	var t map[string]any
	if err := json.Unmarshal(c.body, &t); err != nil {
		c.error(fail(400, "x_content_parse_exception", "%s", err))
		return
	}
	allowed := []string{"index_patterns", "composed_of", "priority", "version", "_meta", "template", "data_stream", "allow_auto_create", "ignore_missing_component_templates"}
	if component {
		allowed = []string{"template", "version", "_meta"}
	}
	for k := range t {
		if !slices.Contains(allowed, k) {
			kind := "index_template"
			if component {
				kind = "component_template"
			}
			c.error(fail(400, "x_content_parse_exception", "[1:2] [%s] unknown field [%s]", kind, k))
			return
		}
	}
	if !component && len(list(t["index_patterns"])) == 0 {
		c.error(fail(400, "illegal_argument_exception", "Required [index_patterns]"))
		return
	}
	template, _ := t["template"].(map[string]any)
	if m, ok := template["mappings"].(map[string]any); ok {
		if _, e := s.parseMapping(m); e != nil {
			c.error(&Error{Status: e.Status, Type: e.Type, Reason: "Failed to parse mapping [_doc]: " + e.Reason, CausedBy: e})
			return
		}
	}
	if _, ok := template["settings"]; ok && s.options.Distribution == Serverless {
		c.error(fail(400, "illegal_argument_exception", "Settings [index.auto_expand_replicas] are not available when running in serverless mode"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range list(t["composed_of"]) {
		if s.components[part] == nil {
			c.error(fail(400, "invalid_index_template_exception", "index_template [%s] invalid, cause [index template [%s] specifies component templates [%s] that do not exist]", name, name, part))
			return
		}
	}
	into[name] = t
	c.json(200, map[string]any{"acknowledged": true})
}

func list(v any) []string {
	all, _ := v.([]any)
	var out []string
	for _, e := range all {
		if str, ok := e.(string); ok {
			out = append(out, str)
		}
	}
	return out
}

func (s *Server) getTemplate(c *call, name string) {
	if !s.may("manage_index_templates") {
		c.error(denied("indices:admin/index_template/get", "cluster", "manage_index_templates", "manage", "all"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.templates[name]
	if t == nil {
		c.error(fail(404, "resource_not_found_exception", "index template matching [%s] not found", name))
		return
	}
	c.json(200, map[string]any{"index_templates": []any{map[string]any{"name": name, "index_template": t}}})
}

// mappingFor composes the mapping that a new index gets from the template of
// the highest priority.
func (s *Server) mappingFor(name string) (*node, *Error) {
	var best map[string]any
	priority := -1.0
	for _, t := range s.templates {
		p, _ := t["priority"].(float64)
		if p > priority && slices.ContainsFunc(list(t["index_patterns"]), func(pattern string) bool { return match(pattern, name) }) {
			best, priority = t, p
		}
	}
	root := &node{kind: "object", dynamic: dynamicTrue, props: map[string]*node{}}
	if best == nil {
		return root, nil
	}
	var parts []map[string]any
	for _, cname := range list(best["composed_of"]) {
		parts = append(parts, s.components[cname])
	}
	for _, part := range append(parts, best) {
		template, _ := part["template"].(map[string]any)
		if m, ok := template["mappings"].(map[string]any); ok {
			n, e := s.parseMapping(m)
			if e != nil {
				return nil, e
			}
			if e := root.merge(n, true); e != nil {
				return nil, e
			}
		}
	}
	return root, nil
}

// match reports whether a name matches a pattern with * for any text.
func match(pattern, name string) bool {
	head, rest, ok := strings.Cut(pattern, "*")
	if !ok {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	for i := len(head); i <= len(name); i++ {
		if match(rest, name[i:]) {
			return true
		}
	}
	return false
}

func (s *Server) createIndex(c *call, name string) {
	if !s.may("manage", "create_index") {
		c.error(denied("indices:admin/create", "indices ["+name+"]", "create_index", "manage", "all"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.indices[name] != nil {
		c.error(fail(400, "resource_already_exists_exception", "index [%s] already exists", name))
		return
	}
	root, e := s.mappingFor(name)
	if e == nil && len(c.body) > 0 {
		var body struct {
			Mappings map[string]any `json:"mappings"`
			Settings map[string]any `json:"settings"`
		}
		if e = decodeStrict(c.body, &body); e == nil && body.Mappings != nil {
			var n *node
			if n, e = s.parseMapping(body.Mappings); e == nil {
				e = root.merge(n, true)
			}
		}
	}
	if e != nil {
		c.error(e)
		return
	}
	s.indices[name] = newIndex(root)
	c.json(200, map[string]any{"acknowledged": true, "index": name})
}

func (s *Server) getIndex(c *call, name string) {
	if !s.may("manage", "view_index_metadata") {
		c.error(denied("indices:admin/get", "indices ["+name+"]", "view_index_metadata", "manage", "all"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.indices[name] == nil {
		c.error(fail(404, "index_not_found_exception", "no such index [%s]", name))
		return
	}
	c.json(200, map[string]any{name: map[string]any{}})
}

func (s *Server) putMapping(c *call, name string) {
	if !s.may("manage") {
		c.error(denied("indices:admin/mapping/put", "indices ["+name+"]", "manage", "all"))
		return
	}
	var m map[string]any
	if err := json.Unmarshal(c.body, &m); err != nil {
		c.error(fail(400, "x_content_parse_exception", "%s", err))
		return
	}
	n, e := s.parseMapping(m)
	if e != nil {
		c.error(e)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ix := s.indices[name]
	if ix == nil {
		c.error(fail(404, "index_not_found_exception", "no such index [%s]", name))
		return
	}
	if e := ix.mapping.merge(n, false); e != nil {
		c.error(e)
		return
	}
	c.json(200, map[string]any{"acknowledged": true})
}
