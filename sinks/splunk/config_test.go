package splunk

import (
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		path string // of the one problem; "" = none
		says string
	}{
		{"good", func(*Config) {}, "", ""},
		{"no url", func(c *Config) { c.URL = "" }, "url", "empty"},
		{"no scheme", func(c *Config) { c.URL = "splunk.example.com:8088" }, "url", "scheme"},
		{"ftp", func(c *Config) { c.URL = "ftp://splunk.example.com" }, "url", "scheme"},
		{"user", func(c *Config) { c.URL = "https://x:hunter2@splunk.example.com:8088" }, "url", "token"},
		{"query", func(c *Config) { c.URL = "https://splunk.example.com:8088/?token=hunter2" }, "url", "query"},
		{"unreadable", func(c *Config) { c.URL = "https://hunter2:%zz" }, "url", "can not be read"},
		{"management port", func(c *Config) { c.URL = "https://splunk.example.com:8089" }, "url", "8088"},
		{"no token", func(c *Config) { c.Token = "" }, "token", "empty"},
		{"token with scheme", func(c *Config) { c.Token = "Splunk hunter2" }, "token", "alone"},
		{"token with newline", func(c *Config) { c.Token = "hunter2\n" }, "token", "white space"},
		{"index", func(c *Config) { c.Index = "Threat Intel" }, "index", "lower-case"},
		{"index hyphen", func(c *Config) { c.Index = "-x" }, "index", "hyphen"},
		{"no index", func(c *Config) { c.Index = "" }, "", ""},
		{"source", func(c *Config) { c.Source = "a\nb" }, "source", "control"},
		{"ack", func(c *Config) { c.Ack = "yes" }, "ack", "required"},
		{"ack timeout", func(c *Config) { c.AckTimeout = "1m" }, "", ""},
		{"ack timeout that is none", func(c *Config) { c.AckTimeout = "soon" }, "ack_timeout", "duration"},
		{"short ack timeout", func(c *Config) { c.AckTimeout = "10ms" }, "ack_timeout", "1s"},
		{"long ack timeout", func(c *Config) { c.AckTimeout = "1d" }, "ack_timeout", "1h"},
		{"events", func(c *Config) { c.Batch = &Batch{MaxEvents: -1} }, "batch.max_events", "500"},
		{"bytes", func(c *Config) { c.Batch = &Batch{MaxBytes: 100} }, "batch.max_bytes", "1000000"},
		{"many bytes", func(c *Config) { c.Batch = &Batch{MaxBytes: 100 << 20} }, "batch.max_bytes", "1000000"},
		{"tls", func(c *Config) { c.TLS = &transport.TLS{CAFile: "/does/not/exist"} }, "tls.ca_file", "/does/not/exist"},
		{"proxy", func(c *Config) { c.ProxyURL = "nonsense://x" }, "proxy_url", ""},
		{"timeout", func(c *Config) { c.Timeout = "soon" }, "timeout", "duration"},
		{"short timeout", func(c *Config) { c.Timeout = "10ms" }, "timeout", "1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{URL: "https://splunk.example.com:8088", Token: "00000000-0000-4000-8000-000000000000", Index: "threat_intel"}
			tt.edit(&c)
			problems := c.Validate()
			if tt.path == "" {
				if len(problems) != 0 {
					t.Errorf("%v", problems)
				}
				if s, err := New(c, intel.SinkOptions{Name: "x"}); err != nil {
					t.Error(err)
				} else {
					s.Close()
				}
				return
			}
			if len(problems) != 1 || problems[0].Path != tt.path || !strings.Contains(problems[0].Message, tt.says) {
				t.Errorf("%v, want %s: …%s…", problems, tt.path, tt.says)
			}
			for _, p := range problems {
				if strings.Contains(p.Message, "hunter2") {
					t.Errorf("a secret is in %q", p.Message)
				}
			}
			if _, err := New(c, intel.SinkOptions{Name: "x"}); err == nil {
				t.Error("New takes it")
			}
		})
	}
	all := Config{Token: setting.Secret("a b"), Ack: "x", Index: "X", Timeout: "x"}
	if n := len(all.Validate()); n != 5 {
		t.Errorf("%d problems at once, want 5", n)
	}
}

func TestCollectorURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://splunk.example.com:8088":                               "https://splunk.example.com:8088/services/collector",
		"https://splunk.example.com:8088/":                              "https://splunk.example.com:8088/services/collector",
		" https://splunk.example.com:8088/services/collector ":          "https://splunk.example.com:8088/services/collector",
		"https://splunk.example.com:8088/services/collector/event":      "https://splunk.example.com:8088/services/collector",
		"https://splunk.example.com:8088/services/collector/event/1.0/": "https://splunk.example.com:8088/services/collector",
		"https://http-inputs-example.splunkcloud.com/hec/":              "https://http-inputs-example.splunkcloud.com/hec/services/collector",
		"http://[2001:db8::1]:8088":                                     "http://[2001:db8::1]:8088/services/collector",
	} {
		if got, msg := collectorURL(in); msg != "" || got.String() != want {
			t.Errorf("%q: %v %s, want %s", in, got, msg, want)
		}
	}
}
