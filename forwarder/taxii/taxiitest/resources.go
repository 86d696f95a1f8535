package taxiitest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// document writes a metadata resource.
func (s *Server) document(m map[string]any) *answer {
	if s.p.CamelCase {
		m = camel(m).(map[string]any)
	}
	b, _ := json.Marshal(m)
	return s.json(http.StatusOK, b)
}

// discovery is §4.1.
func (s *Server) discovery(r *http.Request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var roots []string
	for _, root := range s.roots {
		path := root.path
		if s.p.BareRoots {
			path = strings.TrimSuffix(path, "/")
		}
		if !s.p.RelativeRoots {
			path = s.origins[len(s.origins)-1] + path
		}
		roots = append(roots, path)
	}
	first := roots[0]
	if s.p.UnlistedRoot {
		roots = roots[1:]
	}
	return s.document(map[string]any{"title": "test server", "description": "TAXII 2.1 in process", "contact": "soc@example.com", "default": first, "api_roots": roots})
}

// rootInfo is §4.2.
func (s *Server) rootInfo(_ *http.Request, root *root) *answer {
	return s.document(map[string]any{"title": root.title, "versions": []string{mediaType}, "max_content_length": 10 << 20})
}

// collections is §5.1; the list is absent when it is empty.
func (s *Server) collections(_ *http.Request, root *root) *answer {
	m := map[string]any{}
	var list []any
	for _, c := range root.collections {
		list = append(list, c.members())
	}
	if len(list) > 0 {
		m["collections"] = list
	}
	return s.document(m)
}

// camel turns member names into camel case, all the way down.
func camel(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			parts := strings.Split(name, "_")
			for i := 1; i < len(parts); i++ {
				parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
			}
			out[strings.Join(parts, "")] = camel(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = camel(v[i])
		}
		return out
	}
	return v
}

// numeric makes a collection's id a number where it can be one.
func numeric(m map[string]any) {
	if n, err := strconv.Atoi(m["id"].(string)); err == nil {
		m["id"] = n
	}
}

// nullForFalse says null for what a collection does not allow, as OpenTAXII
// 0.9.3 does to those who have not logged in.
func nullForFalse(m map[string]any) {
	for _, name := range []string{"can_read", "can_write"} {
		if m[name] == false {
			m[name] = nil
		}
	}
}
