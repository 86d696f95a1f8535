package elasticsearch

import (
	"net/url"
	"strings"
	"time"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

// The distributions.
const (
	Elasticsearch = "elasticsearch"
	OpenSearch    = "opensearch"
	Serverless    = "serverless"
)

// Config is the body of a sink "elasticsearch" block.
type Config struct {
	// Addresses are the URLs of the cluster's nodes or of what stands before them.
	Addresses []string `hcl:"addresses,optional"`
	// CloudID names an Elastic Cloud deployment instead.
	CloudID string `hcl:"cloud_id,optional"`
	// APIKey is an API key, encoded as Kibana shows it or as "id:key".
	APIKey   setting.Secret `hcl:"api_key,optional"`
	Username string         `hcl:"username,optional"`
	Password setting.Secret `hcl:"password,optional"`
	// Index is the index to write to; default "logs-ti_taxii".
	Index string `hcl:"index,optional"`
	// Distribution is elasticsearch (the default), opensearch or serverless.
	Distribution string `hcl:"distribution,optional"`
	// ManageTemplate says whether to install the index template; default true.
	ManageTemplate *bool `hcl:"manage_template,optional"`
	// Gzip says whether requests are compressed; default true.
	Gzip *bool `hcl:"gzip,optional"`
	// Batch bounds a bulk request.
	Batch *Batch `hcl:"batch,block"`

	TLS      *transport.TLS   `hcl:"tls,block"`
	ProxyURL string           `hcl:"proxy_url,optional"`
	Timeout  setting.Duration `hcl:"timeout,optional"`
}

// Batch bounds one bulk request.
type Batch struct {
	MaxDocuments int `hcl:"max_documents,optional"` // default 5000
	MaxBytes     int `hcl:"max_bytes,optional"`     // before compression; default 5,000,000
}

const (
	defaultIndex        = "logs-ti_taxii"
	defaultMaxDocuments = 5000
	defaultMaxBytes     = 5_000_000
	minMaxBytes         = 64 << 10
	maxMaxBytes         = 100 << 20 // http.max_content_length of a default server
	maxMaxDocuments     = 100_000
	minTimeout          = 100 * time.Millisecond
)

// Validate returns everything that is wrong with c.
func (c *Config) Validate() []setting.Problem {
	var problems []setting.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, setting.Problemf(path, format, args...))
	}
	switch {
	case len(c.Addresses) == 0 && c.CloudID == "":
		add("addresses", "no destination; set addresses (such as [\"https://es.example.com:9200\"]) or cloud_id")
	case len(c.Addresses) > 0 && c.CloudID != "":
		add("cloud_id", "addresses and cloud_id exclude each other; keep one")
	}
	scheme := ""
	for _, a := range c.Addresses {
		u, err := parseAddress(a)
		if err != nil {
			add("addresses", "%s", err)
			continue
		}
		if scheme != "" && scheme != u.Scheme {
			add("addresses", "addresses mix http and https; use https for all")
		}
		scheme = u.Scheme
	}
	if c.CloudID != "" {
		if _, err := parseCloudID(c.CloudID); err != nil {
			add("cloud_id", "%s", err)
		}
		if c.Distribution == OpenSearch {
			add("distribution", "cloud_id is for Elastic Cloud, which is no opensearch; use addresses")
		}
	}
	if c.APIKey != "" && (c.Username != "" || c.Password != "") {
		add("api_key", "api_key and username exclude each other; keep one")
	}
	if strings.ContainsAny(c.APIKey.Reveal(), " \t\r\n") {
		add("api_key", "api_key contains white space; give only the key, without \"ApiKey\" before it")
	}
	if (c.Username == "") != (c.Password == "") {
		add("username", "username and password belong together; set both or neither")
	}
	switch c.Distribution {
	case "", Elasticsearch, OpenSearch, Serverless:
	default:
		add("distribution", "unknown distribution %q; use elasticsearch, opensearch or serverless", c.Distribution)
	}
	if c.Distribution == OpenSearch && c.APIKey != "" {
		add("api_key", "opensearch has no API keys; use username and password")
	}
	if p := indexProblem(c.Index); p != "" {
		add("index", "index %q %s", c.Index, p)
	}
	if b := c.Batch; b != nil {
		if b.MaxDocuments < 0 || b.MaxDocuments > maxMaxDocuments {
			add("batch.max_documents", "max_documents is %d; use 1 to %d, or leave it out for %d", b.MaxDocuments, maxMaxDocuments, defaultMaxDocuments)
		}
		if b.MaxBytes != 0 && (b.MaxBytes < minMaxBytes || b.MaxBytes > maxMaxBytes) {
			add("batch.max_bytes", "max_bytes is %d; use %d to %d, or leave it out for %d", b.MaxBytes, minMaxBytes, maxMaxBytes, defaultMaxBytes)
		}
	}
	for _, p := range c.TLS.Validate() {
		add(joinPath("tls", p.Path), "%s", p.Message)
	}
	if c.ProxyURL != "" {
		if err := transport.CheckProxyURL(c.ProxyURL); err != nil {
			add("proxy_url", "%s", err)
		}
	}
	if c.Timeout != "" {
		if d, err := c.Timeout.Parse(); err != nil {
			add("timeout", "%s", err)
		} else if d < minTimeout {
			add("timeout", "timeout is %s; the least is %s", d, minTimeout)
		}
	}
	return problems
}

func joinPath(a, b string) string {
	if b == "" {
		return a
	}
	return a + "." + b
}

// indexProblem says what a server would have against an index name.
func indexProblem(name string) string {
	switch {
	case name == "":
		return "" // the default
	case name == "." || name == "..":
		return "is not a name"
	case len(name) > 255:
		return "is longer than 255 bytes"
	case strings.ToLower(name) != name:
		return "has upper-case letters; use lower case"
	case strings.ContainsAny(name, "\\/*?\"<>| ,#:"):
		return "has one of \\ / * ? \" < > | , # : or a space in it; name one index"
	case strings.ContainsAny(name[:1], "-_+."):
		return "begins with - _ + or a dot"
	}
	for _, r := range name {
		if r < ' ' || r > '~' {
			return "has characters other than ASCII; use letters, digits, - _ and ."
		}
	}
	return ""
}

// withDefaults returns c with its defaults filled in.
func (c Config) withDefaults() Config {
	if c.Index == "" {
		c.Index = defaultIndex
	}
	if c.Distribution == "" {
		c.Distribution = Elasticsearch
	}
	yes := true
	if c.ManageTemplate == nil {
		c.ManageTemplate = &yes
	}
	if c.Gzip == nil {
		c.Gzip = &yes
	}
	b := Batch{}
	if c.Batch != nil {
		b = *c.Batch
	}
	if b.MaxDocuments == 0 {
		b.MaxDocuments = defaultMaxDocuments
	}
	if b.MaxBytes == 0 {
		b.MaxBytes = defaultMaxBytes
	}
	c.Batch = &b
	return c
}

// addresses returns the URLs of the nodes.
func (c *Config) addresses() ([]*url.URL, error) {
	if c.CloudID != "" {
		u, err := parseCloudID(c.CloudID)
		if err != nil {
			return nil, err
		}
		return []*url.URL{u}, nil
	}
	var all []*url.URL
	for _, a := range c.Addresses {
		u, err := parseAddress(a)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}
