package elasticsearch

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

func decode(t *testing.T, text string) Config {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL([]byte(text), "test.hcl")
	var c Config
	if !diags.HasErrors() {
		diags = append(diags, gohcl.DecodeBody(file.Body, nil, &c)...)
	}
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return c
}

func TestConfig(t *testing.T) {
	c := decode(t, `
addresses       = ["https://a.example.com:9200", "https://b.example.com:9200/es/"]
api_key         = "key"
index           = "logs-ti_other"
distribution    = "serverless"
manage_template = false
gzip            = false
proxy_url       = "http://proxy.example.com:3128"
timeout         = "90s"
batch {
  max_documents = 100
  max_bytes     = 1000000
}
tls {
  server_name = "es.example.com"
}
`)
	if p := c.Validate(); len(p) > 0 {
		t.Fatal(p)
	}
	if d := c.withDefaults(); d.Index != "logs-ti_other" || *d.ManageTemplate || *d.Gzip || d.Batch.MaxDocuments != 100 {
		t.Errorf("%+v", d)
	}
	c = decode(t, `addresses = ["https://a.example.com"]`)
	if d := c.withDefaults(); d.Index != "logs-ti_taxii" || !*d.ManageTemplate || !*d.Gzip || d.Batch.MaxBytes != 5_000_000 || d.Distribution != Elasticsearch {
		t.Errorf("defaults: %+v", d)
	}
}

func TestConfigProblems(t *testing.T) {
	ok := func() Config { return Config{Addresses: []string{"https://es.example.com:9200"}} }
	for _, c := range []struct {
		name   string
		change func(*Config)
		path   string
		text   string
	}{
		{"nothing", func(c *Config) { c.Addresses = nil }, "addresses", "cloud_id"},
		{"both", func(c *Config) { c.CloudID = "x:" + base64.StdEncoding.EncodeToString([]byte("example.com$abc$def")) }, "cloud_id", "exclude"},
		{"no scheme", func(c *Config) { c.Addresses = []string{"es.example.com:9200"} }, "addresses", "https://"},
		{"ftp", func(c *Config) { c.Addresses = []string{"ftp://es.example.com"} }, "addresses", "https://"},
		{"user in URL", func(c *Config) { c.Addresses = []string{"https://elastic:hunter2@es.example.com"} }, "addresses", "username and password"},
		{"query", func(c *Config) { c.Addresses = []string{"https://es.example.com/?a=b"} }, "addresses", "query"},
		{"mixed", func(c *Config) { c.Addresses = append(c.Addresses, "http://es2.example.com") }, "addresses", "mix"},
		{"bad cloud id", func(c *Config) { c.Addresses, c.CloudID = nil, "name:!!!" }, "cloud_id", "copy it whole"},
		{"opensearch in the cloud", func(c *Config) {
			c.Addresses, c.CloudID, c.Distribution = nil, base64.StdEncoding.EncodeToString([]byte("example.com$abc$def")), OpenSearch
		}, "distribution", "addresses"},
		{"key and user", func(c *Config) { c.APIKey, c.Username, c.Password = "k", "u", "p" }, "api_key", "exclude"},
		{"key with its scheme", func(c *Config) { c.APIKey = "ApiKey abc" }, "api_key", "white space"},
		{"user alone", func(c *Config) { c.Username = "u" }, "username", "both"},
		{"opensearch key", func(c *Config) { c.Distribution, c.APIKey = OpenSearch, "k" }, "api_key", "username"},
		{"distribution", func(c *Config) { c.Distribution = "solr" }, "distribution", "opensearch"},
		{"upper case", func(c *Config) { c.Index = "Logs" }, "index", "lower case"},
		{"wildcard", func(c *Config) { c.Index = "logs-*" }, "index", "one index"},
		{"dash", func(c *Config) { c.Index = "-logs" }, "index", "begins"},
		{"umlaut", func(c *Config) { c.Index = "lögs" }, "index", "ASCII"},
		{"documents", func(c *Config) { c.Batch = &Batch{MaxDocuments: -1} }, "batch.max_documents", "5000"},
		{"bytes", func(c *Config) { c.Batch = &Batch{MaxBytes: 10} }, "batch.max_bytes", "65536"},
		{"tls", func(c *Config) { c.TLS = &transport.TLS{CAFile: "/does/not/exist.pem"} }, "tls.ca_file", ""},
		{"proxy", func(c *Config) { c.ProxyURL = "::" }, "proxy_url", ""},
		{"timeout", func(c *Config) { c.Timeout = "soon" }, "timeout", "duration"},
		{"short timeout", func(c *Config) { c.Timeout = "1ms" }, "timeout", "least"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := ok()
			c.change(&cfg)
			problems := cfg.Validate()
			if len(problems) != 1 || problems[0].Path != c.path || !strings.Contains(problems[0].Message, c.text) {
				t.Errorf("%q; want one at %s with %q", problems, c.path, c.text)
			}
			if strings.Contains(fmt.Sprint(problems), "hunter2") {
				t.Error("a password is shown")
			}
			if _, err := New(cfg, intel.SinkOptions{Name: "x", Logger: hclog.NewNullLogger()}); err == nil {
				t.Error("New takes it")
			}
		})
	}
	all := Config{CloudID: "!", Username: "u", Distribution: "x", Index: "A", Timeout: "x", Batch: &Batch{MaxBytes: 1}}
	if n := len(all.Validate()); n != 6 {
		t.Errorf("%d problems at once, not 6: %v", n, all.Validate())
	}
}

func TestCloudID(t *testing.T) {
	for plain, want := range map[string]string{
		"us-east-1.aws.found.io$abc123$def456":        "https://abc123.us-east-1.aws.found.io",
		"us-east-1.aws.found.io:443$abc123$def456":    "https://abc123.us-east-1.aws.found.io",
		"eu.example.com:9243$abc123":                  "https://abc123.eu.example.com:9243",
		"eu.example.com:9243$abc123:9244$def456:9245": "https://abc123.eu.example.com:9244",
		"":                          "",
		"example.com":               "",
		"example.com$":              "",
		"evil.example.com/path$abc": "",
		"example.com$user@host":     "",
	} {
		for _, label := range []string{"", "my deployment:"} {
			u, err := parseCloudID(label + base64.StdEncoding.EncodeToString([]byte(plain)))
			got := ""
			if err == nil {
				got = u.String()
			}
			if got != want {
				t.Errorf("%q: %q, %v; want %q", plain, got, err, want)
			}
		}
	}
}

func FuzzCloudID(f *testing.F) {
	f.Add("name:dXMtZWFzdC0xJGFiYyRkZWY=")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := parseCloudID(s); err == nil && (u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "") {
			t.Errorf("%q gives %s", s, u)
		}
	})
}

func TestAuthorization(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{}, ""},
		{Config{APIKey: "ZW5jb2RlZA=="}, "ApiKey ZW5jb2RlZA=="},
		{Config{APIKey: "id:key"}, "ApiKey aWQ6a2V5"},
		{Config{Username: "u", Password: "p"}, "Basic dTpw"},
	} {
		r, _ := http.NewRequest(http.MethodGet, "https://es.example.com", nil)
		if f := authorize(&c.config); f != nil {
			f(r)
		}
		if got := r.Header.Get("Authorization"); got != c.want {
			t.Errorf("%q; want %q", got, c.want)
		}
	}
}
