package elastictest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

func (s *Server) route(c *call, fault Fault) {
	p, method := c.path, c.r.Method
	is := func(m string, parts ...string) bool {
		if m != method && !(m == http.MethodGet && method == http.MethodHead) || len(parts) != len(p) {
			return false
		}
		for i := range parts {
			if parts[i] != "*" && parts[i] != p[i] {
				return false
			}
		}
		return true
	}
	switch {
	case is(http.MethodGet, ""):
		s.info(c)
	case is(http.MethodPost, "*", "_bulk"), is(http.MethodPut, "*", "_bulk"):
		s.bulk(c, p[0], fault)
	case is(http.MethodPost, "*", "_update_by_query"):
		s.updateByQuery(c, p[0])
	case is(http.MethodPost, "*", "_search"), is(http.MethodGet, "*", "_search"), is(http.MethodPost, "*", "_count"), is(http.MethodGet, "*", "_count"):
		s.search(c, p[0], p[1] == "_count")
	case is(http.MethodPost, "*", "_field_caps"), is(http.MethodGet, "*", "_field_caps"):
		s.fieldCaps(c, p[0])
	case is(http.MethodPost, "*", "_refresh"):
		c.json(200, map[string]any{"_shards": map[string]any{"failed": 0}})
	case is(http.MethodGet, "*", "_doc", "*"):
		s.get(c, p[0], p[2])
	case is(http.MethodPut, "_component_template", "*"):
		s.putTemplate(c, s.components, p[1], true)
	case is(http.MethodPut, "_index_template", "*"):
		s.putTemplate(c, s.templates, p[1], false)
	case is(http.MethodGet, "_index_template", "*"):
		s.getTemplate(c, p[1])
	case is(http.MethodPost, "_security", "user", "_has_privileges") && s.options.Distribution != OpenSearch:
		s.hasPrivileges(c)
	case is(http.MethodPut, "*", "_mapping"):
		s.putMapping(c, p[0])
	case is(http.MethodPut, "*") && !strings.HasPrefix(p[0], "_"):
		s.createIndex(c, p[0])
	case is(http.MethodGet, "*") && !strings.HasPrefix(p[0], "_"):
		s.getIndex(c, p[0])
	default:
		c.json(400, map[string]any{"error": fmt.Sprintf("no handler found for uri [%s] and method [%s]", c.r.URL.Path, method)})
	}
}

func (s *Server) info(c *call) {
	if !s.may("monitor") {
		c.error(denied("cluster:monitor/main", "cluster", "monitor", "manage", "all"))
		return
	}
	version := map[string]any{"number": "8.19.3", "build_flavor": "default"}
	tagline := "You Know, for Search"
	switch s.options.Distribution {
	case Serverless:
		version = map[string]any{"number": "8.11.0", "build_flavor": "serverless"}
	case OpenSearch:
		version = map[string]any{"number": "2.19.1", "distribution": "opensearch"}
		tagline = "The OpenSearch Project: https://opensearch.org/"
	}
	c.json(200, map[string]any{"name": "elastictest", "cluster_name": "elastictest", "version": version, "tagline": tagline})
}

// hasPrivileges answers for the privileges that the request names.
func (s *Server) hasPrivileges(c *call) {
	if s.options.APIKey == "" && s.options.Username == "" {
		// Without security there is no such endpoint.
		c.error(fail(405, "status_exception", "Incorrect HTTP method for uri [%s] and method [POST], allowed: []", c.r.URL.Path))
		return
	}
	var ask struct {
		Cluster []string `json:"cluster"`
		Index   []struct {
			Names      []string `json:"names"`
			Privileges []string `json:"privileges"`
		} `json:"index"`
	}
	if e := decodeStrict(c.body, &ask); e != nil {
		c.error(e)
		return
	}
	all := true
	of := func(names []string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names {
			m[n] = s.may(n)
			all = all && m[n]
		}
		return m
	}
	indices := map[string]any{}
	for _, i := range ask.Index {
		for _, name := range i.Names {
			indices[name] = of(i.Privileges)
		}
	}
	cluster := of(ask.Cluster)
	c.json(200, map[string]any{"username": "test", "has_all_requested": all, "cluster": cluster, "index": indices, "application": map[string]any{}})
}

func decodeStrict(body []byte, v any) *Error {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fail(400, "x_content_parse_exception", "%s", err)
	}
	return nil
}
