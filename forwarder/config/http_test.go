package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a certificate and its key that are valid for so long, and
// returns them as the attributes of a tls block.
func certificate(t *testing.T, valid time.Duration) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, private := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, private: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("cert_file = %q\nkey_file = %q", cert, private)
}

// TestHTTP: beyond loopback there is a token, or the administrator says that
// there need not be one.
func TestHTTP(t *testing.T) {
	const secret = "s3cret-of-the-status-page"
	t.Setenv("STATUS_TOKEN", secret)
	good, expired := certificate(t, time.Hour), certificate(t, -time.Minute)
	const token, tls = `token = env("STATUS_TOKEN")`, "\ntls {\n%s\n}"
	for _, tt := range []struct {
		http     string
		err      string // part of the only error; "" = none
		warnings string // part of the only warning; "" = none
	}{
		{``, "", ""},
		{`listen = "127.0.0.1:9464"`, "", ""},
		{`listen = "[::1]:9464"`, "", ""},
		{`listen = "localhost:9464"`, "", ""},
		{`listen = "0.0.0.0:9464"`, "open to every machine that reaches this one", ""},
		{`listen = ":9464"`, "open to every machine that reaches this one", ""},
		{`listen = "[::]:9464"`, "open to every machine that reaches this one", ""},
		{`listen = "192.0.2.1:9464"`, "open to other machines", ""},
		{`listen = "192.0.2.1:9464"` + "\nanonymous = false", "open to other machines", ""},
		{`listen = "192.0.2.1:9464"` + "\nanonymous = true", "", "are open to other machines"},
		{`listen = "192.0.2.1:9464"` + "\n" + token, "", "unencrypted"},
		{`listen = "192.0.2.1:9464"` + "\n" + token + fmt.Sprintf(tls, good), "", ""},
		{`listen = "192.0.2.1:9464"` + "\n" + token + fmt.Sprintf(tls, expired), "", "expired on"},
		{`listen = "192.0.2.1:9464"` + "\nanonymous = true" + fmt.Sprintf(tls, good), "", "are open to other machines"},
		{`listen = "192.0.2.1:9464"` + "\n" + token + "\nanonymous = true", "exclude each other", "unencrypted"},
		{`listen = "192.0.2.1:9464"` + "\n" + `token = env("STATUS_TOKEN_OF_ANOTHER")`, "STATUS_TOKEN_OF_ANOTHER is not set", "unencrypted"},
		{token, "", ""},
		{`token = "s3cret-of-the-status-page"`, "", "token is written into the configuration"},
		{`token = trim("x")`, "no function named", ""},
		{`token = file("testdata/secret.txt")`, "shorter than 16", ""},
		{"token = \"s3cret of the status page\"", "blanks", "token is written"},
		{fmt.Sprintf(tls, good), "", ""},
		{fmt.Sprintf(tls, ""), "set cert_file", ""},
		{fmt.Sprintf(tls, `cert_file = "/nowhere.crt"`), "/nowhere.crt does not exist", ""},
		{fmt.Sprintf(tls, good[:strings.Index(good, "\n")]), "no private key", ""},
		{`listen = "off"` + "\n" + `token = "short"`, "", "token is written"},
	} {
		text := "http {\n" + tt.http + "\n}\nfeed \"f\" {\n discovery_url = \"https://taxii.example.com/\"\n}\nsink \"file\" \"s\" {\n path = \"out\"\n}\n"
		cfg, report := load("test.hcl", []byte(text), 0o600, testKinds())
		var errs, warnings []string
		for _, d := range report.Diagnostics {
			line := d.Summary + ": " + d.Detail
			if strings.Contains(line, "s3cret") {
				t.Errorf("%s: a secret is shown: %s", tt.http, line)
			}
			if d.Severity == Error {
				errs = append(errs, line)
			} else {
				warnings = append(warnings, line)
			}
		}
		check := func(what string, got []string, want string) {
			if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
				t.Errorf("%s\n%s %q, want %q", tt.http, what, got, want)
			}
		}
		check("errors", errs, tt.err)
		check("warnings", warnings, tt.warnings)
		if (cfg == nil) != (tt.err != "") {
			t.Errorf("%s: configuration %v", tt.http, cfg)
		}
	}
}
