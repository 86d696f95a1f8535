package config

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"taxii-forwarder/forwarder/intel"
)

var whereNow = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// full has every attribute; the zero Indicator has none but its flags.
func full() *intel.Indicator {
	confidence := 75
	return &intel.Indicator{
		Feed: "socdefenders", Collection: "all-iocs", ID: "indicator--1", Name: "Évil C2", CreatedBy: "ACME",
		IndicatorTypes: []string{"malicious-activity"}, Labels: []string{"apt", "c2", "apt"}, Confidence: &confidence,
		Created: whereNow.AddDate(0, 0, -40), Modified: whereNow.AddDate(0, 0, -10), ValidUntil: whereNow.AddDate(0, 1, 0),
		Pattern: "[…]", PatternType: "stix", TLP: intel.TLPAmber,
		Observables: []intel.Observable{{Type: intel.TypeIPv4}, {Type: intel.TypeIPv4}, {Type: intel.TypeFile}},
	}
}

func compileAt(t testing.TB, text string) (*Where, []flaw) {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(text), "where", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", text, diags)
	}
	return compileWhere(expr, func() time.Time { return whereNow })
}

func TestWhere(t *testing.T) {
	tests := []struct {
		where       string
		full, empty bool // what it says of full() and of an indicator that has nothing
	}{
		{"true", true, true},
		{"false", false, false},
		{"!false", true, true},

		// numbers
		{"indicator.confidence >= 50", true, false},
		{"indicator.confidence > 75", false, false},
		{"indicator.confidence < 76", true, false},
		{"indicator.confidence <= 74.5", false, false},
		{"indicator.confidence == 75", true, false},
		{"indicator.confidence != 75", false, true},
		{"50 < indicator.confidence", true, false},
		{"indicator.confidence > -1", true, false},
		{"!(indicator.confidence >= 50)", false, true},
		{"indicator.confidence == null", false, true},
		{"null != indicator.confidence", true, false},
		{"indicator.confidence == null || indicator.confidence >= 80", false, true},

		// text
		{`indicator.name == "Évil C2"`, true, false},
		{`indicator.name == "évil c2"`, false, false},
		{`indicator.name != "x"`, true, true},
		{`indicator.name == null`, false, true},
		{`indicator.name == indicator.created_by`, false, false},
		{`indicator.type == "indicator"`, true, true},
		{`indicator.id == "indicator--1"`, true, false},
		{`indicator.feed == "socdefenders" && indicator.collection == "all-iocs"`, true, false},
		{`indicator.pattern_type == "stix"`, true, false},
		{`lower(indicator.name) == "évil c2"`, true, false},
		{`upper(indicator.created_by) == upper("acme")`, true, false},
		{`startswith(indicator.name, "Évil")`, true, false},
		{`endswith(indicator.name, "c2")`, false, false},
		{`strcontains(lower(indicator.name), "vil c")`, true, false},
		{`matches("^É.*\\d$", indicator.name)`, true, false},
		{`matches("", indicator.name)`, true, false},
		{`length(indicator.name) == 7`, true, false},
		{`length(indicator.name) == 0`, false, true},

		// TLP
		{`indicator.tlp == "amber"`, true, false},
		{`indicator.tlp == "TLP:AMBER"`, true, false},
		{`indicator.tlp != "red"`, true, true},
		{`indicator.tlp <= "amber"`, true, false},
		{`indicator.tlp < "amber"`, false, false},
		{`indicator.tlp > "white"`, true, false},
		{`"amber+strict" > indicator.tlp`, true, false},
		{`indicator.tlp == null`, false, true},
		{`indicator.tlp == null || indicator.tlp < "red"`, true, true},
		{`contains(["GREEN", "Amber"], indicator.tlp)`, true, false},

		// lists
		{`contains(indicator.labels, "c2")`, true, false},
		{`contains(indicator.labels, "C2")`, false, false},
		{`contains(indicator.observable_types, "file")`, true, false},
		{`contains(["ACME", "x"], indicator.created_by)`, true, false},
		{`contains([indicator.name, indicator.created_by], "ACME")`, true, false},
		{`anyof(indicator.labels, ["x", "apt"])`, true, false},
		{`anyof(indicator.labels, indicator.indicator_types)`, false, false},
		{`anyof(["domain-name", "file"], indicator.observable_types)`, true, false},
		{`anyof(indicator.labels, [])`, false, false},
		{`anyof([indicator.name], [indicator.created_by])`, false, false},
		{`indicator.labels == null`, false, true},
		{`indicator.observable_types != null`, true, false},
		{`length(indicator.labels) == 2`, true, false},
		{`length(indicator.observable_types) == 2`, true, false},
		{`length(indicator.labels) > 0`, true, false},

		// times
		{`indicator.created > "2026-01-01"`, true, false},
		{`indicator.created > "2026-01-20T00:00:00+01:00"`, true, false},
		{`indicator.created < "2026-01-20T00:00:00.5Z"`, true, false},
		{`indicator.created == "2026-01-20"`, true, false},
		{`indicator.created != "2026-01-20"`, false, true},
		{`indicator.modified >= ago("10d")`, true, false},
		{`indicator.modified > ago("9d")`, false, false},
		{`ago("1h") < indicator.valid_until`, true, false},
		{`indicator.created < indicator.modified`, true, false},
		{`indicator.valid_until == null`, false, true},

		// truth
		{"indicator.revoked", false, false},
		{"indicator.revoked == false", true, true},
		{"indicator.revoked == null", false, false},
		{"!indicator.revoked && true", true, true},
		{"false || indicator.confidence > 0", true, false},
		{"true || false && false", true, true},
		{"(true || false) && false", false, false},
		{`indicator.confidence == null ? false : indicator.confidence > 70`, true, false},
		{`(indicator.name == null ? indicator.created_by : indicator.name) != null`, true, false},
		{`(indicator.revoked ? 10 : indicator.confidence) > 60`, true, false},
		{`(indicator.revoked ? indicator.created : indicator.modified) > ago("20d")`, true, false},
	}
	for _, tt := range tests {
		w, flaws := compileAt(t, tt.where)
		if len(flaws) > 0 {
			t.Errorf("%s: %+v", tt.where, flaws)
			continue
		}
		if got := w.Match(full()); got != tt.full {
			t.Errorf("%s: full indicator: %v", tt.where, got)
		}
		if got := w.Match(&intel.Indicator{}); got != tt.empty {
			t.Errorf("%s: empty indicator: %v", tt.where, got)
		}
		again, flaws := compileAt(t, w.String())
		if len(flaws) > 0 || again.String() != w.String() {
			t.Errorf("%s: canonical form %s is not stable: %v", tt.where, w, flaws)
		} else if again.Match(full()) != tt.full || again.Match(&intel.Indicator{}) != tt.empty {
			t.Errorf("%s: canonical form %s means something else", tt.where, w)
		}
	}
}

