package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestBadCertificates: a server whose certificate can not be trusted fails its
// own feed with one clear error, in check and in run, and nobody else's; once
// the certificate, or ca_file, is right, what is served arrives.
func TestBadCertificates(t *testing.T) {
	ca, other := newAuthority(t, "Example Private CA"), newAuthority(t, "Other CA")
	hour := time.Hour
	tests := []struct {
		name string
		cert leaf
		ca   string // in ca_file at first; "" = none of ours
		want []string
	}{
		{"expired", leaf{from: time.Now().Add(-48 * hour), until: time.Now().Add(-24 * hour), ips: good().ips}, ca.pem(),
			[]string{"expired on " + time.Now().Add(-24*hour).UTC().Format("2006-01-02"), "the server needs a new certificate", "clock"}},
		{"not_yet", leaf{from: time.Now().Add(24 * hour), until: time.Now().Add(48 * hour), ips: good().ips}, ca.pem(),
			[]string{"not valid before", "this machine's clock says", "is it right?"}},
		{"wrong_host", leaf{from: good().from, until: good().until, hosts: []string{"taxii.example.com"}}, ca.pem(),
			[]string{"not for 127.0.0.1 but for taxii.example.com", "tls.server_name"}},
		{"self_signed", leaf{from: good().from, until: good().until, ips: good().ips, self: true}, ca.pem(),
			[]string{"unknown authority", "private authority", "tls.ca_file"}},
		{"other_authority", good(), other.pem(),
			[]string{"unknown authority", "private authority", "tls.ca_file"}},
	}
	const each = 5
	dir := t.TempDir()
	out := filepath.Join(dir, "out.ndjson")
	var cfg strings.Builder
	fmt.Fprintf(&cfg, "state { dir = %q }\nhttp { listen = \"off\" }\nsink \"file\" \"out\" {\n path = %q\n}\n", filepath.Join(dir, "state"), out)
	feed := func(name, url, ca string) {
		fmt.Fprintf(&cfg, "feed %q {\n discovery_url = %q\n auth \"none\" {}\n poll_interval = \"1h\"\n tls {\n  ca_file = %q\n }\n}\n", name, url, ca)
	}
	trusted := serveTLS(t, 0, each, ca.issue(t, good()))
	feed("good", trusted.discovery(), write(t, dir, "ca.pem", "%s", ca.pem()))
	var servers []*tlsServer
	for i, tt := range tests {
		s := serveTLS(t, 1000*(i+1), each, ca.issue(t, tt.cert))
		feed(tt.name, s.discovery(), write(t, dir, tt.name+".pem", "%s", tt.ca))
		servers = append(servers, s)
	}
	// One port speaks no TLS at all.
	plain, _ := serve(t, taxiitest.Options{}, 9000, each)
	feed("no_tls", strings.Replace(plain.URL(), "http://", "https://", 1), filepath.Join(dir, "ca.pem"))
	config := write(t, dir, "forwarder.hcl", "%s", cfg.String())
	check := func(what, name, text string, want []string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s %s does not say %q: %s", what, name, w, text)
			}
		}
	}
	noTLS := []string{"does not speak TLS on this port", "http://"}

	// check --online tells them all, each in a line of its own.
	r := call(t, "check", "--online", "--config", config)
	r.one(t, exitError, `^taxii-forwarder check: 6 of 8 can not be used as configured$`)
	lines := map[string]string{}
	for _, l := range strings.Split(r.stdout, "\n") {
		if f := strings.Fields(l); len(f) > 2 {
			lines[f[2]] = l
		}
	}
	for _, tt := range tests {
		check("check --online", tt.name, lines[tt.name], append(tt.want, "FAILED", "GET https://127.0.0.1"))
	}
	check("check --online", "no_tls", lines["no_tls"], noTLS)
	check("check --online", "good", lines["good"], []string{"ok ", "follows 1 of the 1"})

	p := startProgram(t, config)
	var s status.Status
	p.until("the bad feeds have failed and the good one has arrived", func() bool {
		s = ask(t, dir)
		for _, tt := range tests {
			if feedStatus(s, tt.name).State != status.StateFailing {
				return false
			}
		}
		return len(archived(t, out)) == each && feedStatus(s, "no_tls").State == status.StateFailing
	})
	for _, tt := range tests {
		f := feedStatus(s, tt.name)
		check("the status of", tt.name, f.Error, append(tt.want, "GET https://127.0.0.1"))
		if f.FailureKind != "tls" {
			t.Errorf("%s: the failure is of kind %s", tt.name, f.FailureKind)
		}
	}
	check("the status of", "no_tls", feedStatus(s, "no_tls").Error, noTLS)

	for i, tt := range tests {
		cert := ca.issue(t, good())
		servers[i].cert.Store(&cert)
		replaceFile(t, filepath.Join(dir, tt.name+".pem"), ca.pem())
	}
	if r := call(t, "reload", "--config", config); r.code != exitOK {
		t.Fatalf("reload: %s", r.stderr)
	}
	p.until("everything has arrived", func() bool { return len(archived(t, out)) == each*(1+len(tests)) })
}

