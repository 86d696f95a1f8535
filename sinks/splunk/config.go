package splunk

import (
	"net/url"
	"strings"
	"time"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

// Config is the body of a sink "splunk_hec" block.
type Config struct {
	// URL is the collector's address as far as the port: https://splunk.example.com:8088.
	// A path in front of /services/collector is kept, for a reverse proxy.
	URL   string         `hcl:"url"`
	Token setting.Secret `hcl:"token"`

	// Index, Source, SourceType and Host are the metadata of every event. Index
	// "" = the token's default index; Source "" = taxii:<feed>/<collection>;
	// SourceType "" = [DefaultSourceType]; Host "" = Splunk's choice.
	Index      string `hcl:"index,optional"`
	Source     string `hcl:"source,optional"`
	SourceType string `hcl:"sourcetype,optional"`
	Host       string `hcl:"host,optional"`

	// Ack is how indexer acknowledgment is used: "auto" waits for it when the
	// token has it on, "required" fails when it has not, "off" ignores it.
	Ack string `hcl:"ack,optional"`
	// AckTimeout is how long an event may stay without its acknowledgment before
	// it is sent again; "" = 5m, Splunk's advice.
	AckTimeout setting.Duration `hcl:"ack_timeout,optional"`

	Gzip  *bool  `hcl:"gzip,optional"` // compress requests; nil = true
	Batch *Batch `hcl:"batch,block"`

	TLS      *transport.TLS   `hcl:"tls,block"`
	ProxyURL string           `hcl:"proxy_url,optional"`
	Timeout  setting.Duration `hcl:"timeout,optional"` // for an answer; "" = 30s
}

// Batch bounds one request.
type Batch struct {
	MaxEvents int `hcl:"max_events,optional"` // 0 = 500
	MaxBytes  int `hcl:"max_bytes,optional"`  // before compression; 0 = 1,000,000
}

// The values of Config.Ack.
const (
	AckAuto     = "auto"
	AckRequired = "required"
	AckOff      = "off"
)

const (
	defaultMaxEvents = 500
	defaultMaxBytes  = 1_000_000 // Splunk's own limit until the releases that raised it
	minMaxBytes      = 16 << 10
	limitMaxEvents   = 10_000
	limitMaxBytes    = 5 << 20 // what Splunk Cloud takes
	defaultTimeout   = 30 * time.Second
	maxTimeout       = 10 * time.Minute
	maxAckTimeout    = time.Hour
)

// Validate returns everything that is wrong with c.
func (c *Config) Validate() []setting.Problem {
	var problems []setting.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, setting.Problemf(path, format, args...))
	}
	if _, msg := collectorURL(c.URL); msg != "" {
		add("url", "%s", msg)
	}
	switch token := c.Token.Reveal(); {
	case token == "":
		add("token", "token is empty; give the HEC token, for instance with credential(\"hec-token\")")
	case strings.HasPrefix(strings.ToLower(token), "splunk "):
		add("token", "token begins with \"Splunk \"; give the token alone")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		add("token", "token has white space or characters that no token has")
	}
	if c.Index != "" {
		if msg := badIndex(c.Index); msg != "" {
			add("index", "index %q %s", c.Index, msg)
		}
	}
	for _, f := range []struct{ path, value string }{{"source", c.Source}, {"sourcetype", c.SourceType}, {"host", c.Host}} {
		if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			add(f.path, "%s has control characters", f.path)
		}
	}
	switch c.Ack {
	case "", AckAuto, AckRequired, AckOff:
	default:
		add("ack", "unknown ack %q; use %q, %q or %q", c.Ack, AckAuto, AckRequired, AckOff)
	}
	if c.AckTimeout != "" {
		switch d, err := c.AckTimeout.Parse(); {
		case err != nil:
			add("ack_timeout", "%v", err)
		case d < time.Second || d > maxAckTimeout:
			add("ack_timeout", "ack_timeout is %s; use 1s to %s", c.AckTimeout, "1h")
		}
	}
	if b := c.Batch; b != nil {
		if b.MaxEvents < 0 || b.MaxEvents > limitMaxEvents {
			add("batch.max_events", "max_events is %d; use 1 to %d, or leave it out for %d", b.MaxEvents, limitMaxEvents, defaultMaxEvents)
		}
		if b.MaxBytes != 0 && (b.MaxBytes < minMaxBytes || b.MaxBytes > limitMaxBytes) {
			add("batch.max_bytes", "max_bytes is %d; use %d to %d, or leave it out for %d", b.MaxBytes, minMaxBytes, limitMaxBytes, defaultMaxBytes)
		}
	}
	for _, p := range c.TLS.Validate() {
		p.Path = "tls." + p.Path
		problems = append(problems, p)
	}
	if c.ProxyURL != "" {
		if err := transport.CheckProxyURL(c.ProxyURL); err != nil {
			add("proxy_url", "%v", err)
		}
	}
	if c.Timeout != "" {
		switch d, err := c.Timeout.Parse(); {
		case err != nil:
			add("timeout", "%v", err)
		case d < time.Second || d > maxTimeout:
			add("timeout", "timeout is %s; use 1s to %s", c.Timeout, "10m")
		}
	}
	return problems
}

// collectorURL returns the URL that /event, /ack and /health are under, or what
// is wrong with s. What people paste from Splunk's own examples, the path of an
// endpoint, is understood.
func collectorURL(s string) (*url.URL, string) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case strings.TrimSpace(s) == "":
		return nil, "url is empty; give the collector's address, such as \"https://splunk.example.com:8088\""
	case err != nil:
		return nil, "url can not be read; give an address such as \"https://splunk.example.com:8088\""
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, "url needs a scheme and a host, such as \"https://splunk.example.com:8088\""
	case u.User != nil:
		return nil, "url holds a user name or password; the token goes into token"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, "url has a query or fragment; give it without, and the token in token"
	case u.Port() == "8089":
		return nil, "url has port 8089, which is Splunk's management port; the event collector's is 8088 by default"
	}
	path := strings.TrimRight(u.Path, "/")
	path = strings.TrimSuffix(path, "/1.0")
	for _, end := range []string{"/event", "/raw", "/ack", "/health"} {
		if trimmed, ok := strings.CutSuffix(path, "/services/collector"+end); ok {
			path = trimmed
			break
		}
	}
	path = strings.TrimSuffix(path, "/services/collector")
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path + "/services/collector"}, ""
}

// badIndex says what is wrong with an index name by Splunk's rules for
// indexes.conf, "" if nothing is.
func badIndex(s string) string {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == '_' || c == '-':
			if i == 0 && c == '-' {
				return "begins with a hyphen, which Splunk does not allow"
			}
		default:
			return "can not be a Splunk index; they are of lower-case letters, digits, underscores and hyphens"
		}
	}
	return ""
}

func (c *Config) limits() (events, bytes int) {
	events, bytes = defaultMaxEvents, defaultMaxBytes
	if c.Batch != nil && c.Batch.MaxEvents > 0 {
		events = c.Batch.MaxEvents
	}
	if c.Batch != nil && c.Batch.MaxBytes > 0 {
		bytes = c.Batch.MaxBytes
	}
	return events, bytes
}
