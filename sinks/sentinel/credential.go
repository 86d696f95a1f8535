package sentinel

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"taxii-forwarder/forwarder/setting"
)

// Credential is a credential block: its label is the kind of login, which says
// what attributes it takes.
type Credential struct {
	// Kind is client_secret, client_certificate, managed_identity,
	// workload_identity, azure_cli or default.
	Kind string `hcl:"kind,label"`

	TenantID string `hcl:"tenant_id,optional"`
	// ClientID is the application's id, or a user-assigned managed identity's.
	ClientID     string         `hcl:"client_id,optional"`
	ClientSecret setting.Secret `hcl:"client_secret,optional"`

	// CertificateFile holds certificate and private key, as PEM or PKCS #12.
	CertificateFile     string         `hcl:"certificate_file,optional"`
	CertificatePassword setting.Secret `hcl:"certificate_password,optional"` // of a PKCS #12 file
	// SendCertificateChain allows subject name and issuer authentication.
	SendCertificateChain bool `hcl:"send_certificate_chain,optional"`

	// TokenFile holds the service account token of a workload identity; empty =
	// AZURE_FEDERATED_TOKEN_FILE.
	TokenFile string `hcl:"token_file,optional"`

	// ObjectID and ResourceID name a user-assigned managed identity where its
	// client id does not.
	ObjectID   string `hcl:"object_id,optional"`
	ResourceID string `hcl:"resource_id,optional"`

	// Subscription selects an account of the Azure CLI.
	Subscription string `hcl:"subscription,optional"`
}

// credentialShape says which attributes belong to a kind of credential.
type credentialShape struct{ required, optional []string }

var credentialShapes = map[string]credentialShape{
	"client_secret":      {required: []string{"tenant_id", "client_id", "client_secret"}},
	"client_certificate": {required: []string{"tenant_id", "client_id", "certificate_file"}, optional: []string{"certificate_password", "send_certificate_chain"}},
	"managed_identity":   {optional: []string{"client_id", "object_id", "resource_id"}},
	"workload_identity":  {optional: []string{"tenant_id", "client_id", "token_file"}},
	"azure_cli":          {optional: []string{"tenant_id", "subscription"}},
	"default":            {optional: []string{"tenant_id"}},
}

func credentialKinds() []string { return slices.Sorted(maps.Keys(credentialShapes)) }

// given are the attributes that have a value, in a fixed order.
func (c *Credential) given() []string {
	var names []string
	for _, a := range []struct {
		name string
		set  bool
	}{
		{"tenant_id", c.TenantID != ""},
		{"client_id", c.ClientID != ""},
		{"client_secret", c.ClientSecret != ""},
		{"certificate_file", c.CertificateFile != ""},
		{"certificate_password", c.CertificatePassword != ""},
		{"send_certificate_chain", c.SendCertificateChain},
		{"token_file", c.TokenFile != ""},
		{"object_id", c.ObjectID != ""},
		{"resource_id", c.ResourceID != ""},
		{"subscription", c.Subscription != ""},
	} {
		if a.set {
			names = append(names, a.name)
		}
	}
	return names
}

func (c *Credential) validate() []setting.Problem {
	shape, known := credentialShapes[c.Kind]
	if !known {
		return []setting.Problem{setting.Problemf("credential", "unknown kind of credential %q; use one of %s", c.Kind, strings.Join(credentialKinds(), ", "))}
	}
	var problems []setting.Problem
	add := func(name, format string, args ...any) {
		problems = append(problems, setting.Problemf("credential."+name, format, args...))
	}
	given := c.given()
	for _, name := range shape.required {
		if !slices.Contains(given, name) {
			add(name, "%s is missing or empty; credential %q needs it", name, c.Kind)
		}
	}
	for _, name := range given {
		if !slices.Contains(shape.required, name) && !slices.Contains(shape.optional, name) {
			add(name, "%s does not belong to credential %q; remove it", name, c.Kind)
		}
	}
	if slices.Contains(given, "tenant_id") && strings.ContainsAny(c.TenantID, "/\\:@ \t") {
		add("tenant_id", "tenant_id %q is neither a GUID nor a domain", c.TenantID)
	}
	if c.Kind == "managed_identity" && len(given) > 1 {
		add(given[1], "client_id, object_id and resource_id each name the identity; give one of them")
	}
	if c.Kind == "client_certificate" && c.CertificateFile != "" {
		if _, err := c.certificate(azidentity.ClientCertificateCredentialOptions{}); err != nil {
			add("certificate_file", "%s", err)
		}
	}
	if c.Kind == "workload_identity" && c.TokenFile != "" {
		if _, err := os.Stat(c.TokenFile); err != nil {
			add("token_file", "can not read the token file: %s", err)
		}
	}
	return problems
}

// identity names the caller that the credential stands for, without secrets:
// what Sentinel counts requests by.
func (c *Credential) identity() string {
	return strings.Join([]string{c.Kind, strings.ToLower(c.TenantID), strings.ToLower(c.ClientID), strings.ToLower(c.ObjectID), strings.ToLower(c.ResourceID), c.Subscription}, "|")
}

// secrets are the texts that must not appear in any message.
func (c *Credential) secrets() []string {
	return []string{c.ClientSecret.Reveal(), c.CertificatePassword.Reveal()}
}

// newCredential builds the token credential that cfg describes, all of whose
// requests go through client.
func newCredential(cfg *Config, client policy.Transporter) (azcore.TokenCredential, error) {
	c := cfg.Credential
	options := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: cfg.authority()},
		Transport: client,
		// The engine backs off; a hidden retry would only delay the message.
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	switch c.Kind {
	case "client_secret":
		return azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, c.ClientSecret.Reveal(), &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: cfg.DisableInstanceDiscovery,
		})
	case "client_certificate":
		return c.certificate(azidentity.ClientCertificateCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: cfg.DisableInstanceDiscovery,
			SendCertificateChain: c.SendCertificateChain,
		})
	case "managed_identity":
		o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		switch {
		case c.ClientID != "":
			o.ID = azidentity.ClientID(c.ClientID)
		case c.ObjectID != "":
			o.ID = azidentity.ObjectID(c.ObjectID)
		case c.ResourceID != "":
			o.ID = azidentity.ResourceID(c.ResourceID)
		}
		return azidentity.NewManagedIdentityCredential(o)
	case "workload_identity":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: cfg.DisableInstanceDiscovery,
			TenantID: c.TenantID, ClientID: c.ClientID, TokenFilePath: c.TokenFile,
		})
	case "azure_cli":
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{
			TenantID: c.TenantID, Subscription: c.Subscription,
		})
	default:
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: cfg.DisableInstanceDiscovery,
			TenantID: c.TenantID,
		})
	}
}
