package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/gohcl"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

const (
	maxPageSize = 1_000_000
	hastyPoll   = 10 * time.Second

	plainHTTP       = "plain http"
	plainHTTPDetail = "what is sent, credentials included, can be read and changed on the way; use https"
)

var (
	// A name is part of references, metric labels and keys in the state.
	nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	// STIX 2.1 §3.1, and what custom objects of 2.0 use.
	stixType = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,249}$`)
)

func (l *loader) feeds(cfg *Config, raw []*rawFeed) {
	if len(raw) == 0 {
		l.errorAt(scope{}.block, "there is no feed", `add a feed "name" { … } block: what to follow`)
	}
	first := map[string]scope{}
	for i, s := range l.scopes("feed") {
		r := raw[i]
		l.checkName(s, "feed", r.Name, first)
		f := Feed{
			Name: r.Name, DiscoveryURL: r.DiscoveryURL, APIRootURL: r.APIRootURL,
			TrustedHosts: r.TrustedHosts, ProxyURL: r.ProxyURL, UserAgent: r.UserAgent, TLS: r.TLS,
			MatchTypes: r.MatchTypes, MatchSpecVersions: r.MatchSpecVersions,
		}
		l.feedURL(s, &f)
		f.Auth = l.auth(s, r.Auth)
		f.Collections = l.collections(s, r.Collections)
		f.PollInterval = l.duration(s, "poll_interval", r.PollInterval, DefaultPollInterval, true)
		f.ResyncInterval = l.duration(s, "resync_interval", r.ResyncInterval, 0, false)
		f.Overlap = l.duration(s, "overlap", r.Overlap, DefaultOverlap, false)
		f.Timeout = l.duration(s, "timeout", r.Timeout, DefaultTimeout, true)
		f.StartFrom = l.startFrom(s, r.StartFrom)
		f.PageSize = DefaultPageSize
		if r.PageSize != nil {
			if f.PageSize = *r.PageSize; f.PageSize < 1 || f.PageSize > maxPageSize {
				l.errorAt(s.at("page_size"), fmt.Sprintf("page_size is %d", f.PageSize), fmt.Sprintf("use 1 to %d", maxPageSize))
			}
		}
		if f.ResyncInterval > 0 && f.ResyncInterval < f.PollInterval {
			l.errorAt(s.at("resync_interval"), "resync_interval is shorter than poll_interval", "a resync walks the whole feed; use something like \"24h\"")
		}
		if s.has("poll_interval") && f.PollInterval > 0 && f.PollInterval < hastyPoll && !l.onLoopback(f) {
			l.warnAt(s.at("poll_interval"), fmt.Sprintf("polling every %s", f.PollInterval), "few servers like that; they may throttle")
		}
		l.each(s, "match_types", f.MatchTypes, func(v string) string {
			if !stixType.MatchString(v) {
				return fmt.Sprintf("%q is no STIX type", v)
			}
			return ""
		})
		if len(f.MatchTypes) > 0 && !slices.Contains(f.MatchTypes, "indicator") && isLiteral(s.attr("match_types")) {
			l.warnAt(s.at("match_types"), "match_types does not ask for indicators", `only indicators are delivered; add "indicator", unless this provider gives match[type] a meaning of its own`)
		}
		l.each(s, "match_spec_versions", f.MatchSpecVersions, func(v string) string {
			if v != "2.0" && v != "2.1" {
				return fmt.Sprintf("%q is no STIX version; use \"2.0\" or \"2.1\"", v)
			}
			return ""
		})
		switch f.Identity = orDefault(r.Identity, IdentityID); f.Identity {
		case IdentityID, IdentityContent:
		default:
			l.errorAt(s.at("identity"), fmt.Sprintf("unknown identity %q", f.Identity), didYouMean(f.Identity, []string{IdentityID, IdentityContent}))
		}
		l.each(s, "trusted_hosts", f.TrustedHosts, func(v string) string {
			if err := transport.CheckTrustedHost(v); err != nil {
				return err.Error()
			}
			return ""
		})
		if err := transport.CheckProxyURL(f.ProxyURL); err != nil {
			l.errorAt(s.at("proxy_url"), err.Error(), "")
		}
		if strings.ContainsFunc(f.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
			l.errorAt(s.at("user_agent"), "user_agent holds characters that a header can not", "use plain ASCII")
		}
		l.problems(s, "tls", f.TLS.Validate())
		l.warnTLS(s, "tls", f.TLS)
		cfg.Feeds = append(cfg.Feeds, f)
	}
}

// checkName checks a block's name, and that no other block of the kind has it.
func (l *loader) checkName(s scope, what, name string, first map[string]scope) {
	if !nameForm.MatchString(name) {
		l.errorAt(s.block, fmt.Sprintf("%q can not name a %s", name, what), "use letters, digits, - and _, beginning with a letter, at most 63")
		return
	}
	if other, ok := first[name]; ok {
		l.errorAt(s.block, fmt.Sprintf("there is another %s %q in line %d", what, name, other.block.Start.Line), "give one of them another name")
		return
	}
	first[name] = s
}

func (l *loader) feedURL(s scope, f *Feed) {
	switch {
	case s.has("discovery_url") && s.has("api_root_url"):
		l.errorAt(s.at("api_root_url"), "both discovery_url and api_root_url", "keep discovery_url, or api_root_url alone to do without discovery")
	case !s.has("discovery_url") && !s.has("api_root_url") && !l.incomplete(s.whole):
		l.errorAt(s.block, "a feed needs a discovery_url", `such as "https://taxii.example.com/taxii2/", or an api_root_url to do without discovery`)
	}
	for attr, v := range map[string]string{"discovery_url": f.DiscoveryURL, "api_root_url": f.APIRootURL} {
		if s.has(attr) {
			l.checkURL(s, attr, v)
		}
	}
}

// checkURL checks an http(s) URL and warns when it is not encrypted.
func (l *loader) checkURL(s scope, attr, value string) {
	u, err := url.Parse(value)
	at := s.at(attr)
	switch {
	case err != nil || value == "":
		l.errorAt(at, attr+" is no URL", `write it as in "https://taxii.example.com/taxii2/"`)
	case u.Scheme != "https" && u.Scheme != "http":
		l.errorAt(at, attr+" does not begin with https://", "write the whole URL")
	case u.Hostname() == "":
		l.errorAt(at, attr+" names no host", `write it as in "https://taxii.example.com/taxii2/"`)
	case u.User != nil:
		l.errorAt(at, attr+" holds a user name or password", `put them into an auth "basic" block`)
	case u.Fragment != "" || u.RawQuery != "":
		l.errorAt(at, attr+" holds a query or fragment", "leave out what follows the path")
	case u.Scheme == "http" && !transport.IsLoopback(u.Hostname()):
		l.warnAt(at, plainHTTP, plainHTTPDetail)
	}
}

func (l *loader) onLoopback(f Feed) bool {
	u, err := url.Parse(orDefault(f.DiscoveryURL, f.APIRootURL))
	return err == nil && transport.IsLoopback(u.Hostname())
}

// auth decodes the auth block by its kind.
func (l *loader) auth(s scope, raw *rawAuth) Auth {
	if raw == nil {
		return Auth{Kind: AuthNone}
	}
	in := s.child("auth")
	var (
		bearer rawBearer
		basic  rawBasic
		header rawHeader
		target any
	)
	switch raw.Kind {
	case AuthBearer:
		target = &bearer
	case AuthBasic:
		target = &basic
	case AuthHeader:
		target = &header
	case AuthNone:
		target = &rawNone{}
	default:
		l.errorAt(in.block, fmt.Sprintf("unknown kind of auth %q", raw.Kind), didYouMean(raw.Kind, []string{AuthBearer, AuthBasic, AuthHeader, AuthNone}))
		return Auth{}
	}
	l.add(gohcl.DecodeBody(raw.Body, l.eval, target))
	for attr, v := range map[string]setting.Secret{"token": bearer.Token, "username": basic.Username, "value": header.Value} {
		l.checkCredential(in, attr, v)
	}
	l.checkCredential(in, "password", basic.Password)
	if in.has("name") && !isToken(header.Name) {
		l.errorAt(in.at("name"), fmt.Sprintf("%q is no header name", header.Name), `use letters, digits and -, such as "X-API-Key"`)
	}
	return Auth{
		Kind: raw.Kind, Token: bearer.Token, Username: basic.Username.Reveal(), Password: basic.Password,
		Name: header.Name, Value: header.Value,
	}
}

// checkCredential finds the accidents that happen to pasted secrets. The
// secret is not repeated.
func (l *loader) checkCredential(s scope, attr string, v setting.Secret) {
	if !s.has(attr) {
		return
	}
	text := v.Reveal()
	l.secrets = append(l.secrets, text)
	switch {
	case text == "" && attr != "password" && !hasCall(s.attr(attr)): // a function that failed has said so
		l.errorAt(s.at(attr), attr+" is empty", "")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		l.errorAt(s.at(attr), attr+" holds a line break or another control character", "is there more in it than the secret?")
	case strings.TrimSpace(text) != text:
		l.errorAt(s.at(attr), attr+" begins or ends with a space", "")
	case attr == "token" && strings.HasPrefix(strings.ToLower(text), "bearer "):
		l.errorAt(s.at(attr), `token begins with "Bearer"`, "leave the word out; it is added")
	}
}

// isToken reports whether s can be a header's name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func (l *loader) collections(s scope, given []string) []string {
	if !s.has("collections") {
		return []string{"*"}
	}
	if len(given) == 0 && isLiteral(s.attr("collections")) {
		l.errorAt(s.at("collections"), "no collections", `name some by id, alias or title, or leave the line out to follow every readable one`)
	}
	l.each(s, "collections", given, func(v string) string {
		switch {
		case strings.TrimSpace(v) == "":
			return "a collection without a name"
		case v == "*" && len(given) > 1:
			return `"*" is every collection; leave out the others, or it`
		case v != "*" && strings.ContainsAny(v, "*?"):
			return fmt.Sprintf("%q: there are no patterns but \"*\" alone", v)
		case strings.Contains(v, "://"):
			return "a collection is named by id, alias or title, not by URL"
		}
		return ""
	})
	return given
}

// each checks the elements of a list: an empty message is all right. Twice the
// same is not.
func (l *loader) each(s scope, attr string, values []string, check func(string) string) {
	for i, v := range values {
		at := s.at(fmt.Sprintf("%s[%d]", attr, i))
		if message := check(v); message != "" {
			l.errorAt(at, message, "")
		} else if slices.Contains(values[:i], v) {
			l.errorAt(at, fmt.Sprintf("%q twice", v), "leave one out")
		}
	}
}

func (l *loader) duration(s scope, attr string, given setting.Duration, def time.Duration, positive bool) time.Duration {
	if given == "" {
		return def
	}
	d, err := given.Parse()
	switch {
	case err != nil:
		l.errorAt(s.at(attr), err.Error(), "")
		return def
	case positive && d <= 0:
		l.errorAt(s.at(attr), attr+" has to be more than 0", "")
	}
	return d
}

func (l *loader) startFrom(s scope, given string) StartFrom {
	if given == "" || given == "all" {
		return StartFrom{All: true}
	}
	if t, err := parseInstant(given); err == nil {
		if t.After(time.Now()) {
			l.warnAt(s.at("start_from"), "start_from is in the future", "nothing older than that is fetched")
		}
		return StartFrom{Time: t}
	}
	d, err := setting.Duration(given).Parse()
	if err != nil || d == 0 {
		l.errorAt(s.at("start_from"), fmt.Sprintf("start_from is neither a duration nor a time: %q", given),
			`use "all", a duration such as "30d", or a time such as "2026-01-31T00:00:00Z"`)
		return StartFrom{All: true}
	}
	return StartFrom{Age: d}
}
