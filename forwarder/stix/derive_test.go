package stix

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

func indicator(pattern string) *intel.Indicator {
	return &intel.Indicator{ID: "indicator--1", Pattern: pattern, PatternType: "stix"}
}

// shape writes what Derive found, an observable a line as
// "type value {field=value …} fidelity", then the indicator's fidelity and reason.
func shape(ind *intel.Indicator) string {
	var b strings.Builder
	for _, o := range ind.Observables {
		fmt.Fprintf(&b, "%s %s", o.Type, o.Value)
		if len(o.Fields) > 0 {
			var fields []string
			for _, f := range o.Fields {
				fields = append(fields, f.Name+"="+f.Value)
			}
			fmt.Fprintf(&b, " {%s}", strings.Join(fields, " "))
		}
		fmt.Fprintf(&b, " %s\n", o.Fidelity)
	}
	return b.String() + strings.TrimSpace(string(ind.Fidelity)+" "+ind.FidelityReason)
}

const (
	md5a    = "d41d8cd98f00b204e9800998ecf8427e"
	md5b    = "0cc175b9c0f1b6a831c399e269772661"
	sha1a   = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	sha256a = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

type deriveCase struct{ name, pattern, want string }

func runDerive(t *testing.T, cases []deriveCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ind := indicator(c.pattern)
			Derive(ind)
			got, want := shape(ind), strings.TrimSpace(strings.ReplaceAll(c.want, "\n\t\t", "\n"))
			if got != want {
				t.Errorf("%s\n got: %s\nwant: %s", c.pattern, got, want)
			}
			checkInvariants(t, ind)
		})
	}
}

// checkInvariants holds for the outcome of every pattern there is.
func checkInvariants(t testing.TB, ind *intel.Indicator) {
	t.Helper()
	seen := map[intel.Ref]bool{}
	for _, o := range ind.Observables {
		if o.Type == "" || o.Value == "" || o.Type == intel.TypePort {
			t.Errorf("%.200q: observable %q %q", ind.Pattern, o.Type, o.Value)
		}
		if seen[o.Ref()] {
			t.Errorf("%.200q: two observables are %s", ind.Pattern, o.Ref())
		}
		seen[o.Ref()] = true
		if o.Fidelity != intel.FidelityExact && o.Fidelity != intel.FidelitySuperset {
			t.Errorf("%.200q: %s is %q", ind.Pattern, o.Ref(), o.Fidelity)
		}
		if o.Fidelity != intel.FidelityExact && ind.Fidelity == intel.FidelityExact {
			t.Errorf("%.200q: exact with a part that is not", ind.Pattern)
		}
	}
	if (len(seen) == 0) != (ind.Fidelity == intel.FidelityUnsupported) {
		t.Errorf("%.200q: %d observables, %s", ind.Pattern, len(seen), ind.Fidelity)
	}
	if (ind.FidelityReason == "") != (ind.Fidelity == intel.FidelityExact) {
		t.Errorf("%.200q: %s for reason %q", ind.Pattern, ind.Fidelity, ind.FidelityReason)
	}
	if ind.FidelityReason != "" && !slices.Contains(Reasons(), ind.FidelityReason) {
		t.Errorf("%.200q: reason %q is not in the list", ind.Pattern, ind.FidelityReason)
	}
}

