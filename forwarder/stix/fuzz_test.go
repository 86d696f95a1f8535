package stix

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{
		"", "[", "(((", "[a:b=1]", "[a:b='x\\'y'] OR ([c:d NOT IN (1,2.5,true)] AND [EXISTS e:f]) WITHIN 5 SECONDS",
		"[a:b[*].'c-d'[0] LIKE 'x%'] START t'2020-01-01T00:00:00Z' STOP '2020-01-01T00:00:00Z' REPEATS 2 TIMES",
		"[(ipv4-addr:value = '192.0.2.1/24' OR domain-name:value='hxxp://a[.]b') AND network-traffic:dst_port = 443]",
		"[file:hashes.MD5='" + md5a + "' AND file:name='a' AND file:parent_directory_ref.path='C:']",
		"/**/[a:b=h'00']//\n FOLLOWEDBY [a:b=b'AQ==']", "[a:b='\xff']", "[url:value='a,b://c']", "[ipv4-addr:value IN ('192.0.2.1,::1','[::1]:2')]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := Explain(s)
		if _, err := json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		if e.Offset < 0 || e.Offset > len(s) || e.Valid == (e.Error != "") {
			t.Fatalf("%q: %+v", s, e)
		}
		ind := indicator(s)
		Derive(ind)
		checkInvariants(t, ind)
		p, err := ParsePattern(s)
		if err != nil {
			return
		}
		// White space around tokens changes nothing but offsets.
		q, err := ParsePattern(" /*x*/ " + s + "\n//x")
		if err != nil || ast(t, q) != ast(t, p) {
			t.Fatalf("%q: surrounded by space: %v", s, err)
		}
		if strings.Count(s, "(") > 90 {
			return
		}
		// A group of the whole is the whole.
		if q, err = ParsePattern("(" + s + "\n)"); err != nil || ast(t, q) != ast(t, p) {
			t.Fatalf("%q: in parentheses: %v", s, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleIndicator))
	for _, raw := range everything {
		f.Add(raw)
	}
	f.Add([]byte(`{"type":"indicator","id":"i","confidence":"high","labels":"x","revoked":1e9,"modified":null,"modified":"\u0032020"}`))
	f.Add([]byte("{\"type\":\"\\ud800\",\"id\":\"\xff\",\"id\":\"y\",\"z\":[{},[],-0.5e-7]}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := DecodeObject(raw)
		// What is accepted is JSON, and what is refused as no JSON is none.
		value := jsontext.Value(raw)
		valid := value.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) && value.Kind() == '{'
		refused := err != nil && !strings.HasSuffix(err.Error(), "no type") && !strings.HasSuffix(err.Error(), "no id")
		if valid == refused {
			t.Fatalf("%q: %v, jsontext says %v", raw, err, valid)
		}
		DigestContext([][]byte{raw})
		ind, _, errInd := DecodeIndicator(raw)
		if errInd != nil {
			if err == nil && o.Type == "indicator" {
				t.Fatalf("%q: an object, but no indicator: %v", raw, errInd)
			}
			return
		}
		if err != nil || o.ID != ind.ID || o.Version() != ind.Version() || o.Revoked != ind.Revoked || !o.ValidUntil.Equal(ind.ValidUntil) {
			t.Fatalf("%q: object %+v (%v), indicator %+v", raw, o, err, ind)
		}
		Enrich(ind, [][]byte{raw})
		Derive(ind)
		checkInvariants(t, ind)
		for _, s := range slices.Concat([]string{ind.ID, ind.Name, ind.Pattern, ind.PatternType}, ind.Labels, ind.MarkingRefs) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q: %q is not UTF-8", raw, s)
			}
		}
		out, err := json.Marshal(ind)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		var back intel.Indicator
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	})
}

// rfc3339 is stricter than time.Parse, which also takes hours of one digit and
// offsets of 24:60.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2020-01-02T03:04:05.678Z", "2020-01-02", "9999-12-31T23:59:60-23:59", "0000-01-01T00:00:00+23:59", "2020-01-02 03:04:05,1+0100", "2016-12-31T23:59:60Z",
		"2020-01-02T3:04:05Z", "2020-01-02T03:04:05+24:60"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime(s)
		want, errStd := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			if errStd == nil && rfc3339.MatchString(s) {
				t.Fatalf("%q: %v, the standard library reads %s", s, err, want)
			}
			return
		}
		if _, err := got.MarshalJSON(); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if errStd == nil && !got.Equal(want) && want.UTC().Year() >= 0 && want.UTC().Year() <= 9999 {
			t.Fatalf("%q: got %s, want %s", s, got, want)
		}
		again, err := ParseTime(got.Format(time.RFC3339Nano))
		if err != nil || !again.Equal(got) {
			t.Fatalf("%q: %s reads back as %s, %v", s, got, again, err)
		}
	})
}
