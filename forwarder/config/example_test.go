package config_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/sinks/elasticsearch"
	"taxii-forwarder/sinks/file"
	"taxii-forwarder/sinks/sentinel"
	"taxii-forwarder/sinks/splunk"
)

const (
	example  = "../../config.example.hcl"
	assets   = "/etc/taxii-forwarder/"
	noSecret = "not-shown-anywhere"
)

// kinds are all the sinks there are.
func kinds() []config.SinkKind {
	return []config.SinkKind{
		{Name: "splunk_hec", New: func() any { return new(splunk.Config) }},
		{Name: "sentinel", New: func() any { return new(sentinel.Config) }},
		{Name: "elasticsearch", New: func() any { return new(elasticsearch.Config) }},
		{Name: "file", New: func() any { return new(file.Config) }},
	}
}

// switchedOff is a line of the example that is code; prose has one space after
// the "#".
var switchedOff = regexp.MustCompile(`^\s*#([^ \n]|  )`)

// readExample returns the example, and the same with everything switched on.
// The files that it names are there.
func readExample(t *testing.T) (asShipped, everything string) {
	t.Helper()
	dir := t.TempDir() + string(filepath.Separator)
	writeAssets(t, dir)
	for _, name := range []string{"SOCDEFENDERS_API_KEY", "TAXII_PASSWORD", "AZURE_CLIENT_SECRET", "ES_API_KEY", "OPENSEARCH_PASSWORD"} {
		t.Setenv(name, noSecret)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	asShipped = strings.ReplaceAll(string(text), assets, filepath.ToSlash(dir))
	var b strings.Builder
	for line := range strings.Lines(asShipped) {
		if switchedOff.MatchString(line) {
			line = strings.Replace(line, "#", "", 1)
		}
		b.WriteString(line)
	}
	return asShipped, b.String()
}

func writeAssets(t *testing.T, dir string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048) // Entra ID takes no other
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, data := range map[string][]byte{
		"ca.pem": cert, "client.pem": cert, "client.key": private, "azure.pem": append(append([]byte{}, cert...), private...),
		"api-key": []byte(noSecret + "\n"), "token": []byte(noSecret), "hec-token": []byte(noSecret + "\n"),
		"status.crt": cert, "status.key": private, "status-token": []byte(noSecret + "\n"),
	} {
		if err := os.WriteFile(dir+name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func loadText(t *testing.T, text string) (*config.Config, *config.Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, kinds())
}

func show(r *config.Report) string {
	var b bytes.Buffer
	r.WriteTo(&b, false, 0)
	return b.String()
}

func TestExample(t *testing.T) {
	text, _ := readExample(t)
	cfg, report := loadText(t, text)
	if len(report.Diagnostics) > 0 {
		t.Fatal(show(report))
	}
	if len(cfg.Feeds) != 1 || len(cfg.Sinks) != 4 || len(cfg.Routes) != 4 || cfg.Feeds[0].Auth.Token != noSecret {
		t.Errorf("%+v", cfg)
	}
}

// TestExampleEverything: the lines that are switched off in the example are
// right as well, and what they show as defaults are the defaults.
func TestExampleEverything(t *testing.T) {
	_, text := readExample(t)
	cfg, report := loadText(t, text)
	if report.HasErrors() {
		t.Fatal(show(report))
	}
	for _, w := range report.Warnings() {
		if !strings.Contains(w, "is in no route") {
			t.Errorf("warning: %s", w)
		}
	}
	if strings.Contains(show(report), noSecret) {
		t.Error("a secret is shown")
	}
	if len(cfg.Feeds) != 4 || len(cfg.Sinks) != 10 {
		t.Errorf("%d feeds, %d sinks", len(cfg.Feeds), len(cfg.Sinks))
	}
	f := cfg.Feeds[0]
	if f.PollInterval != config.DefaultPollInterval || f.Overlap != config.DefaultOverlap || f.Timeout != config.DefaultTimeout ||
		f.PageSize != config.DefaultPageSize || !f.StartFrom.All || !reflect.DeepEqual(f.Collections, []string{"*"}) ||
		cfg.HTTP.Listen != config.DefaultListen || cfg.Log != (config.Log{Level: "info", Format: "text"}) {
		t.Errorf("the example shows other defaults: %+v", cfg)
	}
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if string(hclwrite.Format(raw)) != string(raw) {
		t.Error("the example is not formatted as HCL is")
	}
}

// TestExampleComplete: there is no attribute that the example does not show.
func TestExampleComplete(t *testing.T) {
	_, text := readExample(t)
	parsed, diags := hclsyntax.ParseConfig([]byte(text), "example", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	shown := map[string]bool{}
	var collect func(prefix string, body *hclsyntax.Body)
	collect = func(prefix string, body *hclsyntax.Body) {
		for name := range body.Attributes {
			shown[prefix+name] = true
		}
		for _, b := range body.Blocks {
			name := b.Type
			if b.Type == "sink" {
				name = b.Labels[0]
			}
			if b.Type == "tls" { // shown in full once
				prefix := "tls."
				collect(prefix, b.Body)
			}
			shown[prefix+name] = true
			collect(prefix+name+".", b.Body)
		}
	}
	collect("", parsed.Body.(*hclsyntax.Body))

	var check func(prefix string, v reflect.Type)
	check = func(prefix string, v reflect.Type) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
			v = v.Elem()
		}
		for i := range v.NumField() {
			name, kind, _ := strings.Cut(v.Field(i).Tag.Get("hcl"), ",")
			if name == "" || kind == "label" {
				continue
			}
			if !shown[prefix+name] {
				t.Errorf("the example lacks %s%s", prefix, name)
			}
			if kind == "block" {
				inner := prefix + name + "."
				if name == "tls" {
					inner = "tls."
				}
				check(inner, v.Field(i).Type)
			}
		}
	}
	for _, k := range kinds() {
		check(k.Name+".", reflect.TypeOf(k.New()))
	}
	for _, name := range []string{
		"log.level", "log.format", "state.dir", "http.listen", "http.token", "http.anonymous", "http.tls", "feed.discovery_url", "feed.api_root_url", "feed.auth",
		"feed.collections", "feed.poll_interval", "feed.resync_interval", "feed.overlap", "feed.timeout", "feed.start_from",
		"feed.page_size", "feed.match_types", "feed.match_spec_versions", "feed.trusted_hosts", "feed.proxy_url",
		"feed.user_agent", "feed.tls", "feed.auth.token", "feed.auth.username", "feed.auth.password", "feed.auth.name",
		"feed.auth.value", "route.from", "route.to", "route.where",
	} {
		if !shown[name] {
			t.Errorf("the example lacks %s", name)
		}
	}
}
