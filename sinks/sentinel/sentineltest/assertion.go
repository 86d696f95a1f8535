package sentineltest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// checkAssertion verifies a client assertion (RFC 7523 §3) for the token
// endpoint at audience. It returns an error's number and text, or "".
func (s *Server) checkAssertion(assertion, audience string) (int, string) {
	if t := s.options.FederatedToken; t != "" && strings.TrimSpace(assertion) == t {
		return 0, ""
	}
	cert := s.options.ClientCertificate
	if cert == nil {
		return 70021, "No matching federated identity record found for presented assertion."
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return 50027, "JWT token is invalid or malformed."
	}
	var header struct {
		Alg       string   `json:"alg"`
		SHA1      string   `json:"x5t"`
		SHA256    string   `json:"x5t#S256"`
		CertChain []string `json:"x5c"`
	}
	var claims struct {
		Aud string `json:"aud"`
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		JTI string `json:"jti"`
		Exp int64  `json:"exp"`
		Nbf int64  `json:"nbf"`
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) {
		return 50027, "JWT token is invalid or malformed."
	}
	sum1, sum256 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	if header.SHA1 != base64.StdEncoding.EncodeToString(sum1[:]) && header.SHA1 != base64.RawURLEncoding.EncodeToString(sum1[:]) &&
		header.SHA256 != base64.StdEncoding.EncodeToString(sum256[:]) && header.SHA256 != base64.RawURLEncoding.EncodeToString(sum256[:]) {
		return 700027, "The certificate with identifier used to sign the client assertion is not registered on application."
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return 700027, "The certificate's key is not RSA."
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch header.Alg {
	case "PS256":
		err = rsa.VerifyPSS(key, crypto.SHA256, digest[:], sig, nil)
	case "RS256":
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
	default:
		return 50027, "unknown signature algorithm " + header.Alg
	}
	now := time.Now().Unix()
	switch {
	case err != nil:
		return 700027, "Client assertion failed signature validation."
	case claims.Iss != s.options.ClientID || claims.Sub != s.options.ClientID:
		return 50027, "issuer and subject must be the client id"
	case claims.Aud != audience:
		return 50027, "audience is " + claims.Aud + ", not " + audience
	case claims.Exp <= now || claims.Nbf > now+300:
		return 700024, "Client assertion is not within its valid time range."
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if claims.JTI == "" || s.jtis[claims.JTI] {
		return 50027, "the assertion was used before"
	}
	s.jtis[claims.JTI] = true
	if len(header.CertChain) > 0 && !slices.Contains(header.CertChain, base64.StdEncoding.EncodeToString(cert.Raw)) {
		return 700027, "x5c does not hold the certificate"
	}
	return 0, ""
}

func decodePart(part string, v any) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(data, v) == nil
}