func TestWhereShortCircuit(t *testing.T) {
	calls := 0
	counting := boolValue(func(*intel.Indicator) bool { calls++; return true })
	attributes["counting"] = counting
	defer delete(attributes, "counting")
	for _, text := range []string{
		"false && indicator.counting", "true || indicator.counting", "true ? true : indicator.counting",
	} {
		w, flaws := compileAt(t, text)
		if len(flaws) > 0 {
			t.Fatal(flaws)
		}
		w.Match(&intel.Indicator{})
		if calls != 0 {
			t.Errorf("%s: the other side is evaluated", text)
		}
	}
}

func TestWhereFlaws(t *testing.T) {
	tests := []struct {
		where string
		want  []string // "column: part of the text"
	}{
		{"indicator.name", []string{"1: this is text"}},
		{"5", []string{"1: this is a number"}},
		{"null", []string{"1: this is null"}},
		{`"yes"`, []string{"1: this is text"}},
		{"[]", []string{"1: this is a list"}},
		{"indicator", []string{"1: indicator.NAME"}},
		{"indicator.confidenc > 5", []string{"1: did you mean confidence?"}},
		{"indicator.zzzzzzzzzz == null", []string{"1: there are collection, confidence"}},
		{"indicator.labels[0] == \"x\"", []string{"1: lists have no indices"}},
		{"indicator.labels.x == \"x\"", []string{"1: lists have no indices"}},
		{"indicator.name.x == \"x\"", []string{"1: indicator.name has no attributes"}},
		{"confidence > 5", []string{"1: write indicator.confidence"}},
		{"indicator.tlp == red", []string{`18: text is written in quotes`}},
		{"indicator.confidence > \"50\"", []string{"1: a number and text have no order"}},
		{"indicator.confidence == \"50\"", []string{"1: a number never equals text"}},
		{"indicator.name > \"a\"", []string{"1: > wants numbers, times or TLP levels"}},
		{"indicator.revoked < true", []string{"1: < wants"}},
		{"indicator.confidence < null", []string{"1: a number and null have no order"}},
		{`indicator.name == ""`, []string{"1: compare with null"}},
		{`indicator.labels == indicator.labels`, []string{"1: lists can not be compared"}},
		{`indicator.labels == "x"`, []string{"1: lists can not be compared"}},
		{`indicator.tlp == "purple"`, []string{`18: "purple" is no TLP level`}},
		{`indicator.tlp == indicator.name`, []string{"18: text can not be compared with a TLP level"}},
		{`indicator.created > "soon"`, []string{`21: "soon" is no time`}},
		{`indicator.created > indicator.name`, []string{"21: text can not be compared with a time"}},
		{`indicator.created > 5`, []string{"1: a time and a number have no order"}},
		{`indicator.confidence && true`, []string{"1: && and || want true or false"}},
		{`!indicator.name`, []string{"1: ! wants true or false"}},
		{`-indicator.confidence > 3`, []string{"1: no arithmetic"}},
		{`indicator.confidence + 1 > 3`, []string{"1: no arithmetic"}},
		{`indicator.confidence ? true : false`, []string{"1: a condition has to be"}},
		{`true ? 1 : "a"`, []string{"1: the two results are a number and text"}},
		{`(true ? null : null) == null`, []string{"2: the two results"}},
		{`contains(indicator.name, "a")`, []string{"10: strcontains(x, text)"}},
		{`contains(5, "a")`, []string{"10: contains wants a list"}},
		{`contains(indicator.labels, 5)`, []string{"28: contains wants text"}},
		{`contains(indicator.labels)`, []string{"1: contains takes 2 arguments"}},
		{`contains(indicator.labels...)`, []string{"1: contains takes 2 arguments"}},
		{`contains(["a", 5], "a")`, []string{"16: a list holds text only"}},
		{`contains(indicator.observable_types, "ipv4")`, []string{"38: did you mean ipv4-addr?"}},
		{`anyof(indicator.observable_types, ["file", "hash"])`, []string{`35: "hash" is no observable type`}},
		{`anyof(indicator.labels, "x")`, []string{"25: anyof wants a list"}},
		{`contains(["amber", "pink"], indicator.tlp)`, []string{`10: "pink" is no TLP level`}},
		{`startswith(indicator.labels, "x")`, []string{"12: startswith wants text"}},
		{`matches("(", indicator.name)`, []string{"9: invalid regular expression"}},
		{`matches(indicator.name, "x")`, []string{"9: written out"}},
		{`length(indicator.confidence) > 1`, []string{"8: a list or text"}},
		{`lower(indicator.labels) == "x"`, []string{"7: lower wants text"}},
		{`indicator.created > ago("a while")`, []string{`25: invalid duration "a while"`}},
		{`indicator.created > ago(indicator.name)`, []string{"25: written out"}},
		{`startwith(indicator.name, "x")`, []string{"1: did you mean startswith(x, text)?"}},
		{`regex(indicator.name, "x")`, []string{"1: there are ago(duration), anyof"}},
		{`indicator.name == "a${indicator.id}"`, []string{"19: plain text only"}},
		{`"${indicator.revoked}"`, []string{"1: without quotes"}},
		{`{a = 1} == null`, []string{"1: can not be used"}},
		{`[for x in indicator.labels : x] == null`, []string{"1: can not be used"}},
		{`indicator.labels[*] == null`, []string{"1: lists have no indices"}},
		{"indicator.a && indicator.b || !indicator.c", []string{`1: no "a"`, `16: no "b"`, `32: no "c"`}},
	}
	for _, tt := range tests {
		_, flaws := compileAt(t, tt.where)
		if len(flaws) != len(tt.want) {
			t.Errorf("%s: %d flaws, want %d: %+v", tt.where, len(flaws), len(tt.want), flaws)
			continue
		}
		_, err := ParseWhere(tt.where)
		for i, want := range tt.want {
			column, part, _ := strings.Cut(want, ": ")
			lines := strings.Split(err.Error(), "\n")
			if !strings.Contains(lines[i], "column "+column+": ") || !strings.Contains(lines[i], part) {
				t.Errorf("%s: flaw %d is %q, want %q", tt.where, i, lines[i], want)
			}
		}
	}
}

