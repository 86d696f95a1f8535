package splunk

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func everyType() *intel.Indicator {
	return testIndicator(2,
		obs(intel.TypeIPv4, "192.0.2.1"),
		obs(intel.TypeIPv4, "198.51.100.0/24"),
		superset(obs(intel.TypeIPv6, "2001:db8::1", intel.FieldDstPort, "443", intel.FieldProtocol, "ipv6", intel.FieldProtocol, "tcp", "network-traffic:x_ja3", "abc")),
		obs(intel.TypeDomain, "bad.example.com"),
		obs(intel.TypeURL, "https://bad.example.com/a?b=c&d='\""),
		obs(intel.TypeUserAgent, "Mozilla/5.0 (Example)", intel.FieldUserAgent, "Mozilla/5.0 (Example)"),
		obs(intel.TypeEmail, "a@example.org", intel.FieldEmailRole, "from"),
		obs(intel.TypeEmailMessage, "Your invoice", intel.FieldSubject, "Your invoice"),
		obs(intel.TypeEmailMessage, "Dear customer", intel.FieldBody, "Dear customer"),
		superset(obs(intel.TypeFile, sha256A, intel.FieldMD5, md5A, intel.FieldSHA1, sha1A, intel.FieldSHA256, sha256A, intel.FieldSSDEEP, ssdeepA, intel.FieldName, "setup.exe", intel.FieldSize, "1024")),
		obs(intel.TypeFile, sha256B, intel.FieldSHA256, sha256B, intel.FieldMD5, md5A),
		obs(intel.TypeFile, ssdeepA, intel.FieldSSDEEP, ssdeepA),
		obs(intel.TypeFile, "invoice.doc", intel.FieldName, "invoice.doc"),
		obs(intel.TypeFile, `C:\Windows\Temp\x.exe`, intel.FieldPath, `C:\Windows\Temp\x.exe`),
		obs(intel.TypeArtifact, sha256B, intel.FieldSHA256, sha256B),
		obs(intel.TypeDirectory, "/var/tmp/.x", intel.FieldPath, "/var/tmp/.x"),
		superset(obs(intel.TypeRegistryKey, `HKEY_LOCAL_MACHINE\Software\Example`, intel.FieldKey, `HKEY_LOCAL_MACHINE\Software\Example`, intel.FieldValueName, "Run", intel.FieldValueData, "x.exe")),
		obs(intel.TypeRegistryKey, "Updater", intel.FieldValueName, "Updater"),
		obs(intel.TypeProcess, "cmd /c x", intel.FieldCommandLine, "cmd /c x"),
		obs(intel.TypeProcess, "x.exe", intel.FieldName, "x.exe"),
		obs(intel.TypeMutex, `Global\x`, intel.FieldName, `Global\x`),
		obs(intel.TypeUserAccount, "svc_x", intel.FieldAccountLogin, "svc_x"),
		obs(intel.TypeCertificate, "03a1", intel.FieldSerialNumber, "03a1", intel.FieldIssuer, "CN=Example CA"),
		obs(intel.TypeCertificate, sha1A, intel.FieldSHA1, sha1A),
		obs(intel.TypeASN, "64496", intel.FieldNumber, "64496"),
		obs(intel.TypeMAC, "00:00:5e:00:53:01"),
		obs(intel.TypeSoftware, "Example Player", intel.FieldName, "Example Player", intel.FieldCPE, "cpe:2.3:a:example:player:1:*:*:*:*:*:*:*"),
		obs("x-unheard-of", "value"),
	)
}

func yara() *intel.Indicator {
	ind := testIndicator(3)
	ind.Observables, ind.Fidelity, ind.FidelityReason = nil, intel.FidelityUnsupported, "pattern_type"
	ind.PatternType, ind.PatternVersion = "yara", ""
	ind.Pattern = "rule example {\n  strings: $a = \"x\"\n  condition: $a\n}"
	return ind
}

