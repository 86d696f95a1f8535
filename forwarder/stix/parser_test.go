package stix

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func ast(t *testing.T, p *Pattern) string {
	t.Helper()
	b, err := json.Marshal(observationAST(p.Root))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b))
}

// TestParse takes what the specification (2.1 §9) says beyond examples:
// precedence, qualifiers, literals, white space.
func TestParse(t *testing.T) {
	const a, b, c, d = `["obs",["cmp","=",false,["a","b"],"1"]]`, `["obs",["cmp","=",false,["a","b"],"2"]]`, `["obs",["cmp","=",false,["a","b"],"3"]]`, `["obs",["cmp","=",false,["a","b"],"4"]]`
	cmp := func(op, negated, literal string) string {
		return `["obs",["cmp","` + op + `",` + negated + `,["a","b"],` + literal + `]]`
	}
	for _, tc := range []struct{ pattern, want string }{
		// AND binds tighter than OR, OR than FOLLOWEDBY.
		{`[a:b=1] FOLLOWEDBY [a:b=2] OR [a:b=3] AND [a:b=4]`, `["followedby",` + a + `,["or",` + b + `,["and",` + c + `,` + d + `]]]`},
		{`([a:b=1] FOLLOWEDBY [a:b=2]) AND [a:b=3]`, `["and",["followedby",` + a + `,` + b + `],` + c + `]`},
		{`[a:b=1 OR a:c=2 AND a:d=3]`, `["obs",["or",["cmp","=",false,["a","b"],"1"],["and",["cmp","=",false,["a","c"],"2"],["cmp","=",false,["a","d"],"3"]]]]`},
		{`[(a:b=1 OR a:c=2) AND a:d=3]`, `["obs",["and",["or",["cmp","=",false,["a","b"],"1"],["cmp","=",false,["a","c"],"2"]],["cmp","=",false,["a","d"],"3"]]]`},
		// Chains are flat to the left, groups on the right stay.
		{`([a:b=1] AND [a:b=2]) AND [a:b=3]`, `["and",` + a + `,` + b + `,` + c + `]`},
		{`[a:b=1] AND ([a:b=2] AND [a:b=3])`, `["and",` + a + `,["and",` + b + `,` + c + `]]`},
		// A qualifier belongs to the nearest observation or group.
		{`[a:b=1] AND [a:b=2] WITHIN 5 SECONDS`, `["and",` + a + `,["within",` + b + `,"5"]]`},
		{`([a:b=1] AND [a:b=2]) WITHIN 5.5 SECONDS REPEATS 2 TIMES`, `["repeats",["within",["and",` + a + `,` + b + `],"5.5"],"2"]`},
		{`([a:b=1] WITHIN 5 SECONDS) WITHIN 6 SECONDS`, `["within",["within",` + a + `,"5"],"6"]`},
		{`([a:b=1] AND [a:b=2]) WITHIN 5 SECONDS AND [a:b=3]`, `["and",["within",["and",` + a + `,` + b + `],"5"],` + c + `]`},
		{`[a:b=1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:60.123456789012Z'`, `["startstop",` + a + `,"t'2020-01-01T00:00:00Z'","t'2020-01-01T00:00:60.123456789012Z'"]`},
		// Operators.
		{`[a:b==1]`, cmp("=", "false", `"1"`)},
		{`[a:b<>1]`, cmp("!=", "false", `"1"`)},
		{`[a:b NOT = 1]`, cmp("=", "true", `"1"`)},
		{`[a:b NOT < 1]`, cmp("<", "true", `"1"`)},
		{`[a:b<=1]`, cmp("<=", "false", `"1"`)},
		{`[a:b>=1]`, cmp(">=", "false", `"1"`)},
		{`[a:b LIKE'x']`, cmp("LIKE", "false", `"'x'"`)},
		{`[a:b NOT MATCHES'x']`, cmp("MATCHES", "true", `"'x'"`)},
		{`[a:b NOT IN(1,'x',true)]`, cmp("IN", "true", `["1","'x'","true"]`)},
		{`[a:b IN ()]`, cmp("IN", "false", `[]`)},
		{`[EXISTS a:b]`, cmp("exists", "false", "null")},
		{`[NOT EXISTS a:b]`, cmp("exists", "true", "null")},
		// Literals.
		{`[a:b=-1]`, cmp("=", "false", `"-1"`)},
		{`[a:b=+1]`, cmp("=", "false", `"+1"`)},
		{`[a:b=.5]`, cmp("=", "false", `".5"`)},
		{`[a:b=-01.50]`, cmp("=", "false", `"-01.50"`)},
		{`[a:b=false]`, cmp("=", "false", `"false"`)},
		{`[a:b=h'']`, cmp("=", "false", `"h''"`)},
		{`[a:b=h'0aF9']`, cmp("=", "false", `"h'0aF9'"`)},
		{`[a:b=b'AQ==']`, cmp("=", "false", `"b'AQ=='"`)},
		{`[a:b=t'2020-02-31T23:59:59Z']`, cmp("=", "false", `"t'2020-02-31T23:59:59Z'"`)},
		{`[a:b='it\'s \\ here']`, cmp("=", "false", `"'it\\'s \\\\ here'"`)},
		{"[a:b='line\nbreak']", cmp("=", "false", `"'line\nbreak'"`)},
		{`[a:b='ünï']`, cmp("=", "false", `"'ünï'"`)},
		// Paths.
		{`[x-a_1:b[*].c[0].'d-e'.'f\'g'=1]`, `["obs",["cmp","=",false,["x-a_1","b",{"index":"*"},"c",{"index":"0"},"d-e","f'g"],"1"]]`},
		{`[a-:'b'=1]`, `["obs",["cmp","=",false,["a-","b"],"1"]]`},
		{`[h:t=1]`, `["obs",["cmp","=",false,["h","t"],"1"]]`},
		// White space and comments need not surround anything.
		{"\u00a0[\u2028a : b\u3000=\t1 ] // the end", a},
		{"/* a */[a:b/**/=/* [ */1]//", a},
		{"[a:b=1]// one\r\nAND/*x*/[a:b=2]AND[a:b=3]", `["and",` + a + `,` + b + `,` + c + `]`},
	} {
		p, err := ParsePattern(tc.pattern)
		if err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
			continue
		}
		if got := ast(t, p); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.pattern, got, tc.want)
		}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		offset  int
		message string // a part of it
	}{
		{"", 0, "ends where [ or ( is expected"},
		{"file:size = 1", 0, `[ or ( expected, not "file"`},
		{"[a:b=1", 6, "ends where AND, OR or ] is expected"},
		{"[a:b=1]]", 7, `not "]"`},
		{"[a:b=1] [a:b=2]", 8, "AND, OR, FOLLOWEDBY"},
		{"[file:hashes.SHA-256='x']", 13, "one with a hyphen takes single quotes"},
		{"[NOT a:b=1]", 5, "NOT stands after the path"},
		{"[a:LIKE='x']", 3, "a property name expected"},
		{"[IN:b=1]", 1, "an object path expected"},
		{"[a:b=1 and a:c=2]", 7, `not "and"`},
		{"[a:b='x\\n']", 5, "to write one backslash, write two"},
		{"[a:b='it''s']", 9, "not the string 's'"},
		{"[a:b='x]", 5, "does not end"},
		{`[a:b="x"]`, 5, "strings take single quotes"},
		{"[a:b=01]", 6, `AND, OR or ] expected, not "1"`},
		{"[a:b=5.]", 6, `not "."`},
		{"[a:b=1e5]", 6, `not "e5"`},
		{"[a:b=h'abc']", 5, "malformed literal"},
		{"[a:b=b'']", 5, "malformed literal"},
		{"[a:b=b'A===']", 5, "malformed literal"},
		{"[a:b=t'2020-13-01T00:00:00Z']", 5, "malformed literal"},
		{"[a:b=t'2020-01-01T00:00:61Z']", 5, "malformed literal"},
		{"[a:b=t'2020-01-01T00:00:00']", 5, "malformed literal"},
		{"[a:b<true]", 5, "a literal expected"},
		{"[a:b LIKE 5]", 10, "a string expected"},
		{"[a:b IN (1,)]", 11, "a literal expected"},
		{"[a:b IN (1 2)]", 11, ", or ) expected"},
		{"[a:b=1] WITHIN -5 SECONDS", 15, "a positive number"},
		{"[a:b=1] REPEATS 1.5 TIMES", 16, "a positive whole number"},
		{"[a:b=1] WITHIN 5 HOURS", 17, "SECONDS expected"},
		{"[a:b=1] START t'2020-01-01T00:00:00Z'", 37, "STOP"},
		{"[a:b=1] START '2020' STOP '2021'", 14, "a time stamp"},
		{"[a:b=1] /* x", 8, "a comment that does not end"},
		{"[a:b[x]=1]", 5, "an index or *"},
		{"[:b=1]", 1, "an object path"},
		{"[a=1]", 2, ": after the object type"},
		{"\xff", 0, "[ or ("},
		{strings.Repeat("(", 101) + "[a:b=1]" + strings.Repeat(")", 101), 100, "more than 100 parentheses"},
		{"[" + strings.Repeat("(", 101) + "a:b=1", 101, "more than 100 parentheses"},
		{strings.Repeat("x", MaxPatternBytes+1), MaxPatternBytes, "at most 1048576 are read"},
		{"[a:b IN (1" + strings.Repeat(",1", MaxComparisons) + ")]", 10 + 2*MaxComparisons - 1, "more than 50000 comparisons"},
	} {
		_, err := ParsePattern(tc.pattern)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.80s: got %v", tc.pattern, err)
			continue
		}
		if syntax.Offset != tc.offset || !strings.Contains(syntax.Message, tc.message) {
			t.Errorf("%.80s\n got %d %s\nwant %d %s", tc.pattern, syntax.Offset, syntax.Message, tc.offset, tc.message)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		offset  int // -1 = nothing wrong
	}{
		{"[file:hashes.MD5='x']", 1},
		{"[a:b=1] OR [file:hashes.MD5='x']", 12},
		{"[file:hashes.'SHA-256' IN ('" + sha256a + "','" + sha1a + "')]", 1},
		{"[file:hashes.'SHA-256' IN ('" + sha256a + "','" + sha256a + "')]", -1},
		{"[file:hashes.X='x' OR file:hashes[*]='y']", -1},
		{"[a:b=1] REPEATS 1 TIMES REPEATS 2 TIMES", -1}, // 2.0 allows it
		{"[EXISTS a:b] REPEATS 1 TIMES REPEATS 2 TIMES", 29},
		{"([EXISTS a:b] REPEATS 1 TIMES) REPEATS 2 TIMES", -1},
	} {
		p, err := ParsePattern(tc.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := -1
		if err := p.Check(); err != nil {
			got = err.(*SyntaxError).Offset
		}
		if got != tc.offset {
			t.Errorf("%s: got %d, want %d", tc.pattern, got, tc.offset)
		}
	}
}