// TestDeriveShapes covers every shape of pattern and what becomes of it.
func TestDeriveShapes(t *testing.T) {
	runDerive(t, []deriveCase{
		{"one", `[domain-name:value = 'a.example.com']`, `domain-name a.example.com exact
		exact`},
		{"or inside", `[ipv4-addr:value='192.0.2.1' OR domain-name:value='a.example.com']`, `ipv4-addr 192.0.2.1 exact
		domain-name a.example.com exact
		exact`},
		{"or outside", `[ipv4-addr:value='192.0.2.1'] OR [domain-name:value='a.example.com']`, `ipv4-addr 192.0.2.1 exact
		domain-name a.example.com exact
		exact`},
		{"in", `[ipv4-addr:value IN ('192.0.2.1','192.0.2.2')]`, `ipv4-addr 192.0.2.1 exact
		ipv4-addr 192.0.2.2 exact
		exact`},
		{"empty in", `[ipv4-addr:value IN ()]`, `unsupported no_observable`},
		{"like without wildcard", `[domain-name:value LIKE 'a.example.com']`, `domain-name a.example.com exact
		exact`},
		{"double negation", `[domain-name:value NOT != 'a.example.com']`, `domain-name a.example.com exact
		exact`},
		{"guard", `[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1']`, `ipv4-addr 192.0.2.1 {direction=dst} exact
		exact`},
		{"guard alone", `[network-traffic:dst_ref.type = 'ipv4-addr']`, `unsupported no_observable`},
		{"several hashes", `[file:hashes.MD5='` + md5a + `' AND file:hashes.'SHA-256'='` + sha256a + `' AND file:hashes.'SHA-1'='` + sha1a + `']`,
			`file ` + sha256a + ` {hash.md5=` + md5a + ` hash.sha256=` + sha256a + ` hash.sha1=` + sha1a + `} exact
		exact`},
		{"alternative hashes", `[file:hashes.MD5='` + md5a + `' OR file:hashes.'SHA-1'='` + sha1a + `']`, `file ` + md5a + ` {hash.md5=` + md5a + `} exact
		file ` + sha1a + ` {hash.sha1=` + sha1a + `} exact
		exact`},
		{"hash, name, size", `[file:hashes.MD5='` + md5a + `' AND file:name='a.exe' AND file:size=12]`, `file ` + md5a + ` {hash.md5=` + md5a + ` name=a.exe size=12} superset
		superset extra_conditions`},
		{"name and directory", `[file:name='a.exe' AND file:parent_directory_ref.path='C:\\Temp']`, `file C:\Temp\a.exe {name=a.exe path=C:\Temp\a.exe directory=C:\Temp} exact
		exact`},
		{"unix name and directory", `[file:parent_directory_ref.path='/tmp/' AND file:name='a']`, `file /tmp/a {directory=/tmp/ name=a path=/tmp/a} exact
		exact`},
		{"address and port", `[network-traffic:dst_ref.value='192.0.2.1' AND network-traffic:dst_port=443 AND network-traffic:protocols[*]='TCP']`,
			`ipv4-addr 192.0.2.1 {direction=dst dst_port=443 protocol=tcp} superset
		superset extra_conditions`},
		{"several ports stay one record", `[network-traffic:dst_port IN (80,443) AND network-traffic:dst_ref.value='192.0.2.1']`,
			`ipv4-addr 192.0.2.1 {dst_port=80 dst_port=443 direction=dst} superset
		superset extra_conditions`},
		{"two ends", `[network-traffic:src_ref.value='192.0.2.9' AND network-traffic:dst_ref.value='198.51.100.1']`,
			`ipv4-addr 198.51.100.1 {network-traffic:src_ref.value=192.0.2.9 direction=dst} superset
		superset extra_conditions`},
		{"port alone", `[network-traffic:dst_port=443]`, `unsupported no_observable`},
		{"resolved address never alone", `[domain-name:resolves_to_refs[*].value='192.0.2.1']`, `unsupported no_observable`},
		{"domain and resolved address", `[domain-name:value='a.example.com' AND domain-name:resolves_to_refs[*].value='192.0.2.1/32']`,
			`domain-name a.example.com {resolves_to=192.0.2.1} superset
		superset extra_conditions`},
		{"key and value", `[windows-registry-key:key='HKLM\\Software\\X' AND windows-registry-key:values[*].name='Run' AND windows-registry-key:values[0].data='a.exe']`,
			`windows-registry-key HKEY_LOCAL_MACHINE\Software\X {key=HKEY_LOCAL_MACHINE\Software\X value_name=Run value_data=a.exe} superset
		superset extra_conditions`},
		{"account", `[user-account:account_type='Windows-Local' AND user-account:user_id='1001' AND user-account:account_login='bob']`,
			`user-account 1001 {account_type=windows-local user_id=1001 account_login=bob} superset
		superset extra_conditions`},
		{"certificate", `[x509-certificate:issuer='CN=Example CA' AND x509-certificate:serial_number='02:08:87:83']`,
			`x509-certificate 02088783 {issuer=CN=Example CA serial_number=02088783} superset
		superset extra_conditions`},
		{"unnamed condition keeps its path", `[file:hashes.MD5='` + md5a + `' AND file:extensions.'windows-pebinary-ext'.pe_type='dll']`,
			`file ` + md5a + ` {hash.md5=` + md5a + ` file:extensions.'windows-pebinary-ext'.pe_type=dll} superset
		superset extra_conditions`},
		{"cross type", `[domain-name:value='a.example.com' AND ipv4-addr:value='192.0.2.1']`, `unsupported cross_type`},
		{"contradiction", `[domain-name:value='a.example.com' AND domain-name:value='b.example.com']`, `unsupported contradiction`},
		{"range within range", `[ipv4-addr:value ISSUBSET '198.51.100.0/24' AND ipv4-addr:value ISSUBSET '198.51.100.128/25']`, `ipv4-addr 198.51.100.128/25 exact
		exact`},
		{"negation alone", `[ipv4-addr:value != '192.0.2.1']`, `unsupported negation`},
		{"not in", `[ipv4-addr:value NOT IN ('192.0.2.1')]`, `unsupported negation`},
		{"negated branch drops alone", `[ipv4-addr:value='192.0.2.1' OR ipv4-addr:value != '192.0.2.2']`, `ipv4-addr 192.0.2.1 exact
		superset negation`},
		{"negation beside", `[file:hashes.MD5='` + md5a + `' AND file:name != 'a.exe']`, `file ` + md5a + ` {hash.md5=` + md5a + `} superset
		superset negation`},
		{"like", `[domain-name:value LIKE '%.example.com']`, `unsupported like_or_matches`},
		{"matches", `[file:name MATCHES '^a.+exe$']`, `unsupported like_or_matches`},
		{"ordering", `[file:size > 12]`, `unsupported ordering`},
		{"exists", `[EXISTS file:name]`, `unsupported exists`},
		{"issubset", `[network-traffic:src_ref.value ISSUBSET '198.51.100.77/24']`, `ipv4-addr 198.51.100.0/24 {direction=src} exact
		exact`},
		{"issuperset", `[ipv4-addr:value ISSUPERSET '198.51.100.1']`, `unsupported issuperset`},
		{"distributed", `[(file:hashes.MD5='` + md5a + `' OR file:hashes.MD5='` + md5b + `') AND file:size=3]`,
			`file ` + md5a + ` {hash.md5=` + md5a + ` size=3} superset
		file ` + md5b + ` {hash.md5=` + md5b + ` size=3} superset
		superset extra_conditions`},
		{"same value merges", `[domain-name:value='a.example.com' OR domain-name:value='A.example.com.']`, `domain-name a.example.com exact
		exact`},
		{"exact wins over superset", `[network-traffic:dst_ref.value='192.0.2.1' AND network-traffic:dst_port=1] OR [ipv4-addr:value='192.0.2.1']`, `ipv4-addr 192.0.2.1 exact
		exact`},
		{"observation and", `[domain-name:value='a.example.com'] AND [ipv4-addr:value='192.0.2.1'] AND [process:name='cmd.exe']`, `domain-name a.example.com superset
		ipv4-addr 192.0.2.1 superset
		superset observation_and`},
		{"followed by", `[domain-name:value='a.example.com'] FOLLOWEDBY [ipv4-addr:value='192.0.2.1']`, `domain-name a.example.com superset
		ipv4-addr 192.0.2.1 superset
		superset followed_by`},
		{"repeats", `[domain-name:value='a.example.com'] REPEATS 5 TIMES`, `domain-name a.example.com superset
		superset repeats`},
		{"repeats once", `[domain-name:value='a.example.com'] REPEATS 1 TIMES`, `domain-name a.example.com exact
		exact`},
		{"within", `[domain-name:value='a.example.com'] WITHIN 5 SECONDS`, `domain-name a.example.com superset
		superset within`},
		{"window on a part", `[domain-name:value='a.example.com'] OR [domain-name:value='b.example.com'] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'`,
			`domain-name a.example.com exact
		domain-name b.example.com superset
		superset start_stop`},
		{"unknown type", `[x-gadget:id='1']`, `unsupported unknown_type`},
		{"malformed hash costs itself only", `[file:hashes.MD5='blah' OR file:hashes.MD5='` + md5a + `']`, `file ` + md5a + ` {hash.md5=` + md5a + `} exact
		superset invalid_value`},
		{"invalid", `[domain-name:value='a.example.com'`, `unsupported invalid_pattern`},
		{"sender and subject", `[email-message:from_ref.value='Bob@EXAMPLE.com' AND email-message:subject='hi']`, `email-addr Bob@example.com {email_role=from subject=hi} superset
		superset extra_conditions`},
		{"attachment", `[email-message:body_multipart[*].body_raw_ref.hashes.MD5='` + md5a + `']`, `file ` + md5a + ` {hash.md5=` + md5a + `} superset
		superset extra_conditions`},
		{"user agent", `[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'='Example/1.0' AND network-traffic:extensions.'http-request-ext'.request_method='post']`,
			`user-agent Example/1.0 {user_agent=Example/1.0 request_method=post} superset
		superset extra_conditions`},
	})
}