func TestEncoderGolden(t *testing.T) {
	plain := EncoderOptions{Index: "threat_intel"}
	lost := testIndicator(5, obs(intel.TypeIPv4, "192.0.2.9"))
	updated := upsert(lost)
	updated.FirstDelivered = testNow.Add(-24 * time.Hour)
	updated.Remove = []intel.Ref{
		{Type: intel.TypeDomain, Value: "gone.example.com"}, {Type: intel.TypeFile, Value: sha256A},
		{Type: intel.TypeFile, Value: "x.exe"}, {Type: intel.TypeRegistryKey, Value: "Updater"}, patternRef,
		{Type: intel.TypeIPv4, Value: "192.0.2.9"}, // still there: not withdrawn
	}
	files := testIndicator(6, obs(intel.TypeFile, sha256A, intel.FieldSHA256, sha256A, intel.FieldMD5, md5A))
	revoked := *files
	revoked.Revoked = true
	unsupported := testIndicator(7)
	unsupported.Observables, unsupported.Fidelity, unsupported.FidelityReason = nil, intel.FidelityUnsupported, "negation"
	unsupported.Pattern = "[ipv4-addr:value != '192.0.2.1']"
	nothing := testIndicator(8)
	nothing.Observables, nothing.Pattern = nil, ""
	nothingLeft := upsert(nothing)
	nothingLeft.Remove = []intel.Ref{{Type: intel.TypeDomain, Value: "gone.example.com"}}

	for _, tt := range []struct {
		name    string
		options EncoderOptions
		change  intel.Change
		want    intel.Outcome
	}{
		{"full", plain, upsert(fullIndicator(obs(intel.TypeIPv4, "192.0.2.1"))), intel.Outcome{Status: intel.Delivered}},
		{"every_type", plain, upsert(everyType()), intel.Outcome{Status: intel.Delivered, Held: []intel.Ref{{Type: intel.TypeFile, Value: md5A}, {Type: intel.TypeFile, Value: sha1A}}}},
		{"metadata", EncoderOptions{Source: "intel \"x\"", SourceType: "my:type", Host: "fw1.example.com"}, upsert(testIndicator(4)), intel.Outcome{Status: intel.Delivered}},
		{"replaced", plain, updated, intel.Outcome{Status: intel.Delivered}},
		{"revoked", plain, withdraw(&revoked, intel.ReasonRevoked), intel.Outcome{Status: intel.Delivered}},
		{"expired_pattern", plain, withdraw(yara(), intel.ReasonExpired), intel.Outcome{Status: intel.Delivered}},
		{"yara", plain, upsert(yara()), intel.Outcome{Status: intel.Delivered, Held: []intel.Ref{patternRef}}},
		{"unsupported", plain, upsert(unsupported), intel.Outcome{Status: intel.Delivered, Held: []intel.Ref{patternRef}}},
		{"no_pattern", plain, nothingLeft, intel.Outcome{Status: intel.Skipped, Reason: "no_pattern", Detail: "the indicator has neither an observable nor a pattern"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := NewEncoder(tt.options)
			got, out := e.Append([]byte("before\n"), &tt.change)
			got, ok := bytes.CutPrefix(got, []byte("before\n"))
			if !ok {
				t.Fatal("Append changed what was there before")
			}
			if !reflect.DeepEqual(out, tt.want) {
				t.Errorf("outcome %+v, want %+v", out, tt.want)
			}
			golden(t, filepath.Join("testdata", tt.name+".golden"), got)
			again, _ := e.Append(nil, &tt.change)
			if !bytes.Equal(again, got) {
				t.Error("the same change gives other events the second time")
			}
		})
	}
}

// golden compares events with a file in which each is indented.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	for line := range bytes.Lines(got) {
		if err := json.Indent(&pretty, line, "", "  "); err != nil {
			t.Fatalf("not JSON: %v: %s", err, line)
		}
		if !bytes.HasSuffix(pretty.Bytes(), []byte("\n")) {
			pretty.WriteByte('\n')
		}
	}
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n")); !bytes.Equal(want, pretty.Bytes()) {
		t.Errorf("differs from %s (run with -update to accept):\n%s", path, diff(string(want), pretty.String()))
	}
}

// diff shows the first lines that differ.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, a, b)
		}
	}
	return ""
}

