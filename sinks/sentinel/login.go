package sentinel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/transport"
)

// loginHints explain the Entra ID errors that set-ups run into
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
var loginHints = map[string]string{
	"AADSTS7000215": "client_secret is wrong; use the secret's value, not its id",
	"AADSTS7000222": "the client secret has expired; create a new one for the application",
	"AADSTS7000216": "the request had no client secret or certificate; check the credential block",
	"AADSTS700016":  "the application is not in this tenant; check client_id and tenant_id",
	"AADSTS900023":  "tenant_id is neither a GUID nor a domain",
	"AADSTS90002":   "the tenant does not exist in this cloud; check tenant_id, cloud and authority_host",
	"AADSTS700027":  "the certificate is not registered with the application, or has expired",
	"AADSTS700024":  "the login is dated outside its validity; is this machine's clock right?",
	"AADSTS70021":   "no federated credential of the application matches this workload's token",
	"AADSTS700211":  "no federated credential of the application has this token's issuer",
	"AADSTS700212":  "no federated credential of the application has this token's audience",
	"AADSTS700213":  "no federated credential of the application has this token's subject",
	"AADSTS500011":  "the scope is not known in this tenant; check cloud and scope",
	"AADSTS53003":   "a conditional access policy blocks the login; exempt the application or its address",
	"AADSTS7000112": "the application is disabled",
}

var aadsts = regexp.MustCompile(`AADSTS\d+`)

// maxLoginText bounds what of a login library's message is repeated.
const maxLoginText = 1000

// loginFailure classifies what a pipeline returned instead of an answer.
func (s *session) loginFailure(ctx context.Context, err error, n *note) error {
	var f *intel.Failure
	token, cause := n.get()
	if errors.As(err, &f) {
		return f
	}
	var refused *azidentity.AuthenticationFailedError
	if errors.As(err, &refused) && refused.RawResponse != nil {
		return s.refusedLogin(refused.RawResponse)
	}
	if ctx.Err() != nil {
		return &intel.Failure{Kind: intel.FailTimeout, Err: fmt.Errorf("log in to Azure: %w", context.Cause(ctx))}
	}
	if errors.As(cause, &f) {
		return &intel.Failure{Kind: f.Kind, RetryAfter: f.RetryAfter, Hint: f.Hint, Err: fmt.Errorf("log in to Azure: %w", f.Err)}
	}
	text := oneLine(steady(string(s.redact([]byte(err.Error()), token))))
	return intel.Fail(intel.FailAuth, "log in to Azure: %s", text).WithHint("%s", loginHint(text))
}

// refusedLogin explains the answer of a token endpoint.
func (s *session) refusedLogin(resp *http.Response) error {
	body, _ := runtime.Payload(resp)
	body = s.redact(body, "")
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		f := transport.StatusFailure(resp, []byte(steady(string(body))))
		f.Err = fmt.Errorf("log in to Azure: %w", f.Err)
		return f
	}
	var oauth struct { // RFC 6749 §5.2
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text := fmt.Sprintf("status %d", resp.StatusCode)
	if json.Unmarshal(body, &oauth) == nil && oauth.Error != "" {
		// The description's further lines are trace ids and a time stamp.
		line, _, _ := strings.Cut(oauth.Description, "\n")
		text = strings.TrimSpace(oauth.Error + ": " + oneLine(steady(line)))
	} else if said := transport.Snippet([]byte(steady(string(body)))); said != "" {
		text += ": " + said
	}
	return intel.Fail(intel.FailAuth, "log in to Azure: %s", text).WithHint("%s", loginHint(text))
}

// volatile matches what differs from one refusal to the next: the ids of the
// request, which some answers echo, and its time. Other ids, of tenants and
// applications, are what the reader needs.
var volatile = regexp.MustCompile(`(?i)[,;]?\s*["']?\b(?:(?:client|x-ms|ms)[-_ ]?)*(?:request|correlation|trace|session)[-_ ]?id\b["']?\s*[:=]?\s*["']?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b["']?` +
	`|[,;]?\s*["']?\b(?:timestamp|date|time|current time)\b["']?\s*[:=]\s*["']?(?:\w{3}, \d{1,2} \w{3} \d{4} [\d:]{8} GMT|\d{4}-\d\d-\d\d[T ][\d:]{8}(?:\.\d+)?Z?)["']?`)

// steady leaves out of an error what would make every attempt look like a new
// one in the log.
func steady(text string) string { return volatile.ReplaceAllString(text, "") }

func loginHint(text string) string {
	if hint, ok := loginHints[aadsts.FindString(text)]; ok {
		return hint
	}
	return "check the credential block: kind, tenant_id, client_id and secret"
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxLoginText {
		s = strings.ToValidUTF8(s[:maxLoginText], "") + "…"
	}
	return s
}

// throttledFor finds how long a 429 asks to wait: by header, else in the text
// of its body, else a minute, the window that requests are counted in.
func throttledFor(h http.Header, body []byte, now time.Time) time.Duration {
	if d, ok := transport.RetryAfter(h, now); ok {
		return max(d, time.Second)
	}
	if m := tryAgain.FindSubmatch(body); m != nil {
		if d, err := time.ParseDuration(string(m[1]) + "s"); err == nil {
			return min(max(d, time.Second), 24*time.Hour)
		}
	}
	return time.Minute
}

// tryAgain matches "Rate limit is exceeded. Try again in 30 seconds."
var tryAgain = regexp.MustCompile(`(?i)again in (\d{1,9}) ?s`)
