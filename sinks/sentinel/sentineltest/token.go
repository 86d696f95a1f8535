package sentineltest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// openID serves the tenant's metadata, which a login reads first.
func (s *Server) openID(w http.ResponseWriter, r *http.Request) {
	if !s.knownTenant(w, r) {
		return
	}
	base := "https://" + r.Host + "/" + r.PathValue("tenant")
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                 base + "/v2.0",
		"token_endpoint":         base + "/oauth2/v2.0/token",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize",
	})
}

func (s *Server) knownTenant(w http.ResponseWriter, r *http.Request) bool {
	if strings.EqualFold(r.PathValue("tenant"), s.options.TenantID) {
		return true
	}
	oauthError(w, http.StatusBadRequest, "invalid_tenant", 90002, "Tenant '"+r.PathValue("tenant")+"' not found.")
	return false
}

// token serves the client credentials grant (RFC 6749 §4.4) with a secret or
// with an assertion (RFC 7523 §2.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if s.loginFault(w, r) || !s.knownTenant(w, r) {
		return
	}
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", 900144, "the body is not a form")
		return
	}
	form := r.PostForm
	switch {
	case form.Get("grant_type") != "client_credentials":
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
		return
	case !strings.EqualFold(form.Get("client_id"), s.options.ClientID):
		oauthError(w, http.StatusBadRequest, "unauthorized_client", 700016, "Application with identifier '"+form.Get("client_id")+"' was not found in the directory.")
		return
	case !slices.Contains(strings.Fields(form.Get("scope")), s.options.Scope):
		oauthError(w, http.StatusBadRequest, "invalid_resource", 500011, "The resource principal named in "+form.Get("scope")+" was not found in the tenant.")
		return
	}
	switch {
	case form.Has("client_secret"):
		if form.Get("client_secret") != s.options.ClientSecret {
			oauthError(w, http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided.")
			return
		}
	case form.Has("client_assertion"):
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			oauthError(w, http.StatusBadRequest, "invalid_request", 50027, "unknown client_assertion_type")
			return
		}
		if code, problem := s.checkAssertion(form.Get("client_assertion"), "https://"+r.Host+r.URL.Path); problem != "" {
			oauthError(w, http.StatusUnauthorized, "invalid_client", code, problem)
			return
		}
	default:
		oauthError(w, http.StatusUnauthorized, "invalid_client", 7000216, "'client_assertion', 'client_secret' or 'request' is required.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "access_token": s.IssueToken(),
		"expires_in": int(s.options.TokenLifetime / time.Second), "ext_expires_in": int(s.options.TokenLifetime / time.Second),
	})
}

// managedIdentity serves tokens as App Service does: IDENTITY_ENDPOINT is
// URL()+"/msi/token" and IDENTITY_HEADER the configured one.
func (s *Server) managedIdentity(w http.ResponseWriter, r *http.Request) {
	if s.loginFault(w, r) {
		return
	}
	q := r.URL.Query()
	switch {
	case s.options.IdentityHeader == "" || r.Header.Get("X-IDENTITY-HEADER") != s.options.IdentityHeader:
		writeJSON(w, http.StatusUnauthorized, map[string]any{"statusCode": 401, "message": "no identity header"})
		return
	case q.Get("resource")+"/.default" != s.options.Scope:
		writeJSON(w, http.StatusBadRequest, map[string]any{"statusCode": 400, "message": "unknown resource " + q.Get("resource")})
		return
	case q.Get("client_id") != "" && q.Get("client_id") != s.options.ClientID:
		writeJSON(w, http.StatusBadRequest, map[string]any{"statusCode": 400, "message": "no such identity"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "access_token": s.IssueToken(), "resource": q.Get("resource"),
		"expires_on": strconv.FormatInt(time.Now().Add(s.options.TokenLifetime).Unix(), 10),
	})
}

// IssueToken makes a token that uploads are accepted with, as a login does.
func (s *Server) IssueToken() string {
	token := "sentineltest-token-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	s.tokens[token] = time.Now().Add(s.options.TokenLifetime)
	return token
}

// RevokeTokens makes all tokens issued so far worthless.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Logins is how many tokens were issued.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

func oauthError(w http.ResponseWriter, status int, code string, number int, text string) {
	writeJSON(w, status, map[string]any{
		"error":             code,
		"error_description": "AADSTS" + strconv.Itoa(number) + ": " + text + "\r\nTrace ID: 00000000-0000-0000-0000-000000000000\r\nTimestamp: " + time.Now().UTC().Format(time.DateTime) + "Z",
		"error_codes":       []int{number},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