// TestDeriveTypes takes one pattern of every observable type.
func TestDeriveTypes(t *testing.T) {
	runDerive(t, []deriveCase{
		{"ipv6", `[ipv6-addr:value='2001:DB8:0::1']`, "ipv6-addr 2001:db8::1 exact\nexact"},
		{"artifact", `[artifact:hashes.MD5='` + md5a + `']`, "artifact " + md5a + " {hash.md5=" + md5a + "} exact\nexact"},
		{"content", `[file:content_ref.hashes.MD5='` + md5a + `']`, "file " + md5a + " {hash.md5=" + md5a + "} exact\nexact"},
		{"certificate hash", `[x509-certificate:hashes.'SHA-1'='` + sha1a + `']`, "x509-certificate " + sha1a + " {hash.sha1=" + sha1a + "} exact\nexact"},
		{"directory", `[directory:path='C:\\X']`, "directory C:\\X {path=C:\\X} exact\nexact"},
		{"file path", `[file:path='/private/var/x']`, "file /private/var/x {path=/private/var/x} exact\nexact"},
		{"file name", `[file:name='a.exe']`, "file a.exe {name=a.exe} exact\nexact"},
		{"path as file name", `[file:name='/tmp/a']`, "file /tmp/a {path=/tmp/a} exact\nexact"},
		{"email", `[email-addr:value='a@Example.COM']`, "email-addr a@example.com exact\nexact"},
		{"recipient", `[email-message:to_refs[*].value='a@example.com']`, "email-addr a@example.com {email_role=to} exact\nexact"},
		{"subject", `[email-message:subject='Final notice']`, "email-message Final notice {subject=Final notice} exact\nexact"},
		{"command line", `[process:command_line='a -b']`, "process a -b {command_line=a -b} exact\nexact"},
		{"process", `[process:name='bh']`, "process bh {name=bh} exact\nexact"},
		{"process image", `[process:image_ref.name='bh']`, "process bh {name=bh} exact\nexact"},
		{"process hash", `[process:image_ref.hashes.MD5='` + md5a + `']`, "file " + md5a + " {hash.md5=" + md5a + "} superset\nsuperset extra_conditions"},
		{"mutex", `[mutex:name='Global\\x']`, "mutex Global\\x {name=Global\\x} exact\nexact"},
		{"asn number", `[autonomous-system:number=64496]`, "autonomous-system 64496 {number=64496} exact\nexact"},
		{"asn string", `[autonomous-system:number='AS64496']`, "autonomous-system 64496 {number=64496} exact\nexact"},
		{"mac", `[mac-addr:value='00-00-5E-00-53-AF']`, "mac-addr 00:00:5e:00:53:af exact\nexact"},
		{"software", `[software:name='Word' AND software:version='2002']`, "software Word {name=Word software:version=2002} superset\nsuperset extra_conditions"},
		{"cpe", `[software:cpe='cpe:2.3:a:example:x:1:*:*:*:*:*:*:*']`, "software cpe:2.3:a:example:x:1:*:*:*:*:*:*:* {cpe=cpe:2.3:a:example:x:1:*:*:*:*:*:*:*} exact\nexact"},
	})
}