func TestPathString(t *testing.T) {
	const path = `x-a:b[*].'c-d'.'it\'s'[0].'AND'.e`
	p, err := ParsePattern("[" + path + "=1]")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Root.Condition.Comparison.Path.String(); got != path {
		t.Errorf("got %s, want %s", got, path)
	}
}

// TestHostileInputIsLinear feeds what makes naive parsers quadratic or worse,
// and allows each far more than linear time takes.
func TestHostileInputIsLinear(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, MaxPatternBytes/len(s)) }
	for name, pattern := range map[string]string{
		"open parentheses":    fill("("),
		"open brackets":       fill("["),
		"unended strings":     "[a:b=" + fill("'\\'")[:MaxPatternBytes-10],
		"unended comments":    fill("/*")[:MaxPatternBytes-1],
		"unended time stamps": "[a:b IN (" + fill("t'2020")[:MaxPatternBytes-20],
		"line comments":       fill("//\n"),
		"spaces":              fill("\u2003"),
		"ors":                 "[a:b=1" + fill(" OR a:b=1")[:9*49_000] + "]",
		"ands":                "[a:b=1" + fill(" AND a:b=1")[:10*49_000] + "]",
		"sets":                "[ipv4-addr:value IN ('192.0.2.1'" + fill(",'192.0.2.1'")[:12*49_000] + ")]",
		"set and chain":       "[a:b=1" + strings.Repeat(" AND a:b=1", 24_000) + " AND ipv4-addr:value IN ('192.0.2.1'" + strings.Repeat(",'192.0.2.2'", 990) + ")]",
		"products":            strings.Repeat("[(a:b=1 OR a:b=2) AND (a:b=1 OR a:b=2) AND (a:b=1 OR a:b=2)] OR ", 8000) + "[a:b=1]",
		"long path":           "[a:b" + fill(".c")[:MaxPatternBytes-20] + "=1]",
		"nested products":     "[" + strings.Repeat("(", 99) + "a:b=1" + strings.Repeat(" OR a:c=1) AND a:d=1", 99) + "]",
		"qualifiers":          "[a:b=1]" + fill(" REPEATS 1 TIMES")[:16*60_000],
	} {
		start := time.Now()
		ind := indicator(pattern)
		Derive(ind)
		checkInvariants(t, ind)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: %d bytes took %s", name, len(pattern), d)
		}
	}
}
