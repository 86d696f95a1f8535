package taxii

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// members are those of a JSON object by their names without case and
// underscores, as servers write api_roots, apiRoots and APIRoots.
type members map[string]jsontext.Value

// parseMembers reads a JSON object.
func parseMembers(data []byte) (members, error) {
	data = trimBOM(data)
	var raw map[string]jsontext.Value
	if err := json.Unmarshal(data, &raw, lenient...); err != nil || raw == nil {
		return nil, whatIsIt(data, err)
	}
	m := make(members, len(raw))
	for name, v := range raw {
		key := fold(name)
		if _, twice := m[key]; !twice || name == strings.ToLower(name) {
			m[key] = v
		}
	}
	return m, nil
}

func trimBOM(data []byte) []byte {
	if len(data) >= 3 && string(data[:3]) == "\xEF\xBB\xBF" {
		return data[3:]
	}
	return data
}

// whatIsIt says what a body is that is no JSON object.
func whatIsIt(data []byte, err error) error {
	text := strings.TrimSpace(string(data[:min(len(data), 64)]))
	var syntax *jsontext.SyntacticError
	switch {
	case text == "":
		return errors.New("the answer is empty")
	case text[0] == '<':
		return errHTML
	case text[0] == 0xFF || text[0] == 0xFE || text[0] == 0:
		return errUTF16
	case text[0] != '{':
		return fmt.Errorf("%w but begins %q", errNotJSON, text[:min(len(text), 40)])
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w at byte %d", errNotJSON, syntax.Err, syntax.ByteOffset)
	}
	return errNotJSON
}

func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// text returns a string or number; "" for anything else.
func (m members) text(name string) string {
	switch v := m[name]; v.Kind() {
	case '"', '0':
		return strings.TrimSpace(scalarText(v))
	}
	return ""
}

// flag returns a boolean, or def when it is null, absent or none.
func (m members) flag(name string, def bool) bool {
	switch readSaid(m[name]) {
	case yes:
		return true
	case no:
		return false
	}
	return def
}

// integer returns a number, also when it is written as a string.
func (m members) integer(name string) int64 {
	n, err := strconv.ParseFloat(m.text(name), 64)
	if err != nil || n < 0 || n > 1<<62 {
		return 0
	}
	return int64(n)
}

// list returns the entries of a list; a lone value counts as a list of one.
func (m members) list(name string) []jsontext.Value {
	switch v := m[name]; v.Kind() {
	case '[':
		var all []jsontext.Value
		if json.Unmarshal(v, &all, lenient...) != nil {
			return nil
		}
		return all
	case '"', '0', '{':
		return []jsontext.Value{v}
	}
	return nil
}

// texts returns the strings of a list.
func (m members) texts(name string) []string {
	var out []string
	for _, v := range m.list(name) {
		if s := strings.TrimSpace(scalarText(v)); s != "" {
			out = append(out, s)
		}
	}
	return out
}
