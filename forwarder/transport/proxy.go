package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// ProxyDirect as a proxy URL means: no proxy, whatever the environment says.
const ProxyDirect = "direct"

// proxyFunc chooses the proxy of a request. The environment is read now and
// not, as net/http does, once per process.
func proxyFunc(proxyURL string) (func(*http.Request) (*url.URL, error), error) {
	if proxyURL == ProxyDirect {
		return nil, nil
	}
	conf := httpproxy.FromEnvironment()
	if proxyURL != "" {
		if err := CheckProxyURL(proxyURL); err != nil {
			return nil, err
		}
		conf = &httpproxy.Config{HTTPProxy: proxyURL, HTTPSProxy: proxyURL, NoProxy: conf.NoProxy}
	}
	choose := conf.ProxyFunc()
	return func(req *http.Request) (*url.URL, error) { return choose(req.URL) }, nil
}

// CheckProxyURL returns an error when s can not be a proxy's URL. The error
// does not repeat s, which may hold a password.
func CheckProxyURL(s string) error {
	if s == "" || s == ProxyDirect {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errors.New("the proxy is not a URL; write \"http://proxy.example.com:3128\", or \"direct\" for none")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return fmt.Errorf("a proxy of scheme %q is not known; use http, https, socks5 or socks5h", u.Scheme)
}
