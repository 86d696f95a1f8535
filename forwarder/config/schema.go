package config

import (
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/transport"
)

// The blocks as gohcl decodes them. Everything is optional there and checked
// by us, so that one message says what is missing and why it is needed.
type (
	rawRoot struct {
		Log    *rawLog     `hcl:"log,block"`
		State  *rawState   `hcl:"state,block"`
		HTTP   *rawHTTP    `hcl:"http,block"`
		Feeds  []*rawFeed  `hcl:"feed,block"`
		Sinks  []*rawSink  `hcl:"sink,block"`
		Routes []*rawRoute `hcl:"route,block"`
	}
	rawLog struct {
		Level  string `hcl:"level,optional"`
		Format string `hcl:"format,optional"`
	}
	rawState struct {
		Dir string `hcl:"dir,optional"`
	}
	rawHTTP struct {
		Listen    *string             `hcl:"listen,optional"`
		Token     *setting.Secret     `hcl:"token,optional"`
		Anonymous bool                `hcl:"anonymous,optional"`
		TLS       *transport.Listener `hcl:"tls,block"`
	}
	rawFeed struct {
		Name              string           `hcl:"name,label"`
		DiscoveryURL      string           `hcl:"discovery_url,optional"`
		APIRootURL        string           `hcl:"api_root_url,optional"`
		Auth              *rawAuth         `hcl:"auth,block"`
		Collections       []string         `hcl:"collections,optional"`
		PollInterval      setting.Duration `hcl:"poll_interval,optional"`
		ResyncInterval    setting.Duration `hcl:"resync_interval,optional"`
		Overlap           setting.Duration `hcl:"overlap,optional"`
		Timeout           setting.Duration `hcl:"timeout,optional"`
		StartFrom         string           `hcl:"start_from,optional"`
		PageSize          *int             `hcl:"page_size,optional"`
		MatchTypes        []string         `hcl:"match_types,optional"`
		MatchSpecVersions []string         `hcl:"match_spec_versions,optional"`
		Identity          string           `hcl:"identity,optional"`
		TrustedHosts      []string         `hcl:"trusted_hosts,optional"`
		ProxyURL          string           `hcl:"proxy_url,optional"`
		UserAgent         string           `hcl:"user_agent,optional"`
		TLS               *transport.TLS   `hcl:"tls,block"`
	}
	rawAuth struct {
		Kind string   `hcl:"kind,label"`
		Body hcl.Body `hcl:",remain"`
	}
	rawSink struct {
		Kind string   `hcl:"kind,label"`
		Name string   `hcl:"name,label"`
		Body hcl.Body `hcl:",remain"`
	}
	rawRoute struct {
		Name  string         `hcl:"name,label"`
		From  hcl.Expression `hcl:"from,optional"`
		To    hcl.Expression `hcl:"to,optional"`
		Where hcl.Expression `hcl:"where,optional"`
	}

	rawBearer struct {
		Token setting.Secret `hcl:"token"`
	}
	rawBasic struct {
		// A user name may be an API key, so it is kept out of reports.
		Username setting.Secret `hcl:"username"`
		Password setting.Secret `hcl:"password,optional"`
	}
	rawHeader struct {
		Name  string         `hcl:"name"`
		Value setting.Secret `hcl:"value"`
	}
	rawNone struct{}
)

var (
	secretType   = reflect.TypeFor[setting.Secret]()
	durationType = reflect.TypeFor[setting.Duration]()
	tlsType      = reflect.TypeFor[transport.TLS]()
)

// names sorts the attribute names of all blocks there are into those that are
// secret somewhere and those that never are.
type names struct{ secret, plain map[string]bool }

func collectNames(kinds []SinkKind) names {
	n := names{map[string]bool{}, map[string]bool{}}
	seen := map[reflect.Type]bool{}
	for _, v := range []any{rawRoot{}, rawBearer{}, rawBasic{}, rawHeader{}} {
		n.add(reflect.TypeOf(v), seen)
	}
	for _, k := range kinds {
		n.add(reflect.TypeOf(k.New()), seen)
	}
	for name := range n.secret {
		delete(n.plain, name)
	}
	return n
}

func (n names) add(t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		name, kind := tagOf(t.Field(i))
		switch {
		case kind == "block":
			n.add(t.Field(i).Type, seen)
		case kind != "attr":
		case holdsSecret(t.Field(i).Type):
			n.secret[name] = true
		default:
			n.plain[name] = true
		}
	}
}

// tagOf returns a field's name in the configuration and "attr", "block" or
// another word of gohcl's; both empty when it has none.
func tagOf(f reflect.StructField) (name, kind string) {
	tag, ok := f.Tag.Lookup("hcl")
	if !ok {
		return "", ""
	}
	name, kind, _ = strings.Cut(tag, ",")
	if kind == "" || kind == "optional" {
		kind = "attr"
	}
	return name, kind
}

func holdsSecret(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsSecret(t.Elem())
	}
	return t == secretType
}

// walkValues calls visit for every attribute and every tls block of a decoded
// block, with its path.
func walkValues(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	if v.Type() == tlsType {
		visit(strings.TrimSuffix(path, "."), v)
		return
	}
	for i := range v.NumField() {
		name, kind := tagOf(v.Type().Field(i))
		f := v.Field(i)
		switch {
		case kind == "attr" && v.Type().Field(i).IsExported():
			visit(path+name, f)
		case kind == "block" && f.Kind() == reflect.Slice:
			for j := range f.Len() {
				walkValues(f.Index(j), path+name+".", visit)
			}
		case kind == "block":
			walkValues(f, path+name+".", visit)
		}
	}
}
