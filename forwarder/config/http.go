package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"taxii-forwarder/forwarder/transport"
)

// ListenOff as http.listen means: no listener.
const ListenOff = "off"

// leastToken is the length of a token that can not be guessed if it is random.
const leastToken = 16

// http reads the http block. What the pages say helps who attacks feeds or
// sinks, so that other machines get at them with a token only, or where the
// administrator says that they may without.
func (l *loader) http(cfg *Config, raw *rawHTTP) {
	cfg.HTTP.Listen = DefaultListen
	if raw == nil {
		return
	}
	s := l.scope("http")
	if raw.Listen != nil {
		cfg.HTTP.Listen = *raw.Listen
	}
	if cfg.HTTP.Listen == ListenOff {
		cfg.HTTP.Listen = ""
		return
	}
	cfg.HTTP.Anonymous = raw.Anonymous
	if raw.Token != nil {
		cfg.HTTP.Token = *raw.Token
		l.checkToken(s, raw)
	}
	if raw.TLS != nil {
		cfg.HTTP.TLS = *raw.TLS
		problems, warnings := raw.TLS.Validate()
		l.problems(s, "tls", problems)
		for _, w := range warnings {
			l.warnAt(s.at("tls."+w.Path), w.Message, "browsers and Prometheus will refuse it; it is read again once it is renewed")
		}
	}
	host, port, err := net.SplitHostPort(cfg.HTTP.Listen)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 0 || n > 65535 {
		l.errorAt(s.at("listen"), fmt.Sprintf("%q is no address to listen on", cfg.HTTP.Listen), "write host:port, such as \""+DefaultListen+"\", or \"off\"")
		return
	}
	if transport.IsLoopback(host) {
		return
	}
	who := "other machines"
	if host == "" || host == "0.0.0.0" || host == "::" {
		who = "every machine that reaches this one"
	}
	given := s.has("token") // though it may not be readable here, which is reported
	switch {
	case !given && !raw.Anonymous:
		l.errorAt(s.at("listen"), "the status page and metrics would be open to "+who,
			"they name feeds and sinks: set a token, listen on a loopback address, or say anonymous = true where a firewall or proxy decides who gets here")
	case !given:
		l.warnAt(s.at("listen"), "the status page and metrics are open to "+who,
			"they need no login and name feeds and sinks; let only who may through a firewall or proxy, or set a token")
	case raw.TLS == nil:
		l.warnAt(s.at("listen"), "the token and the pages cross the network unencrypted",
			"set tls { cert_file key_file }, or put a proxy with TLS in front of a loopback address")
	}
}

func (l *loader) checkToken(s scope, raw *rawHTTP) {
	token := raw.Token.Reveal()
	if token == "" && s.has("token") && hasCall(s.attr("token")) {
		return // the function failed, which is reported
	}
	switch {
	case raw.Anonymous:
		l.errorAt(s.at("anonymous"), "anonymous and token exclude each other", "leave one of them out")
	case len(token) < leastToken:
		l.errorAt(s.at("token"), fmt.Sprintf("the token is shorter than %d characters", leastToken), "make a random one, such as with: openssl rand -hex 32")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		l.errorAt(s.at("token"), "the token holds blanks or characters that a header can not", "use plain ASCII without blanks")
	}
}
