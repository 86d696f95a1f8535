package sentinel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/sinks/sentinel/sentineltest"
)

// TestCredentials logs in with each kind of credential, and with each of them
// wrong.
func TestCredentials(t *testing.T) {
	certFile, cert := clientCertificate(t, t.TempDir())
	otherFile, _ := clientCertificate(t, t.TempDir())
	tokenFile := filepath.Join(t.TempDir(), "token")
	write := func(t *testing.T, token string) {
		t.Helper()
		if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "federated-token")
	options := sentineltest.Options{ClientCertificate: cert, FederatedToken: "federated-token", IdentityHeader: "identity-header"}
	const tenant, client = sentineltest.TenantID, sentineltest.ClientID

	for _, tt := range []struct {
		name  string
		cred  Credential
		setup func(*testing.T, *sentineltest.Server)
		hint  string // of the failure; "" = it works
	}{
		{name: "secret", cred: Credential{Kind: "client_secret", TenantID: tenant, ClientID: client, ClientSecret: sentineltest.ClientSecret}},
		{name: "wrong secret", cred: Credential{Kind: "client_secret", TenantID: tenant, ClientID: client, ClientSecret: "nonsense"}, hint: "client_secret is wrong"},
		{name: "unknown client", cred: Credential{Kind: "client_secret", TenantID: tenant, ClientID: tenant, ClientSecret: "nonsense"}, hint: "client_id"},
		{name: "unknown tenant", cred: Credential{Kind: "client_secret", TenantID: client, ClientID: client, ClientSecret: "nonsense"}, hint: "tenant_id"},
		{name: "certificate", cred: Credential{Kind: "client_certificate", TenantID: tenant, ClientID: client, CertificateFile: certFile}},
		{name: "certificate with chain", cred: Credential{Kind: "client_certificate", TenantID: tenant, ClientID: client, CertificateFile: certFile, SendCertificateChain: true}},
		{name: "other certificate", cred: Credential{Kind: "client_certificate", TenantID: tenant, ClientID: client, CertificateFile: otherFile}, hint: "not registered"},
		{name: "workload identity", cred: Credential{Kind: "workload_identity", TenantID: tenant, ClientID: client, TokenFile: tokenFile}},
		{name: "workload identity by environment", cred: Credential{Kind: "workload_identity"}, setup: func(t *testing.T, _ *sentineltest.Server) {
			t.Setenv("AZURE_TENANT_ID", tenant)
			t.Setenv("AZURE_CLIENT_ID", client)
			t.Setenv("AZURE_FEDERATED_TOKEN_FILE", tokenFile)
		}},
		{name: "managed identity", cred: Credential{Kind: "managed_identity"}, setup: managedIdentity},
		{name: "user-assigned identity", cred: Credential{Kind: "managed_identity", ClientID: client}, setup: managedIdentity},
		{name: "azure cli", cred: Credential{Kind: "azure_cli"}, setup: azureCLI},
		{name: "default", cred: Credential{Kind: "default"}, setup: func(t *testing.T, _ *sentineltest.Server) {
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
			t.Setenv("AZURE_TENANT_ID", tenant)
			t.Setenv("AZURE_CLIENT_ID", client)
			t.Setenv("AZURE_CLIENT_SECRET", sentineltest.ClientSecret)
		}},
		{name: "default without anything", cred: Credential{Kind: "default"}, setup: func(t *testing.T, _ *sentineltest.Server) {
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
			t.Setenv("AZURE_TENANT_ID", "")
		}, hint: "credential block"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t, options)
			if tt.setup != nil {
				tt.setup(t, server)
			}
			config := configFor(t, server)
			config.Credential = &tt.cred
			sink := newSink(t, config)
			out, err := sink.Deliver(t.Context(), upserts(0, 2))
			if tt.hint == "" {
				if err != nil || statuses(out) != "delivered:2" {
					t.Errorf("%s, %v", statuses(out), err)
				}
				return
			}
			f := intel.AsFailure(err)
			if f == nil || f.Kind != intel.FailAuth || !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("failure %+v, want a hint about %q", f, tt.hint)
			}
			if err != nil && (strings.Contains(err.Error(), "nonsense") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error with a secret or several lines: %v", err)
			}
		})
	}
}

func managedIdentity(t *testing.T, s *sentineltest.Server) {
	t.Setenv("IDENTITY_ENDPOINT", s.URL()+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "identity-header")
}

// azureCLI puts a stand-in for the az command first on the path.
func azureCLI(t *testing.T, s *sentineltest.Server) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncat <<END\n{\"accessToken\": %q, \"expiresOn\": \"2099-01-01 00:00:00.000000\", \"expires_on\": 4070908800}\nEND\n", s.IssueToken())
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// TestGovernment logs in for the government cloud's scope.
func TestGovernment(t *testing.T) {
	server := newServer(t, sentineltest.Options{Scope: "https://management.usgovcloudapi.net/.default"})
	config := configFor(t, server)
	if err := newSink(t, config).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "check cloud and scope") {
		t.Errorf("with the public cloud's scope: %v", err)
	}
	config.Cloud = "government"
	if err := newSink(t, config).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSecretsStaySecret prints what an admin might print.
func TestSecretsStaySecret(t *testing.T) {
	c := Config{Credential: &Credential{Kind: "client_secret", ClientSecret: "s3cret", CertificatePassword: "s3cret"}}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", *c.Credential, *c.Credential, *c.Credential), c.Credential.identity()} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("the secret shows: %s", text)
		}
	}
}