func TestDeriveOtherPatternTypes(t *testing.T) {
	for _, typ := range []string{"yara", "sigma", "snort", "suricata", "pcre"} {
		ind := indicator("rule x { condition: true }")
		ind.PatternType = typ
		Derive(ind)
		if got := shape(ind); got != "unsupported pattern_type" {
			t.Errorf("%s: %s", typ, got)
		}
	}
	ind := indicator("")
	Derive(ind)
	if got := shape(ind); got != "unsupported no_pattern" {
		t.Error(got)
	}
}

func TestDeriveNarrowsTheValidityWindow(t *testing.T) {
	at := func(s string) time.Time { v, _ := ParseTime(s); return v }
	const window = `([domain-name:value='a.example.com'] OR [domain-name:value='b.example.com']) START t'2020-02-01T00:00:00Z' STOP '2020-03-01T00:00:00Z'`
	for _, c := range []struct{ from, until, wantFrom, wantUntil string }{
		{"2020-01-01", "", "2020-02-01", "2020-03-01"},
		{"2020-02-10", "2020-02-20", "2020-02-10", "2020-02-20"},
		{"2020-01-01", "2021-01-01", "2020-02-01", "2020-03-01"},
	} {
		ind := indicator(window)
		ind.ValidFrom = at(c.from)
		if c.until != "" {
			ind.ValidUntil = at(c.until)
		}
		for range 2 {
			Derive(ind)
			if !ind.ValidFrom.Equal(at(c.wantFrom)) || !ind.ValidUntil.Equal(at(c.wantUntil)) {
				t.Errorf("%+v: got %s to %s", c, ind.ValidFrom, ind.ValidUntil)
			}
			if ind.Fidelity != intel.FidelityExact || len(ind.Observables) != 2 {
				t.Error(shape(ind))
			}
		}
	}
}

