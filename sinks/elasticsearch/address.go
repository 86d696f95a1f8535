package elasticsearch

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseAddress parses the URL of a node. Its errors do not repeat what may be a
// password.
func parseAddress(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil:
		return nil, errors.New("an address is no URL; write it as \"https://es.example.com:9200\"")
	case u.User != nil:
		return nil, fmt.Errorf("address %s holds a user name; use username and password instead", u.Host)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, fmt.Errorf("address %q is no http or https URL; write it as \"https://es.example.com:9200\"", s)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("address of %s has a query or fragment; remove it", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// parseCloudID returns the Elasticsearch URL of an Elastic Cloud deployment:
// after an optional label and colon, base64 of "domain$elasticsearch$kibana",
// where domain and parts may carry a port.
func parseCloudID(id string) (*url.URL, error) {
	bad := errors.New("cloud_id can not be decoded; copy it whole from the deployment's page in Elastic Cloud")
	id = strings.TrimSpace(id)
	code := id[strings.LastIndexByte(id, ':')+1:]
	plain, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		if plain, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(code, "=")); err != nil {
			return nil, bad
		}
	}
	parts := strings.Split(string(plain), "$")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return nil, bad
	}
	domain, port, _ := strings.Cut(parts[0], ":")
	name, ownPort, ok := strings.Cut(parts[1], ":")
	if ok {
		port = ownPort
	}
	host := name + "." + domain
	if port != "" && port != "443" {
		host += ":" + port
	}
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host || strings.ContainsAny(host, "/?#@ ") {
		return nil, bad
	}
	return u, nil
}
