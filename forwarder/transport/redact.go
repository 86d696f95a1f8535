package transport

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

const redacted = "**redacted**"

// minSecret is the length below which a credential is not looked for: to take
// out every "a" would only make messages unreadable.
const minSecret = 4

// credentials are the texts that Authorize added to a request; they travel in
// its context.
type credentials struct{ texts []string }

type credentialsKey struct{}

// note keeps what after has beyond before, in every form in which a server may
// repeat it: the header's value, what follows the scheme, and what basic
// authentication wraps in base64.
func (c *credentials) note(before, after http.Header) {
	for name, values := range after {
		for _, v := range values {
			if slices.Contains(before[name], v) {
				continue
			}
			c.texts = append(c.texts, v)
			scheme, rest, ok := strings.Cut(v, " ")
			if !ok {
				continue
			}
			c.texts = append(c.texts, rest)
			if plain, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
				user, password, _ := strings.Cut(string(plain), ":")
				// Where there is no password, the user name is the key.
				c.texts = append(c.texts, string(plain), cmp.Or(password, user))
			}
		}
	}
	c.texts = slices.DeleteFunc(c.texts, func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(c.texts, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // none hides in another
}

// Redact takes out of what a server said the credentials of the request that it
// answers: an error page may repeat the request. It belongs before anything that
// shortens the text, which could leave half a credential.
func Redact(resp *http.Response, text []byte) []byte {
	if resp.Request == nil {
		return text
	}
	c, ok := resp.Request.Context().Value(credentialsKey{}).(*credentials)
	if !ok {
		return text
	}
	for _, secret := range c.texts {
		text = bytes.ReplaceAll(text, []byte(secret), []byte(redacted))
	}
	return text
}
