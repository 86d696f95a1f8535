package sentinel

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"taxii-forwarder/forwarder/intel"
)

// decode reads the body of a sink block.
func decode(t *testing.T, body string) Config {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL([]byte(body), "test.hcl")
	var c Config
	if !diags.HasErrors() {
		diags = append(diags, gohcl.DecodeBody(file.Body, nil, &c)...)
	}
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, body)
	}
	return c
}

const workspaceLine = "workspace_id = \"bbbbbbbb-cccc-4ddd-8eee-ffffffffffff\"\n"

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	pemFile, _ := clientCertificate(t, dir)
	notPEM := filepath.Join(dir, "not.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Every case has the problems of these paths, in order, and no others.
	for _, tt := range []struct{ name, body, want string }{
		{"secret", `credential "client_secret" {
			tenant_id = "example.com"
			client_id = "a"
			client_secret = "b"
		}`, ""},
		{"certificate", fmt.Sprintf(`credential "client_certificate" {
			tenant_id = "example.com"
			client_id = "a"
			certificate_file = %q
			send_certificate_chain = true
		}`, pemFile), ""},
		{"managed identity", `credential "managed_identity" {}`, ""},
		{"user-assigned identity", `credential "managed_identity" { client_id = "a" }`, ""},
		{"workload identity", `credential "workload_identity" {}`, ""},
		{"azure cli", `credential "azure_cli" { subscription = "s" }`, ""},
		{"default", `credential "default" {}`, ""},
		{"no credential", ``, "credential"},
		{"unknown kind", `credential "password" {}`, "credential"},
		{"secret without anything", `credential "client_secret" {}`, "credential.tenant_id credential.client_id credential.client_secret"},
		{"misplaced", `credential "azure_cli" {
			client_secret = "b"
			token_file = "c"
		}`, "credential.client_secret credential.token_file"},
		{"two identities", `credential "managed_identity" {
			client_id = "a"
			object_id = "b"
		}`, "credential.object_id"},
		{"bad tenant", `credential "default" { tenant_id = "https://login/x" }`, "credential.tenant_id"},
		{"no certificate", fmt.Sprintf(`credential "client_certificate" {
			tenant_id = "example.com"
			client_id = "a"
			certificate_file = %q
		}`, filepath.Join(dir, "none.pem")), "credential.certificate_file"},
		{"certificate not PEM", fmt.Sprintf(`credential "client_certificate" {
			tenant_id = "example.com"
			client_id = "a"
			certificate_file = %q
		}`, notPEM), "credential.certificate_file"},
		{"no token file", `credential "workload_identity" { token_file = "/nonexistent/token" }`, "credential.token_file"},
		{"everything", `
			source_system = "my feed"
			cloud = "government"
			default_validity = "30d"
			compound = "split"
			pattern_types = ["stix", "yara"]
			requests_per_minute = 50
			api_version = "2025-01-01"
			endpoint = "https://192.0.2.1:8443/"
			authority_host = "https://login.example.com/"
			scope = "https://example.com/.default"
			disable_instance_discovery = true
			proxy_url = "http://proxy.example.com:3128"
			timeout = "30s"
			credential "default" {}
			tls { min_version = "1.3" }`, ""},
		{"everything wrong", `
			source_system = "microsoft sentinel"
			cloud = "china"
			default_validity = "soon"
			compound = "explode"
			pattern_types = [" "]
			requests_per_minute = -1
			api_version = "latest"
			endpoint = "http://192.0.2.1"
			authority_host = "login.example.com"
			scope = "https://example.com"
			proxy_url = "ftp://proxy.example.com"
			timeout = "0"
			credential "default" {}
			tls { min_version = "1.0" }`,
			"source_system cloud default_validity compound pattern_types requests_per_minute api_version endpoint authority_host scope tls.min_version proxy_url timeout"},
		{"long source", `
			source_system = "` + strings.Repeat("x", 257) + `"
			credential "default" {}`, "source_system"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := decode(t, workspaceLine+tt.body)
			var got []string
			for _, p := range c.Validate() {
				got = append(got, p.Path)
				if p.Message == "" || strings.HasSuffix(p.Message, ".") {
					t.Errorf("%s: message %q", p.Path, p.Message)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("problems at %q, want %q: %v", strings.Join(got, " "), tt.want, c.Validate())
			}
			if tt.want != "" {
				if _, err := New(c, intel.SinkOptions{Name: "x"}); err == nil {
					t.Error("New takes it")
				}
			}
		})
	}
}

func TestWorkspaceName(t *testing.T) {
	c := Config{WorkspaceID: "my-workspace", Credential: &Credential{Kind: "default"}}
	p := c.Validate()
	if len(p) != 1 || p[0].Path != "workspace_id" || !strings.Contains(p[0].Message, "not its name") {
		t.Errorf("problems: %v", p)
	}
}

func TestClouds(t *testing.T) {
	const path = "/workspaces/bbbbbbbb-cccc-4ddd-8eee-ffffffffffff/threat-intelligence-stix-objects:upload?api-version=2024-02-01-preview"
	c := Config{WorkspaceID: "BBBBBBBB-cccc-4ddd-8eee-ffffffffffff"}
	if got := c.uploadURL(); got != "https://api.ti.sentinel.azure.com"+path {
		t.Error(got)
	}
	if c.scope() != "https://management.azure.com/.default" {
		t.Error(c.scope())
	}
	c.Cloud = "government"
	if got := c.uploadURL(); got != "https://api.ti.sentinel.azure.us"+path {
		t.Error(got)
	}
	if c.scope() != "https://management.usgovcloudapi.net/.default" || c.authority() != "https://login.microsoftonline.us/" {
		t.Error(c.scope(), c.authority())
	}
}

// clientCertificate writes a self-signed certificate with its key, and returns
// the file.
func clientCertificate(t *testing.T, dir string) (string, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "taxii-forwarder"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	file := filepath.Join(dir, "client.pem")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, cert
}
