package transport

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStatusFailureRedacts: a server that repeats the request in its error page
// gets no credential into the message, in whichever way it was sent.
func TestStatusFailureRedacts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "no answer to %s with %s %s %s %s", r.Header.Get("X-Trace"), r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), user, password)
	}))
	defer server.Close()
	tests := []struct {
		name      string
		authorize func(*http.Request)
		hidden    []string
		shown     string
	}{
		{"bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer abcd.efgh") }, []string{"abcd", "efgh"}, "with **redacted**"},
		{"own header", func(r *http.Request) { r.Header.Set("X-API-Key", "key-12345") }, []string{"12345"}, "**redacted**"},
		{"basic", func(r *http.Request) { r.SetBasicAuth("somebody", "pass:word") }, []string{"pass:word", "cGFzczp3b3Jk", "c29tZWJvZHk6"}, "somebody **redacted**"},
		{"key as user", func(r *http.Request) { r.SetBasicAuth("key-12345", "") }, []string{"key-12345"}, "**redacted**"},
		{"none", func(*http.Request) {}, nil, "no answer"},
	}
	for _, tt := range tests {
		c, err := New(Options{Origin: server.URL, Authorize: tt.authorize})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Trace", "trace-1")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := ReadLimited(resp.Body, 1<<20)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := StatusFailure(resp, body).Error()
		if !strings.Contains(text, tt.shown) || !strings.Contains(text, "trace-1") {
			t.Errorf("%s: %s", tt.name, text)
		}
		for _, h := range tt.hidden {
			if strings.Contains(text, h) {
				t.Errorf("%s: %q is in %s", tt.name, h, text)
			}
		}
		c.CloseIdle()
	}
}