// TestWhereString: spacing, line breaks and comments do not make another
// filter.
func TestWhereString(t *testing.T) {
	tests := []struct{ text, want string }{
		{`indicator.confidence>=50&&indicator.tlp!="red"`, `indicator.confidence >= 50 && indicator.tlp != "red"`},
		{"( # why\n indicator.revoked\n || // or\n true )", `(indicator.revoked || true)`},
		{`anyof( indicator.labels,["a","b\n$${x}"] )`, `anyof(indicator.labels, ["a", "b\n$${x}"])`},
		{`indicator.confidence> -0.5`, `indicator.confidence > -0.5`},
		{`true?false:indicator.name==null`, `true ? false : indicator.name == null`},
		{`! true`, `!true`},
	}
	for _, tt := range tests {
		w, err := ParseWhere(tt.text)
		if err != nil || w.String() != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.text, w, err, tt.want)
		}
	}
	var none *Where
	if !none.Match(&intel.Indicator{}) || none.String() != "" {
		t.Error("a nil filter does not let everything pass")
	}
	for _, bad := range []string{"", "indicator.name ==", "(((", strings.Repeat("!", 1000) + "true", strings.Repeat("(", 1000)} {
		if _, err := ParseWhere(bad); err == nil {
			t.Errorf("%.20q is accepted", bad)
		}
	}
}

