package sentinel

import (
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// maxCertificateFile is far above any certificate chain with its key.
const maxCertificateFile = 1 << 20

// certificate builds the credential from the certificate file, which is read
// each time, so that a renewed certificate is taken up with the next login.
func (c *Credential) certificate(o azidentity.ClientCertificateCredentialOptions) (*azidentity.ClientCertificateCredential, error) {
	info, err := os.Stat(c.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate_file: %w", err)
	}
	if info.Size() > maxCertificateFile {
		return nil, fmt.Errorf("certificate_file %s has %d bytes, which no certificate has", c.CertificateFile, info.Size())
	}
	data, err := os.ReadFile(c.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate_file: %w", err)
	}
	certs, key, err := azidentity.ParseCertificates(data, []byte(c.CertificatePassword.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("certificate_file %s is not usable: %w; it must hold the certificate and its unencrypted RSA key as PEM, or both as PKCS #12 with certificate_password", c.CertificateFile, err)
	}
	cred, err := azidentity.NewClientCertificateCredential(or(c.TenantID, "unset"), or(c.ClientID, "unset"), certs, key, &o)
	if err != nil {
		return nil, fmt.Errorf("certificate_file %s is not usable: %w", c.CertificateFile, err)
	}
	return cred, nil
}
