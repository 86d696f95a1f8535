package sentineltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A check says what is wrong with a property's value, or "".
type check func(v any) string

// indicatorProperties are the properties that the API documents for an
// indicator.
var indicatorProperties = map[string]check{
	"type":                oneOf("indicator"),
	"spec_version":        oneOf("2.0", "2.1"),
	"id":                  isID("indicator"),
	"created":             isTime,
	"modified":            isTime,
	"created_by_ref":      isID("identity"),
	"revoked":             isBool,
	"labels":              listOf(isText),
	"confidence":          isConfidence,
	"lang":                isText,
	"external_references": listOf(isReference),
	"object_marking_refs": listOf(isID("marking-definition")),
	"granular_markings":   listOf(isGranular),
	"name":                isText,
	"description":         isText,
	"indicator_types":     listOf(isText),
	"pattern":             isText,
	"pattern_type":        isText,
	"pattern_version":     isText,
	"valid_from":          isTime,
	"valid_until":         isTime,
	"kill_chain_phases":   listOf(isPhase),
}

// Required properties, by type.
var (
	requiredOfAll       = []string{"id", "type", "created", "modified"}
	requiredOfIndicator = []string{"pattern", "pattern_type", "valid_from"}
	supportedTypes      = []string{"indicator", "attack-pattern", "threat-actor", "identity", "relationship"}
)

// checkObject returns everything that is wrong with a STIX object.
func checkObject(raw json.RawMessage, lenient bool) []string {
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil || o == nil {
		return []string{"the record is not a JSON object"}
	}
	var problems []string
	add := func(property, format string, args ...any) {
		problems = append(problems, "Error for Property="+property+": "+fmt.Sprintf(format, args...))
	}
	kind, _ := o["type"].(string)
	required := requiredOfAll
	if kind == "indicator" {
		required = append(slices.Clone(required), requiredOfIndicator...)
	}
	for _, name := range required {
		if o[name] == nil {
			add(name, "Required property is missing. Actual value: NULL.")
		}
	}
	if !slices.Contains(supportedTypes, kind) {
		add("type", "%q is not a supported type.", kind)
		return problems
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		test, documented := indicatorProperties[name]
		switch {
		case o[name] == nil:
		case kind != "indicator":
			if name == "id" {
				if text := isID(kind)(o[name]); text != "" {
					add(name, "%s", text)
				}
			}
		case !documented:
			if !lenient {
				add(name, "the property is not documented.")
			}
		default:
			if text := test(o[name]); text != "" {
				add(name, "%s", text)
			}
		}
	}
	from, until := timeOf(o["valid_from"]), timeOf(o["valid_until"])
	if !from.IsZero() && !until.IsZero() && !until.After(from) {
		add("valid_until", "must be greater than valid_from.")
	}
	if created, modified := timeOf(o["created"]), timeOf(o["modified"]); !modified.IsZero() && modified.Before(created) {
		add("modified", "is before created.")
	}
	return problems
}

func oneOf(values ...string) check {
	return func(v any) string {
		if s, ok := v.(string); ok && slices.Contains(values, s) {
			return ""
		}
		return fmt.Sprintf("must be one of %v.", values)
	}
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

func isUUID(s string) bool { return uuid.MatchString(s) }

func isID(kind string) check {
	return func(v any) string {
		s, _ := v.(string)
		if rest, ok := strings.CutPrefix(s, kind+"--"); ok && isUUID(rest) {
			return ""
		}
		return "is not an id of type " + kind + "."
	}
}

// instant is the form of a STIX time stamp: UTC, with a Z.
var instant = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?Z$`)

func timeOf(v any) time.Time {
	s, _ := v.(string)
	if !instant.MatchString(s) {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339, s)
	return t
}

func isTime(v any) string {
	if timeOf(v).IsZero() {
		return "is not a UTC time stamp."
	}
	return ""
}

func isBool(v any) string {
	if _, ok := v.(bool); ok {
		return ""
	}
	return "is not a boolean."
}

func isText(v any) string {
	if s, ok := v.(string); ok && s != "" {
		return ""
	}
	return "is not a string, or empty."
}

func isConfidence(v any) string {
	n, _ := v.(json.Number)
	f, err := n.Float64()
	if err != nil || f < 0 || f > 100 || f != math.Trunc(f) || strings.ContainsAny(n.String(), ".eE") {
		return "must be an integer in the range of 0-100."
	}
	return ""
}

func listOf(each check) check {
	return func(v any) string {
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			return "is not a list, or empty."
		}
		for i, e := range list {
			if text := each(e); text != "" {
				return fmt.Sprintf("[%d] %s", i, text)
			}
		}
		return ""
	}
}

// members checks an object's members; those required come first.
func members(v any, required int, names ...string) string {
	o, ok := v.(map[string]any)
	if !ok {
		return "is not an object."
	}
	for _, name := range names[:required] {
		if text := isText(o[name]); text != "" {
			return name + " " + text
		}
	}
	for name := range o {
		if !slices.Contains(names, name) {
			return "has an unknown member " + name + "."
		}
	}
	return ""
}

func isReference(v any) string {
	return members(v, 1, "source_name", "description", "url", "external_id", "hashes")
}

func isPhase(v any) string { return members(v, 2, "kill_chain_name", "phase_name") }

func isGranular(v any) string {
	if text := members(v, 0, "selectors", "marking_ref", "lang"); text != "" {
		return text
	}
	o := v.(map[string]any)
	if o["marking_ref"] == nil && o["lang"] == nil {
		return "has neither marking_ref nor lang."
	}
	return listOf(isText)(o["selectors"])
}
