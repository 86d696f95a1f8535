package stix

import (
	"strings"
	"testing"
)

// TestValues derives single comparisons: path, literal, and "type value" pairs
// joined by "; ", or "-" for a value that is nothing known.
func TestValues(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		// Addresses and ranges (STIX 2.1 §6.9, §6.10: the value is a CIDR).
		{"ipv4-addr:value", "192.0.2.1", "ipv4-addr 192.0.2.1"},
		{"ipv4-addr:value", " 192.0.2.1 ", "ipv4-addr 192.0.2.1"},
		{"ipv4-addr:value", "192.0.2.1/32", "ipv4-addr 192.0.2.1"},
		{"ipv4-addr:value", "192.0.2.99/24", "ipv4-addr 192.0.2.0/24"},
		{"ipv4-addr:value", "192.0.2.99/255.255.255.0", "ipv4-addr 192.0.2.0/24"},
		{"ipv4-addr:value", "0.0.0.0/0", "-"},
		{"ipv6-addr:value", "::/0", "-"},
		{"ipv4-addr:value", "192.0.2.1:443", "ipv4-addr 192.0.2.1 {dst_port=443}"},
		{"ipv6-addr:value", "[2001:db8::1]:443", "ipv6-addr 2001:db8::1 {dst_port=443}"},
		{"ipv6-addr:value", "[2001:db8::1]", "ipv6-addr 2001:db8::1"},
		{"ipv6-addr:value", "2001:DB8::1/128", "ipv6-addr 2001:db8::1"},
		{"ipv6-addr:value", "2001:db8::1/32", "ipv6-addr 2001:db8::/32"},
		{"ipv6-addr:value", "::ffff:192.0.2.1", "ipv4-addr 192.0.2.1"},
		{"ipv6-addr:value", "fe80::1%eth0", "ipv6-addr fe80::1"},
		{"ipv4-addr:value", "2001:db8::1", "ipv6-addr 2001:db8::1"},
		{"ipv4-addr:value", "192[.]0[.]2[.]1", "ipv4-addr 192.0.2.1"},
		{"ipv4-addr:value", "192.0.2.1, 198.51.100.0/24,203.0.113.7", "ipv4-addr 192.0.2.1; ipv4-addr 198.51.100.0/24; ipv4-addr 203.0.113.7"},
		{"ipv4-addr:value", "a.example.com", "domain-name a.example.com"},
		{"ipv4-addr:value", "not an address", "-"},
		{"network-traffic:dst_ref.value", "a.example.com", "domain-name a.example.com {direction=dst}"},
		{"network-traffic:src_ref.value", "a@example.com", "email-addr a@example.com {direction=src}"},
		{"network-traffic:src_ref.value", "192.0.2.1:25", "ipv4-addr 192.0.2.1 {src_port=25 direction=src}"},

		// Domain names.
		{"domain-name:value", "A.Example.COM.", "domain-name a.example.com"},
		{"domain-name:value", "_dmarc.my_host.example.com", "domain-name _dmarc.my_host.example.com"},
		{"domain-name:value", "bücher.example.com", "domain-name xn--bcher-kva.example.com"},
		{"domain-name:value", "bu\u0308cher.example.com", "domain-name xn--bcher-kva.example.com"},
		{"domain-name:value", "ex\u200bample.com", "domain-name example.com"},
		{"domain-name:value", "\u202eexample.com", "-"},
		{"domain-name:value", "XN--bcher-KVA.example.com", "domain-name xn--bcher-kva.example.com"},
		{"domain-name:value", "☃.example.com", "domain-name xn--n3h.example.com"},
		{"domain-name:value", "a[.]example(.)com", "domain-name a.example.com"},
		{"domain-name:value", "192.0.2.1", "ipv4-addr 192.0.2.1"},
		{"domain-name:value", "a.example.com/x", "url a.example.com/x"},
		{"domain-name:value", "a.example.com/", "domain-name a.example.com"},
		{"domain-name:value", "http://a.example.com/", "url http://a.example.com/"},
		{"domain-name:value", "a.example.com:8080", "domain-name a.example.com {dst_port=8080}"},
		{"domain-name:value", "*.example.com", "domain-name example.com"},
		{"domain-name:value", "a.example.com,b.example.com", "domain-name a.example.com; domain-name b.example.com"},
		{"domain-name:value", "Fix-Your-Files.txt", "file Fix-Your-Files.txt {name=Fix-Your-Files.txt}"},
		{"domain-name:value", "T1053.005", "-"},
		{"domain-name:value", "a..example.com", "-"},
		{"domain-name:value", strings.Repeat("a", 64) + ".example.com", "-"},
		{"domain-name:value", "a example.com", "-"},
		{"domain-name:value", "a.example.com\x00", "-"},
		{"domain-name:value", "", "-"},

		// URLs are kept as written.
		{"url:value", "http://A.example.com/Path?a=b=c", "url http://A.example.com/Path?a=b=c"},
		{"url:value", "hxxp://a[.]example[.]com/x", "url http://a.example.com/x"},
		{"url:value", "hXXps[://]a.example.com", "url https://a.example.com"},
		{"url:value", "a.example.com/x/y", "url a.example.com/x/y"},
		{"url:value", "a.example.com", "domain-name a.example.com"},
		{"url:value", "192.0.2.1", "ipv4-addr 192.0.2.1"},
		{"url:value", "192.0.2.1/x", "url 192.0.2.1/x"},
		{"url:value", "192.0.2.1:8080/x", "url 192.0.2.1:8080/x"},
		{"url:value", "a@example.com", "email-addr a@example.com"},
		{"url:value", `http://a.example.com/\%20x`, `url http://a.example.com/\%20x`},
		{"url:value", "http://[2001:db8::1]/x", "url http://[2001:db8::1]/x"},
		{"url:value", "http://a.example.com/x,y", "url http://a.example.com/x,y"},
		{"url:value", "nonsense", "-"},
		{"url:value", "http://", "-"},
		{"url:value", "http://a.example.com/\x07", "-"},

		// E-mail addresses.
		{"email-addr:value", "Bob <Bob.B@Example.com>", "email-addr Bob.B@example.com"},
		{"email-addr:value", "bob[@]example[.]com", "email-addr bob@example.com"},
		{"email-addr:value", "bob@[192.0.2.1]", "email-addr bob@[192.0.2.1]"},
		{"email-addr:value", "bob@bücher.example.com", "email-addr bob@xn--bcher-kva.example.com"},
		{"email-addr:value", "@example.com", "domain-name example.com"},
		{"email-addr:value", "bob", "-"},

		// Hashes: keys in every spelling, forms checked.
		{"file:hashes.MD5", strings.ToUpper(md5a), "file " + md5a + " {hash.md5=" + md5a + "}"},
		{"file:hashes.md5", md5a, "file " + md5a + " {hash.md5=" + md5a + "}"},
		{"file:hashes.'MD5'", md5a, "file " + md5a + " {hash.md5=" + md5a + "}"},
		{"file:hashes.sha256", sha256a, "file " + sha256a + " {hash.sha256=" + sha256a + "}"},
		{"file:hashes.'sha-256'", sha256a, "file " + sha256a + " {hash.sha256=" + sha256a + "}"},
		{"file:hashes.SHA_256", sha256a, "file " + sha256a + " {hash.sha256=" + sha256a + "}"},
		{"file:hashes.'SHA3-256'", sha256a, "file " + sha256a + " {hash.sha3-256=" + sha256a + "}"},
		{"file:hashes[*]", sha1a, "file " + sha1a + " {hash.sha1=" + sha1a + "}"},
		{"file:hashes.MD5", sha256a, "-"},
		{"file:hashes.MD5", md5a[:31] + "g", "-"},
		{"file:hashes.SSDEEP", "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C", "file 3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C {hash.ssdeep=3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C}"},
		{"file:hashes.SSDEEP", "x", "-"},
		{"file:hashes.TLSH", "t1" + strings.Repeat("0a", 35), "file T1" + strings.Repeat("0A", 35) + " {hash.tlsh=T1" + strings.Repeat("0A", 35) + "}"},
		{"file:hashes.VHASH", "0150466d1567z1dz2fz", "file 0150466d1567z1dz2fz {hash.vhash=0150466d1567z1dz2fz}"},
		{"file:hashes.IMPHASH", md5a, "file " + md5a + " {hash.imphash=" + md5a + "}"},

		// Registry keys.
		{"windows-registry-key:key", `HKLM\Software\X`, `windows-registry-key HKEY_LOCAL_MACHINE\Software\X {key=HKEY_LOCAL_MACHINE\Software\X}`},
		{"windows-registry-key:key", `hkey_current_user\Software\\X\`, `windows-registry-key HKEY_CURRENT_USER\Software\X {key=HKEY_CURRENT_USER\Software\X}`},
		{"windows-registry-key:key", `HKCU:\Software`, `windows-registry-key HKEY_CURRENT_USER\Software {key=HKEY_CURRENT_USER\Software}`},
		{"windows-registry-key:key", `\REGISTRY\MACHINE\System`, `windows-registry-key HKEY_LOCAL_MACHINE\System {key=HKEY_LOCAL_MACHINE\System}`},
		{"windows-registry-key:key", `System\Setup`, `windows-registry-key System\Setup {key=System\Setup}`},

		{"x509-certificate:serial_number", "0x02:0A", "x509-certificate 020a {serial_number=020a}"},
		{"autonomous-system:number", "AS 0", "-"},
		{"mac-addr:value", "0000.5e00.53af", "mac-addr 00:00:5e:00:53:af"},
		{"mac-addr:value", "00:00", "-"},
	} {
		ind := indicator("[" + c.path + " = '" + escapeText(c.value) + "']")
		Derive(ind)
		checkInvariants(t, ind)
		var got []string
		for _, line := range strings.Split(shape(ind), "\n") {
			if line, ok := strings.CutSuffix(line, " exact"); ok {
				got = append(got, line)
			} else if line, ok := strings.CutSuffix(line, " superset"); ok {
				got = append(got, line)
			}
		}
		if len(got) == 0 && ind.FidelityReason == ReasonInvalidValue {
			got = []string{"-"}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s = %q\n got %s\nwant %s (%s)", c.path, c.value, s, c.want, ind.FidelityReason)
		}
	}
}
