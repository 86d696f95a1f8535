package splunktest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// important holds the fields of which Enterprise Security wants at least one in
// an item of each threat-intelligence collection.
var important = map[string][]string{
	"ip_intel":    {"ip", "domain"},
	"http_intel":  {"url", "http_referrer", "http_user_agent", "domain", "ip"},
	"file_intel":  {"file_hash", "file_name"},
	"email_intel": {"src_user", "subject", "embedded_domain"},
	"certificate_intel": {"certificate_issuer", "certificate_subject", "certificate_serial",
		"certificate_issuer_organization", "certificate_subject_organization", "certificate_issuer_unit", "certificate_subject_unit"},
	"process_intel":  {"process", "process_file_name"},
	"registry_intel": {"registry_path", "registry_value_name", "registry_value_text"},
	"service_intel":  {"service", "service_file_hash", "service_dll_file_hash"},
	"user_intel":     {"user"},
}

// readItem reads what identifies an event and says what is odd about it.
func readItem(raw jsontext.Value) (e Event, problems []string) {
	e.Raw = raw
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if raw.Kind() != '{' {
		bad("event is no object")
		return e, problems
	}
	fields := map[string]jsontext.Value{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		bad("event can not be read: %v", err)
		return e, problems
	}
	if !flat(raw) {
		bad("event is not flat")
	}
	str := func(name string) string {
		s, err := strconv.Unquote(string(fields[name]))
		if err != nil {
			s, _ = text(fields[name])
		}
		return s
	}
	e.Action, e.ItemKey, e.STIXID = str("action"), str("item_key"), str("stix_id")
	e.Type, e.Value = str("observable_type"), str("observable_value")
	version, err := strconv.ParseInt(string(fields["version"]), 10, 64)
	if err != nil {
		bad("version is %s", fields["version"])
	}
	e.Version = version

	switch {
	case e.Action != "upsert" && e.Action != "withdraw":
		bad("action is %q", e.Action)
	case (e.Action == "withdraw") != (str("withdraw_reason") != ""):
		bad("action %q with withdraw_reason %q", e.Action, str("withdraw_reason"))
	}
	if len(e.ItemKey) != 64 || strings.Trim(e.ItemKey, "0123456789abcdef") != "" {
		bad("item_key is %q", e.ItemKey)
	}
	if e.STIXID == "" {
		bad("no stix_id")
	}
	if e.Type == "" {
		bad("no observable_type")
	}
	if c := str("threat_collection"); fields["threat_collection"] != nil {
		if important[c] == nil {
			bad("threat_collection is %q", c)
		} else if !slices.ContainsFunc(important[c], func(name string) bool { return str(name) != "" }) {
			bad("an item of %s without a field of its own", c)
		}
	}
	for name, v := range fields {
		if bytes.Equal(v, []byte(`""`)) || v.Kind() == 'n' || bytes.Equal(v, []byte("[]")) {
			bad("%s is empty", name)
		}
	}
	return e, problems
}
