package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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

	l.http(cfg, raw.HTTP)
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
