package sentinel

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

// Config is the body of a sink "sentinel" block.
type Config struct {
	// WorkspaceID is the Log Analytics workspace's GUID.
	WorkspaceID string `hcl:"workspace_id"`
	// Credential says as whom to log in.
	Credential *Credential `hcl:"credential,block"`

	// SourceSystem names the source of the objects in Sentinel and is part of
	// their identity there: another name makes other objects. Empty = the name of
	// the feed that an indicator came from.
	SourceSystem string `hcl:"source_system,optional"`
	// Cloud is "public" (the default) or "government".
	Cloud string `hcl:"cloud,optional"`
	// DefaultValidity is how long an indicator without valid_until is valid from
	// when it is forwarded; empty = 365d.
	DefaultValidity setting.Duration `hcl:"default_validity,optional"`
	// Compound says what becomes of a pattern that is more than one value:
	// "forward" (the default: as it is), "split" (one object per observable) or
	// "skip".
	Compound string `hcl:"compound,optional"`
	// PatternTypes are the pattern languages to send; empty = all. Sentinel takes
	// observables from "stix" only.
	PatternTypes []string `hcl:"pattern_types,optional"`
	// RequestsPerMinute is the identity's allowance; 0 = 100, what the API grants.
	RequestsPerMinute int `hcl:"requests_per_minute,optional"`

	// APIVersion is the upload API's version; empty = 2024-02-01-preview.
	APIVersion string `hcl:"api_version,optional"`
	// Endpoint, AuthorityHost and Scope stand in for those of the Cloud.
	Endpoint      string `hcl:"endpoint,optional"`
	AuthorityHost string `hcl:"authority_host,optional"`
	Scope         string `hcl:"scope,optional"`
	// DisableInstanceDiscovery keeps the login from asking the public cloud
	// whether AuthorityHost is genuine; for private clouds.
	DisableInstanceDiscovery bool `hcl:"disable_instance_discovery,optional"`

	TLS      *transport.TLS   `hcl:"tls,block"`
	ProxyURL string           `hcl:"proxy_url,optional"`
	Timeout  setting.Duration `hcl:"timeout,optional"`
}

// Defaults and limits of the configuration.
const (
	DefaultAPIVersion        = "2024-02-01-preview"
	DefaultValidity          = 365 * 24 * time.Hour
	DefaultRequestsPerMinute = 100

	maxRequestsPerMinute = 100_000
	maxSourceSystem      = 256
	reservedSourceSystem = "Microsoft Sentinel"
	fallbackSourceSystem = "taxii-forwarder"
)

// clouds are the places where the upload API exists. 21Vianet's Sentinel is
// retired.
var clouds = map[string]struct{ authority, scope, endpoint string }{
	// The public authority stays empty, so that AZURE_AUTHORITY_HOST has its say.
	"public":     {"", "https://management.azure.com/.default", "https://api.ti.sentinel.azure.com"},
	"government": {"https://login.microsoftonline.us/", "https://management.usgovcloudapi.net/.default", "https://api.ti.sentinel.azure.us"},
}

var (
	guid       = regexp.MustCompile(`^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	apiVersion = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(?:-[a-z]+)?$`)
)