func TestDeriveExpansion(t *testing.T) {
	alternatives := func(n, from int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf("file:hashes.MD5='%032x'", from+i))
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	}
	names := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf("file:name='n%d'", i))
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	}
	for _, c := range []struct {
		name, pattern string
		observables   int
		reason        string
	}{
		{"at the cap", "[" + alternatives(100, 0) + " AND " + names(10) + "]", 100, ReasonExtraConditions},
		{"beyond the cap", "[" + alternatives(101, 0) + " AND " + names(10) + "]", 0, ReasonTooComplex},
		{"beyond the cap in one branch", "[" + alternatives(101, 0) + " AND " + names(10) + "] OR [domain-name:value='a.example.com']", 1, ReasonTooComplex},
		{"the cap is for all branches", "[" + alternatives(60, 0) + " AND " + names(10) + "] OR [" + alternatives(60, 1000) + " AND " + names(10) + "]", 60, ReasonTooComplex},
		{"alternatives have none", "[" + alternatives(5000, 0) + "]", 5000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ind := indicator(c.pattern)
			Derive(ind)
			if len(ind.Observables) != c.observables || ind.FidelityReason != c.reason {
				t.Errorf("got %d observables, %s %q", len(ind.Observables), ind.Fidelity, ind.FidelityReason)
			}
			checkInvariants(t, ind)
		})
	}
}
