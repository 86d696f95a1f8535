package sentinel

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestSteadyRefusal: a login that is refused again for the same reason gives the
// same error, as the engine logs each error once, whatever ids and times the
// answer echoes. The ids of tenant and application stay.
func TestSteadyRefusal(t *testing.T) {
	const app, tenant = "11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-aaaaaaaaaaaa"
	answers := map[string]struct {
		status int
		body   func(id, second string) string
		keeps  []string
	}{
		"Entra ID": {401, func(id, second string) string {
			return fmt.Sprintf(`{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret for app '%s'. Trace ID: %s Correlation ID: %s Timestamp: 2026-03-01 12:00:%sZ","error_codes":[7000215],"timestamp":"2026-03-01 12:00:%sZ","trace_id":"%s","correlation_id":"%s"}`, app, id, id, second, second, id, id)
		}, []string{"AADSTS7000215", app}},
		"assertion out of its time": {401, func(_, second string) string {
			return fmt.Sprintf(`{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-03-01T12:00:%s.4170240Z, assertion valid from 2026-03-01T10:00:00Z."}`, second)
		}, []string{"valid from 2026-03-01T10:00:00Z"}},
		"a proxy": {403, func(id, second string) string {
			return fmt.Sprintf(`{"message":"tenant %s is blocked here","client-request-id":"%s","request_id": "%s","date":"Sun, 01 Mar 2026 12:00:%s GMT"}`, tenant, id, id, second)
		}, []string{tenant, "is blocked here"}},
		"a page": {400, func(id, second string) string {
			return fmt.Sprintf("<html><body>Bad request<br>Client-Request-Id: %s<br>x-ms-request-id=%s<br>Time: 2026-03-01T12:00:%sZ</body></html>", id, id, second)
		}, []string{"Bad request"}},
		"out of order": {503, func(id, second string) string {
			return fmt.Sprintf("service unavailable; Request Id: %s, Timestamp: 2026-03-01T12:00:%sZ", id, second)
		}, []string{"service unavailable"}},
	}
	for name, tt := range answers {
		var texts []string
		for _, v := range [][2]string{{"01234567-89ab-4cde-8f01-23456789abcd", "01"}, {"fedcba98-7654-4321-8fed-cba987654321", "59"}} {
			resp := &http.Response{
				StatusCode: tt.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tt.body(v[0], v[1]))),
				Request: &http.Request{Method: "POST", URL: &url.URL{Scheme: "https", Host: "login.example.com"}},
			}
			texts = append(texts, (&session{}).refusedLogin(resp).Error())
		}
		if texts[0] != texts[1] {
			t.Errorf("%s: two refusals differ:\n%s\n%s", name, texts[0], texts[1])
		}
		for _, want := range tt.keeps {
			if !strings.Contains(texts[0], want) {
				t.Errorf("%s: %q is gone from %s", name, want, texts[0])
			}
		}
	}
}