// Validate returns everything that is wrong with c.
func (c *Config) Validate() []setting.Problem {
	var problems []setting.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, setting.Problemf(path, format, args...))
	}
	if !guid.MatchString(c.WorkspaceID) {
		add("workspace_id", "workspace_id %q is not a GUID; use the workspace ID that the Log Analytics workspace's overview shows, not its name", c.WorkspaceID)
	}
	if c.Credential == nil {
		add("credential", "a credential block is missing; use one of %s", strings.Join(credentialKinds(), ", "))
	} else {
		problems = append(problems, c.Credential.validate()...)
	}
	switch {
	case strings.EqualFold(strings.TrimSpace(c.SourceSystem), reservedSourceSystem):
		add("source_system", "source_system %q is reserved by Sentinel; use another name", c.SourceSystem)
	case utf8.RuneCountInString(c.SourceSystem) > maxSourceSystem:
		add("source_system", "source_system has %d characters; the most is %d", utf8.RuneCountInString(c.SourceSystem), maxSourceSystem)
	case c.SourceSystem != "" && strings.TrimSpace(c.SourceSystem) == "":
		add("source_system", "source_system is blank; leave it out to use the feed's name")
	}
	if _, known := clouds[c.cloud()]; !known {
		add("cloud", "unknown cloud %q; use public or government, or set endpoint, authority_host and scope", c.Cloud)
	}
	if c.DefaultValidity != "" {
		if d, err := c.DefaultValidity.Parse(); err != nil {
			add("default_validity", "%s", err)
		} else if d < time.Minute {
			add("default_validity", "default_validity %q is under a minute; Sentinel would not match such an indicator", string(c.DefaultValidity))
		}
	}
	if !slices.Contains([]string{"", "forward", "split", "skip"}, c.Compound) {
		add("compound", "unknown value %q; use forward, split or skip", c.Compound)
	}
	for _, t := range c.PatternTypes {
		if strings.TrimSpace(t) == "" {
			add("pattern_types", "pattern_types holds an empty name; use names such as \"stix\" or \"yara\"")
		}
	}
	if c.RequestsPerMinute < 0 || c.RequestsPerMinute > maxRequestsPerMinute {
		add("requests_per_minute", "requests_per_minute is %d; use 1 to %d, or leave it out for %d", c.RequestsPerMinute, maxRequestsPerMinute, DefaultRequestsPerMinute)
	}
	if c.APIVersion != "" && !apiVersion.MatchString(c.APIVersion) {
		add("api_version", "api_version %q is not a version such as %s", c.APIVersion, DefaultAPIVersion)
	}
	for _, u := range []struct{ path, value string }{{"endpoint", c.Endpoint}, {"authority_host", c.AuthorityHost}} {
		if u.value == "" {
			continue
		}
		if v, err := url.Parse(u.value); err != nil || v.Scheme != "https" || v.Host == "" || v.RawQuery != "" || v.Fragment != "" || v.User != nil {
			add(u.path, "%s is not an https URL without user and query; tokens go nowhere else", u.path)
		}
	}
	if c.Scope != "" && !strings.HasSuffix(c.Scope, "/.default") {
		add("scope", "scope %q does not end in /.default, as in %s", c.Scope, clouds["public"].scope)
	}
	for _, p := range c.TLS.Validate() {
		problems = append(problems, setting.Problem{Path: join("tls", p.Path), Message: p.Message})
	}
	if c.ProxyURL != "" {
		if err := transport.CheckProxyURL(c.ProxyURL); err != nil {
			add("proxy_url", "%s", err)
		}
	}
	if c.Timeout != "" {
		if d, err := c.Timeout.Parse(); err != nil {
			add("timeout", "%s", err)
		} else if d == 0 {
			add("timeout", "timeout is zero; leave it out for %s", transport.DefaultTimeout)
		}
	}
	return problems
}

// join prefixes path with its block, unless it has that already.
func join(block, path string) string {
	if path == "" || path == block {
		return block
	}
	if strings.HasPrefix(path, block+".") {
		return path
	}
	return block + "." + path
}

func (c *Config) cloud() string {
	if c.Cloud == "" {
		return "public"
	}
	return c.Cloud
}

func (c *Config) endpoint() string {
	return strings.TrimRight(or(c.Endpoint, clouds[c.cloud()].endpoint), "/")
}
func (c *Config) authority() string { return or(c.AuthorityHost, clouds[c.cloud()].authority) }
func (c *Config) scope() string     { return or(c.Scope, clouds[c.cloud()].scope) }

// uploadURL is where objects are posted. The path has a hyphen after threat;
// Microsoft's template for the government cloud lacks it and is wrong.
func (c *Config) uploadURL() string {
	return c.endpoint() + "/workspaces/" + strings.ToLower(c.WorkspaceID) +
		"/threat-intelligence-stix-objects:upload?api-version=" + or(c.APIVersion, DefaultAPIVersion)
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