// TestBadCertificateFiles: files that a tls block names are looked at before
// anything starts, and at a reload before anything stops.
func TestBadCertificateFiles(t *testing.T) {
	ca := newAuthority(t, "Example Private CA")
	server := serveTLS(t, 0, 3, ca.issue(t, good()))
	dir := t.TempDir()
	caFile := write(t, dir, "ca.pem", "%s", ca.pem())
	write(t, dir, "broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	write(t, dir, "text.pem", "this is no certificate")
	out := filepath.Join(dir, "out.ndjson")
	configure := func(name, tls string) string {
		return write(t, dir, name, `state { dir = %q }
http  { listen = "off" }
feed "f" {
  discovery_url = %q
  auth "none" {}
  poll_interval = "1h"
  tls {
    %s
  }
}
sink "file" "out" {
  path = %q
}
`, filepath.Join(dir, "state"), server.discovery(), tls, out)
	}
	tests := []struct{ name, tls, want string }{
		{"missing", fmt.Sprintf("ca_file = %q", filepath.Join(dir, "nowhere.pem")), `nowhere\.pem does not exist`},
		{"directory", fmt.Sprintf("ca_file = %q", dir), `is a directory; name a PEM file`},
		{"text", fmt.Sprintf("ca_file = %q", filepath.Join(dir, "text.pem")), `text\.pem is not PEM; convert it with "openssl x509`},
		{"broken", fmt.Sprintf("ca_file = %q", filepath.Join(dir, "broken.pem")), `certificate 1 in .*broken\.pem is damaged`},
		{"key_missing", fmt.Sprintf("cert_file = %q", caFile), `holds no private key.*key_file`},
	}
	config := configure("forwarder.hcl", fmt.Sprintf("ca_file = %q", caFile))
	p := startProgram(t, config)
	p.until("it has polled", func() bool { return len(archived(t, out)) == 3 })
	for _, tt := range tests {
		bad := configure(tt.name+".hcl", tt.tls)
		want := `^taxii-forwarder \w+: .*` + tt.name + `\.hcl: 1 error in it: line \d+: .*` + tt.want
		call(t, "check", "--config", bad).one(t, exitError, want)
		call(t, "run", "--allow-root", "--config", bad).one(t, exitError, want)
		configure("forwarder.hcl", tt.tls)
		call(t, "reload", "--config", config).one(t, exitError, tt.want)
		if s := ask(t, dir); !s.Running || s.Config.LastReloadOK || !strings.Contains(s.Config.Error, "1 error") {
			t.Errorf("%s: after a refused reload: running %v, config %+v", tt.name, s.Running, s.Config)
		}
	}
	configure("forwarder.hcl", fmt.Sprintf("ca_file = %q", caFile))
	if r := call(t, "reload", "--config", config); r.code != exitOK {
		t.Errorf("reload: %s", r.stderr)
	}
}