// TestWhereAllocates holds the hot path free of garbage.
func TestWhereAllocates(t *testing.T) {
	w, err := ParseWhere(`indicator.confidence >= 50 && indicator.tlp != "red" && anyof(indicator.labels, ["x", "c2"]) && contains(indicator.observable_types, "file") && indicator.created < ago("1h")`)
	if err != nil {
		t.Fatal(err)
	}
	ind := full()
	if n := testing.AllocsPerRun(100, func() {
		if !w.Match(ind) {
			t.Fatal("no match")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzWhere(f *testing.F) {
	for _, s := range []string{
		`indicator.confidence >= 50 && indicator.tlp != "red"`,
		`anyof(indicator.labels, ["a"]) ? indicator.created > ago("3d") : matches("^a", lower(indicator.name))`,
		`!(indicator.labels == null) || length(indicator.observable_types) > -1.5e3`,
		`contains(["a${"b"}", "\u00e4"], indicator.id)`, `indicator.labels[0]`, `[for x in y : x]`, "<<E\na\nE\n",
	} {
		f.Add(s)
	}
	ind, empty := full(), &intel.Indicator{}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWhere(text)
		if err != nil {
			return
		}
		a, b := w.Match(ind), w.Match(empty)
		again, err := ParseWhere(w.String())
		if err != nil {
			t.Fatalf("canonical form %q: %v", w, err)
		}
		if again.String() != w.String() || again.Match(ind) != a || again.Match(empty) != b {
			t.Errorf("canonical form %q is another filter: %q", w, again)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		`feed "a" { discovery_url = "https://x.example/" }`, `sink "file" "a" { path = env("HOME") }`, "route \"r\" {\n from = [feed.a]\n where = true\n}",
		"auth {\n token = <<E\nx\n", "http { listen = \"[::1]:1\" }", "feed \"a\" {\n tls {\n min_version = 1.2\n}\n}", "\xef\xbb\xbf# x", "a=b[", "\"${\"${",
	} {
		f.Add([]byte(s))
	}
	kinds := testKinds()
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, report := load("fuzz.hcl", text, 0o600, kinds)
		if (cfg == nil) != report.HasErrors() {
			t.Errorf("configuration %v, errors %v", cfg, report.HasErrors())
		}
		report.Summary()
		report.WriteTo(discard{}, true, 20)
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
