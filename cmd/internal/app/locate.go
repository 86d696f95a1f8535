package app

import (
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"taxii-forwarder/forwarder/config"
)

// Location is what it takes to find a forwarder and its state: less than a
// whole configuration, so that it can be looked at and steered by someone who
// does not have its secrets, and while its configuration file is being edited.
type Location struct {
	Path     string // of the configuration file
	StateDir string
	Sinks    []string // "kind.name"
}

// Locate reads a Location from a configuration. Secrets that are not to be had
// here (an environment variable of the service, a credential that only systemd
// hands out) and mistakes elsewhere in the file do not matter; where the state
// directory itself can not be told, the report of [Load] says why.
func Locate(path string) (Location, *config.Report) {
	cfg, report := Load(path)
	if cfg != nil {
		l := Location{Path: path, StateDir: cfg.State.Dir}
		for _, s := range cfg.Sinks {
			l.Sinks = append(l.Sinks, s.Kind+"."+s.Name)
		}
		return l, &config.Report{}
	}
	l, ok := locate(path)
	if !ok {
		return Location{}, report
	}
	return l, &config.Report{}
}

// locate reads the state block's dir and the sinks' labels and nothing else. It
// works on tokens, so that a file that does not parse elsewhere will do.
func locate(path string) (Location, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Location{}, false
	}
	tokens, _ := hclsyntax.LexConfig(text, path, hcl.InitialPos)
	l := Location{Path: path, StateDir: config.DefaultStateDir()}
	depth, inState := 0, false
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			depth++
		case hclsyntax.TokenCBrace:
			depth--
			inState = inState && depth > 0
		case hclsyntax.TokenIdent:
			rest := tokens[i+1:]
			switch name := string(t.Bytes); {
			case depth == 0 && name == "state":
				inState = true
			case depth == 0 && name == "sink":
				kind, rest, ok := quoted(rest)
				label, _, ok2 := quoted(rest)
				if ok && ok2 {
					l.Sinks = append(l.Sinks, kind+"."+label)
				}
			case depth == 1 && inState && name == "dir" && len(rest) > 0 && rest[0].Type == hclsyntax.TokenEqual:
				dir, after, ok := quoted(rest[1:])
				if !ok || len(after) > 0 && after[0].Type != hclsyntax.TokenNewline && after[0].Type != hclsyntax.TokenCBrace && after[0].Type != hclsyntax.TokenComment {
					return Location{}, false // more than a plain string
				}
				if dir != "" {
					l.StateDir = dir
				}
			}
		}
	}
	return l, true
}

// quoted reads the plain string that tokens begin with, and returns what
// follows it.
func quoted(tokens hclsyntax.Tokens) (text string, rest hclsyntax.Tokens, ok bool) {
	n := 3
	switch {
	case len(tokens) >= 2 && tokens[0].Type == hclsyntax.TokenOQuote && tokens[1].Type == hclsyntax.TokenCQuote:
		return "", tokens[2:], true
	case len(tokens) < n || tokens[0].Type != hclsyntax.TokenOQuote || tokens[1].Type != hclsyntax.TokenQuotedLit || tokens[2].Type != hclsyntax.TokenCQuote:
		return "", tokens, false
	}
	var source []byte
	for _, t := range tokens[:n] {
		source = append(source, t.Bytes...)
	}
	expr, diags := hclsyntax.ParseExpression(source, "", hcl.InitialPos)
	if diags.HasErrors() {
		return "", tokens, false
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() {
		return "", tokens, false
	}
	return v.AsString(), tokens[n:], true
}
