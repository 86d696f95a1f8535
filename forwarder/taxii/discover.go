package taxii

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"taxii-forwarder/forwarder/intel"
)

// Discovery is what a server says of itself (TAXII 2.1 §4.1).
type Discovery struct {
	Title, Description, Contact string
	// Default is the API root to use when there is no reason for another; may be empty.
	Default string
	// APIRoots are absolute and end in a slash; Default is one of them even
	// where the server forgot to list it.
	APIRoots []string
	// ServerTime is the answer's Date; zero when it had none. A large difference
	// to the local clock explains certificates that are "not yet valid".
	ServerTime time.Time
}

// Discover asks the discovery resource at u. A URL without a path gets the
// specification's, /taxii2/.
func (c *Client) Discover(ctx context.Context, u string) (Discovery, error) {
	at, err := parseURL(u)
	if err != nil {
		return Discovery{}, err
	}
	if at.Path == "" || at.Path == "/" {
		at.Path = "/taxii2/"
	}
	m, resp, err := c.document(ctx, folder(at).String())
	if err != nil {
		return Discovery{}, err
	}
	where := resp.Request.URL
	if err := unexpected(m, where, "apiroots", "title", "default"); err != nil {
		return Discovery{}, err
	}
	d := Discovery{Title: m.text("title"), Description: m.text("description"), Contact: m.text("contact"), ServerTime: date(resp)}
	for _, text := range m.texts("apiroots") {
		if root, ok := resolve(where, text); ok && !slices.Contains(d.APIRoots, root) {
			d.APIRoots = append(d.APIRoots, root)
		} else if !ok {
			c.log.Warn("discovery names an API root that is no URL", "url", plain(where), "root", text)
		}
	}
	if root, ok := resolve(where, m.text("default")); ok {
		d.Default = root
		if !slices.Contains(d.APIRoots, root) {
			d.APIRoots = append(d.APIRoots, root)
		}
	}
	if len(d.APIRoots) == 0 {
		f := intel.Fail(intel.FailProtocol, "GET %s: the server names no API root", plain(where))
		if m["versions"] != nil {
			return d, f.WithHint("this looks like an API root itself; configure it as api_root_url")
		}
		return d, f.WithHint("the credentials may give access to none; configure api_root_url if you know it")
	}
	return d, nil
}

// resolve makes an API root absolute. Relative ones are relative to the
// server (§4.1), those without a slash to the discovery resource.
func resolve(base *url.URL, text string) (string, bool) {
	if text == "" {
		return "", false
	}
	ref, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	u := base.ResolveReference(ref)
	if u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", false
	}
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	return folder(u).String(), true
}

// unexpected reports a document that has none of the names it should have and
// reads like an error.
func unexpected(m members, where *url.URL, names ...string) error {
	for _, name := range names {
		if m[name] != nil && !(name == "title" && (m["httpstatus"] != nil || m["errorcode"] != nil)) {
			return nil
		}
	}
	body, err := marshalMembers(m)
	if err != nil {
		return nil
	}
	if text := errorText(body); text != "" {
		return intel.Fail(intel.FailProtocol, "GET %s: the server answers with an error: %s", plain(where), text)
	}
	return nil
}

func date(resp *http.Response) time.Time {
	t, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// APIRoot is TAXII 2.1 §4.2.
type APIRoot struct {
	URL                string // absolute, ends in a slash
	Title, Description string
	Versions           []string
	MaxContentLength   int64 // of a POST, bytes; 0 = not said
}

// APIRoot asks the API root at u.
func (c *Client) APIRoot(ctx context.Context, u string) (APIRoot, error) {
	at, err := parseURL(u)
	if err != nil {
		return APIRoot{}, err
	}
	m, resp, err := c.document(ctx, folder(at).String())
	if err != nil {
		return APIRoot{}, err
	}
	where := resp.Request.URL
	if err := unexpected(m, where, "versions", "title", "maxcontentlength"); err != nil {
		return APIRoot{}, err
	}
	r := APIRoot{
		URL: folder(where).String(), Title: m.text("title"), Description: m.text("description"),
		Versions: m.texts("versions"), MaxContentLength: m.integer("maxcontentlength"),
	}
	if m["apiroots"] != nil && m["versions"] == nil {
		return r, intel.Fail(intel.FailProtocol, "GET %s: this is a discovery resource, not an API root", plain(where)).
			WithHint("configure it as discovery_url")
	}
	if only20(r.Versions) {
		return r, failure20(plain(where))
	}
	return r, nil
}

// only20 reports whether an API root offers TAXII 2.0 and nothing newer.
func only20(versions []string) bool {
	var old bool
	for _, v := range versions {
		switch {
		case strings.Contains(v, "2.0"):
			old = true
		case strings.Contains(v, "2.1"), strings.Contains(v, "taxii+json"):
			return false
		}
	}
	return old
}