// TestEncoderItems checks that an item's key follows from feed, id, type and
// value alone, so that a withdrawal meets its upsert.
func TestEncoderItems(t *testing.T) {
	e := NewEncoder(EncoderOptions{})
	keys := func(c intel.Change) map[string]string {
		out, _ := e.Append(nil, &c)
		m := map[string]string{}
		for line := range bytes.Lines(out) {
			var env struct {
				Event struct {
					Key    string `json:"item_key"`
					Action string
				}
			}
			if err := json.Unmarshal(line, &env); err != nil {
				t.Fatal(err)
			}
			if _, ok := m[env.Event.Key]; ok {
				t.Errorf("item %s twice in one change", env.Event.Key)
			}
			m[env.Event.Key] = env.Event.Action
		}
		return m
	}
	for name, ind := range map[string]*intel.Indicator{"every type": everyType(), "pattern": yara()} {
		given := keys(upsert(ind))
		newer := *ind
		newer.Modified = ind.Modified.Add(time.Hour)
		newer.Name = "other"
		if again := keys(upsert(&newer)); !reflect.DeepEqual(again, given) {
			t.Errorf("%s: a newer version has other items", name)
		}
		taken := keys(withdraw(&newer, intel.ReasonRevoked))
		for key := range given {
			if taken[key] != "withdraw" {
				t.Errorf("%s: item %s is never withdrawn", name, key)
			}
		}
		if len(taken) != len(given) {
			t.Errorf("%s: %d items given, %d withdrawn", name, len(given), len(taken))
		}
	}
	other := testIndicator(1)
	other.Feed = "other"
	a, b := keys(upsert(testIndicator(1))), keys(upsert(other))
	for key := range a {
		if _, ok := b[key]; ok {
			t.Error("two feeds share an item")
		}
	}
}

// TestEncoderHeld checks that what Held says an upsert left behind is enough to
// withdraw it, when the newest version no longer shows it.
func TestEncoderHeld(t *testing.T) {
	e := NewEncoder(EncoderOptions{})
	old := testIndicator(1, obs(intel.TypeFile, sha256A, intel.FieldSHA256, sha256A, intel.FieldMD5, md5A, intel.FieldSHA1, sha1A))
	c := upsert(old)
	_, out := e.Append(nil, &c)
	refs := append(out.Held, old.Observables[0].Ref())

	next := upsert(testIndicator(1, obs(intel.TypeFile, sha256A, intel.FieldSHA256, sha256A, intel.FieldSHA1, sha1A)))
	next.Remove = refs
	got, _ := e.Append(nil, &next)
	if n := bytes.Count(got, []byte(`"action":"upsert"`)); n != 2 {
		t.Errorf("%d upserts, want 2:\n%s", n, got)
	}
	if n := bytes.Count(got, []byte(`"action":"withdraw"`)); n != 1 || !bytes.Contains(got, []byte(`"withdraw_reason":"replaced"`)) {
		t.Errorf("%d withdrawals, want that of the MD5 alone:\n%s", n, got)
	}
}

func TestEncoderBounds(t *testing.T) {
	e := NewEncoder(EncoderOptions{})
	ind := fullIndicator(obs(intel.TypeDomain, "bad.example.com"))
	ind.Pattern = strings.Repeat("ä", maxPattern)
	ind.Description = strings.Repeat("ä", 2*maxDescription)
	ind.Labels = make([]string, 1000)
	for i := range ind.Labels {
		ind.Labels[i] = strings.Repeat("l", 100)
	}
	c := upsert(ind)
	got, _ := e.Append(nil, &c)
	if len(got) > 10_240 {
		t.Errorf("an event of %d bytes: splunk reads fields from the first 10,240", len(got))
	}
	if !bytes.Contains(got, []byte(`"pattern_truncated":true`)) || bytes.Contains(got, []byte("\uFFFD")) {
		t.Errorf("the pattern is not cut between characters, or does not say so: %s", got)
	}
	sole := yara()
	sole.Pattern = strings.Repeat("x", 100_000)
	c = upsert(sole)
	if got, _ = e.Append(nil, &c); len(got) < 100_000 || bytes.Contains(got, []byte("pattern_truncated")) {
		t.Errorf("a YARA rule of 100,000 bytes does not travel whole: %d bytes", len(got))
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "\x00\x1f\x7f", "ünï\u2028\u2029", "\xff\xc3", "\xed\xa0\x80", "\U0010FFFF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("%q reads back as %q", s, got)
		}
	})
}

func BenchmarkEncoder(b *testing.B) {
	full := fullIndicator(obs(intel.TypeIPv4, "192.0.2.1"))
	full.Pattern = "[ipv4-addr:value = '192.0.2.1']"
	for _, bb := range []struct {
		name   string
		change intel.Change
		events int
	}{
		{"small", upsert(testIndicator(1)), 1},
		{"full", upsert(full), 1},
		{"every_type", upsert(everyType()), 30},
		{"withdraw", withdraw(testIndicator(1), intel.ReasonRevoked), 1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			e := NewEncoder(EncoderOptions{Index: "threat_intel"})
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = e.Append(buf[:0], &bb.change)
			}
			if n := bytes.Count(buf, []byte("\n")); n != bb.events {
				b.Fatalf("%d events", n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bb.events), "ns/event")
			b.SetBytes(int64(len(buf)))
		})
	}
}
