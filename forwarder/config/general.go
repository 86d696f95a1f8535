package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"taxii-forwarder/forwarder/transport"
)

// ListenOff as http.listen means: no listener.
const ListenOff = "off"

// general reads the log, state and http blocks.
func (l *loader) general(cfg *Config, raw *rawRoot) {
	if raw.Log == nil {
		raw.Log = &rawLog{}
	}
	cfg.Log.Level = l.oneOf(l.scope("log"), "level", raw.Log.Level, "info", "trace", "debug", "warn", "error")
	cfg.Log.Format = l.oneOf(l.scope("log"), "format", raw.Log.Format, "text", "json")

	cfg.State.Dir = DefaultStateDir()
	if raw.State != nil && raw.State.Dir != "" {
		cfg.State.Dir = raw.State.Dir
	}

	cfg.HTTP.Listen = DefaultListen
	if raw.HTTP == nil || raw.HTTP.Listen == nil {
		return
	}
	at := l.scope("http").at("listen")
	listen := *raw.HTTP.Listen
	if listen == ListenOff {
		cfg.HTTP.Listen = ""
		return
	}
	host, port, err := net.SplitHostPort(listen)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 0 || n > 65535 {
		l.errorAt(at, fmt.Sprintf("%q is no address to listen on", listen), "write host:port, such as \""+DefaultListen+"\", or \"off\"")
		return
	}
	cfg.HTTP.Listen = listen
	if !transport.IsLoopback(host) {
		who := "other machines"
		if host == "" || host == "0.0.0.0" || host == "::" {
			who = "every machine that reaches this one"
		}
		l.warnAt(at, "the status page and metrics are open to "+who,
			"they need no login and name feeds and sinks; listen on a loopback address, or let only who may through a firewall or proxy")
	}
}

// oneOf checks a word; the first of the allowed is the default.
func (l *loader) oneOf(s scope, attr, given string, allowed ...string) string {
	if given == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, given) {
		l.errorAt(s.at(attr), fmt.Sprintf("unknown %s %q", attr, given), "use "+orList(allowed))
	}
	return given
}

// orList is `"a", "b" or "c"`.
func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
