package transport

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"taxii-forwarder/forwarder/intel"
)

// maxRetryAfter bounds what a server may ask for: a wrong clock or unit must
// not silence a feed for good.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long an answer asks its client to wait, and whether
// it does: Retry-After as seconds or a date (RFC 9110 §10.2.3), else the reset
// of a rate limit as Unix time or seconds. It is between 0 and 24 h. Dates are
// compared with the answer's own Date, so that it does not matter what clock
// the server has; with now if it has none.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	now = serverTime(h, now)
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get(name)), 64); err == nil {
			return boundWait(ms * float64(time.Millisecond)), true
		}
	}
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			return boundWait(s * float64(time.Second)), true
		}
		if at, err := http.ParseTime(v); err == nil {
			return boundWait(float64(at.Sub(now))), true
		}
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return boundWait(float64(at.Sub(now))), true
		}
	}
	return untilReset(h, now)
}

// untilReset returns when a rate limit's window ends, from now on: said as Unix
// time or as seconds.
func untilReset(h http.Header, now time.Time) (time.Duration, bool) {
	v, ok := number(h, "Reset")
	now = serverTime(h, now)
	switch {
	case !ok:
		return 0, false
	case v >= 1e12: // Unix milliseconds
		return boundWait((v - float64(now.UnixMilli())) * float64(time.Millisecond)), true
	case v >= 1e8: // Unix seconds; no window lasts for years
		return boundWait((v - float64(now.UnixMilli())/1000) * float64(time.Second)), true
	}
	return boundWait(v * float64(time.Second)), true // seconds from now
}

// serverTime is the server's clock as an answer shows it, else now.
func serverTime(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

func boundWait(d float64) time.Duration {
	if !(d > 0) { // NaN included
		return 0
	}
	return time.Duration(min(d, float64(maxRetryAfter)))
}

// StatusFailure builds the failure for an answer that is no success, from its
// status, headers and the beginning of its body, without the credentials that
// the body may repeat.
func StatusFailure(resp *http.Response, body []byte) *intel.Failure {
	what := "unknown request"
	if resp.Request != nil {
		what = describe(resp.Request)
	}
	text := what + ": " + statusText(resp.StatusCode)
	s := Snippet(Redact(resp, body))
	if rest, again := strings.CutPrefix(s, statusText(resp.StatusCode)); again {
		s = strings.TrimLeft(rest, " :.-") // a page that says so too
	}
	if s != "" {
		text += ": " + s
	}
	f := &intel.Failure{Kind: kindOf(resp.StatusCode), Err: fmt.Errorf("%s", text)}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		f.Hint = "the credentials are missing or wrong"
	case http.StatusForbidden:
		f.Hint = "the credentials are known but lack the permission"
	case http.StatusNotFound:
		f.Hint = "check the URL"
	case http.StatusProxyAuthRequired:
		f.Hint = "the proxy wants a user name and password in its URL"
	}
	if isRedirect(resp.StatusCode) {
		if to, err := resp.Location(); err == nil {
			f.WithHint("the server says that this is at %s; configure that URL if it is right", describeURL(to))
		}
	}
	if d, ok := RetryAfter(resp.Header, time.Now()); ok && (f.Kind == intel.FailThrottled || f.Kind == intel.FailServer) {
		f.RetryAfter = d
	}
	return f
}

func statusText(code int) string {
	if t := http.StatusText(code); t != "" {
		return strconv.Itoa(code) + " " + t
	}
	return "status " + strconv.Itoa(code)
}

func kindOf(code int) intel.FailureKind {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return intel.FailAuth
	case http.StatusNotFound, http.StatusGone:
		return intel.FailNotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return intel.FailTimeout
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return intel.FailThrottled
	}
	if code >= 500 {
		return intel.FailServer
	}
	return intel.FailProtocol
}

// ReadLimited reads all of r, which must not be longer than n bytes.
func ReadLimited(r io.Reader, n int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, n+1))
	if err != nil {
		return data, err
	}
	if int64(len(data)) > n {
		return data[:n], intel.Fail(intel.FailProtocol, "the answer is longer than %d bytes", n)
	}
	return data, nil
}

const maxSnippet = 200

// Snippet returns the beginning of an error body for a message: at most 200
// printable characters on one line, an HTML page without its tags.
func Snippet(body []byte) string {
	const look = 16 << 10
	if len(body) > look {
		body = body[:look]
	}
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	if looksHTML(text) {
		text = html.UnescapeString(stripTags(withoutTitle(text)))
	}
	var (
		b     strings.Builder
		n     int
		space bool
	)
	for _, r := range text {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = n > 0
			continue
		}
		if n >= maxSnippet-2 {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func looksHTML(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s[:min(len(s), 1024)]))
	return strings.HasPrefix(s, "<") && (strings.Contains(s, "<html") || strings.Contains(s, "<!doctype") || strings.Contains(s, "<head") || strings.Contains(s, "<body"))
}

// withoutTitle drops the title of a page whose body begins with it.
func withoutTitle(s string) string {
	open := indexFold(s, "<title")
	if open < 0 {
		return s
	}
	length := indexFold(s[open:], "</title>")
	if length < 0 {
		return s
	}
	words := func(s string) string { return strings.Join(strings.Fields(html.UnescapeString(stripTags(s))), " ") }
	title, body := words(s[open:open+length]), s[open+length:]
	if strings.HasPrefix(words(body), title) {
		return s[:open] + body
	}
	return s
}

// stripTags drops tags, comments, scripts and styles. It is for a message, not
// for safety.
func stripTags(s string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:open])
		b.WriteByte(' ')
		s = s[open:]
		end := ">"
		switch {
		case strings.HasPrefix(s, "<!--"):
			end = "-->"
		case hasPrefixFold(s, "<script"):
			end = "</script>"
		case hasPrefixFold(s, "<style"):
			end = "</style>"
		}
		i := indexFold(s, end)
		if i < 0 {
			return b.String()
		}
		s = s[i+len(end):]
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}
