package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/gohcl"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

func (l *loader) sinks(cfg *Config, raw []*rawSink) {
	if len(raw) == 0 {
		l.errorAt(scope{}.block, "there is no sink", `add a sink "kind" "name" { … } block: where to deliver`)
	}
	var known []string
	for _, k := range l.kinds {
		known = append(known, k.Name)
	}
	first := map[string]map[string]scope{}
	for i, s := range l.scopes("sink") {
		r := raw[i]
		k := slices.IndexFunc(l.kinds, func(k SinkKind) bool { return k.Name == r.Kind })
		if k < 0 {
			l.errorAt(s.block, fmt.Sprintf("unknown kind of sink %q", r.Kind), didYouMean(r.Kind, known))
			// Its name still counts, so that references to it are not reported too.
			cfg.Sinks = append(cfg.Sinks, Sink{Kind: r.Kind, Name: r.Name})
			continue
		}
		if first[r.Kind] == nil {
			first[r.Kind] = map[string]scope{}
		}
		l.checkName(s, "sink", r.Name, first[r.Kind])
		body := l.kinds[k].New()
		l.add(gohcl.DecodeBody(r.Body, l.eval, body))
		l.sinkBody(s, body)
		cfg.Sinks = append(cfg.Sinks, Sink{Kind: r.Kind, Name: r.Name, Body: body})
	}
}

// sinkBody validates a decoded sink block: what every kind has alike here, the
// rest by the kind itself.
func (l *loader) sinkBody(s scope, body any) {
	reported := map[string]bool{}
	walkValues(reflect.ValueOf(body), "", func(path string, v reflect.Value) {
		switch v.Type() {
		case secretType:
			l.secrets = append(l.secrets, v.String())
		case durationType:
			if v.String() == "" {
				return
			}
			if _, err := setting.Duration(v.String()).Parse(); err != nil {
				reported[path] = true
				l.errorAt(s.at(path), err.Error(), "")
			}
		case tlsType:
			if v.CanAddr() {
				l.warnTLS(s, path, v.Addr().Interface().(*transport.TLS))
			}
		default:
			l.warnPlain(s, path, v)
		}
	})
	v, ok := body.(interface{ Validate() []setting.Problem })
	if !ok {
		return
	}
	for _, p := range v.Validate() {
		// What the library complained about is not complained about twice.
		blamed := l.incomplete(s.at(p.Path))
		if !s.written(p.Path) {
			blamed = l.incomplete(s.whole)
		}
		if !reported[p.Path] && !blamed {
			l.problem(s, p)
		}
	}
}

// problems reports what is wrong with a block within s.
func (l *loader) problems(s scope, block string, all []setting.Problem) {
	for _, p := range all {
		p.Path = block + "." + p.Path
		l.problem(s, p)
	}
}

func (l *loader) problem(s scope, p setting.Problem) {
	summary := p.Message
	if p.Path != "" && !mentions(p.Message, p.Path) {
		summary = p.Path + ": " + p.Message
	}
	l.errorAt(s.at(p.Path), summary, "")
}

// mentions reports whether a message begins with the attribute's name anyway.
func mentions(message, path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	return strings.HasPrefix(message, name+" ") || strings.HasPrefix(message, path+" ")
}

// warnPlain warns of the URLs of a sink that are not encrypted.
func (l *loader) warnPlain(s scope, path string, v reflect.Value) {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			l.warnPlain(s, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
		return
	}
	if v.Kind() != reflect.String || strings.HasSuffix(path, "proxy_url") {
		return
	}
	if u, err := url.Parse(v.String()); err == nil && u.Scheme == "http" && u.Host != "" && !transport.IsLoopback(u.Hostname()) {
		l.warnAt(s.at(path), plainHTTP, plainHTTPDetail)
	}
}

func (l *loader) warnTLS(s scope, path string, t *transport.TLS) {
	if t == nil || !t.InsecureSkipVerify {
		return
	}
	at := s.at(path + ".insecure_skip_verify")
	if t.CertFingerprint != "" {
		l.warnAt(at, "insecure_skip_verify beside cert_fingerprint", "the fingerprint suffices; leave insecure_skip_verify out")
		return
	}
	l.warnAt(at, "the server's certificate is not verified", "anyone on the way can read and change everything, credentials included; use ca_file or cert_fingerprint")
}
