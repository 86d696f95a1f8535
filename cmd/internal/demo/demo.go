// Package demo shows the forwarder at work on one machine without any set-up:
// a TAXII server and stand-ins for Splunk, Microsoft Sentinel and Elasticsearch
// on loopback, and between them the real program with a real configuration.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/taxii/taxiitest"
	"taxii-forwarder/sinks/elasticsearch/elastictest"
	"taxii-forwarder/sinks/sentinel/sentineltest"
	"taxii-forwarder/sinks/splunk/splunktest"
)

// limit bounds the whole demo.
const limit = 30 * time.Second

// Options say how to run the demo.
type Options struct {
	Dir      string // for configuration, state and log; "" = a temporary one, removed afterwards
	Out      io.Writer
	Terminal bool // Out may be drawn over
	Version  string
}

// stage is what stands around the forwarder.
type stage struct {
	feed       *feed
	taxii      *taxiitest.Server
	collection *taxiitest.Collection
	splunk     *splunktest.Server
	sentinel   *sentineltest.Server
	elastic    *elastictest.Server
	archive    string
	apiKey     string
	config     string
	log        string
}

// Run runs the demo. The error says what is missing anywhere; it is nil only
// when every indicator is where it should be, and nothing is where it should
// not.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "taxii-forwarder-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s, err := set(dir)
	if err != nil {
		return err
	}
	defer s.strike()
	fmt.Fprintf(o.Out, "TAXII server    %s\nSplunk HEC      %s (stand-in)\nSentinel        %s (stand-in)\nElasticsearch   %s (stand-in)\n",
		s.taxii.URL(), s.splunk.URL(), s.sentinel.URL(), s.elastic.URL())
	if o.Dir != "" {
		fmt.Fprintf(o.Out, "configuration   %s\nlog             %s\n", s.config, s.log)
	}

	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	a, err := app.Start(ctx, app.Options{ConfigPath: s.config, Version: o.Version, LogOutput: log})
	if err != nil {
		return err
	}
	defer func() {
		if serr := a.Stop(context.WithoutCancel(ctx)); err == nil {
			err = serr
		}
	}()
	fmt.Fprintf(o.Out, "status page     http://%s\n\n", a.Addr())

	p := progress{out: o.Out, draw: o.Terminal}
	if err := s.play(ctx, a, &p); err != nil {
		p.done()
		return err
	}
	p.done()
	if err := a.Stop(ctx); err != nil {
		return err
	}
	return s.report(ctx, a, o.Out)
}

// play serves the feed, lets the forwarder follow, changes the feed, and lets
// it follow again.
func (s *stage) play(ctx context.Context, a *app.App, p *progress) error {
	if err := s.settle(ctx, a, p, "first poll", nil); err != nil {
		return err
	}
	before := s.requests()
	served := len(s.feed.objects)
	expiry := 2 * time.Second
	s.feed.change(time.Now(), expiry)
	due := time.Now().Add(expiry)
	for _, raw := range s.feed.objects[served:] {
		s.collection.Add(time.Now(), raw)
	}
	expired := func(st status.Status) bool { return time.Now().After(due) && st.Feeds[0].Expired >= 10 }
	if err := s.settle(ctx, a, p, "changes, revocations, expiries", expired); err != nil {
		return err
	}
	if s.requests() == before {
		return errors.New("the changed feed caused no request to any sink")
	}
	return nil
}

// settle waits until a poll that began later than now has ended, every route
// has caught up, and more says so too.
func (s *stage) settle(ctx context.Context, a *app.App, p *progress, what string, more func(status.Status) bool) error {
	begun := time.Now()
	polls, calm := 0, 0
	var last time.Time
	for {
		st := a.Status(ctx)
		pending := int64(0)
		for _, r := range st.Routes {
			pending += r.Pending
		}
		if len(st.Feeds) > 0 {
			f := st.Feeds[0]
			if f.LastSuccess.After(begun) && f.LastSuccess.After(last) {
				polls++ // the second one to end began after the change
				last = f.LastSuccess
			}
			p.show(what, f, st.Routes)
			if polls < 2 || pending > 0 || len(st.Routes) < 4 || more != nil && !more(st) {
				calm = 0
			} else if calm++; calm == 2 {
				return nil // a status reads its counts before it reads how the polls went
			}
			if f.State == status.StateFailing {
				return fmt.Errorf("%s: %s", what, f.Error)
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: not done within %s, %d changes pending; see the log", what, limit, pending)
		}
	}
}

func (s *stage) requests() int {
	return s.splunk.Requests("event") + s.sentinel.Requests() + s.elastic.Stats().Bulks
}

// set starts the servers and writes the configuration.
func set(dir string) (s *stage, err error) {
	s = &stage{
		archive: filepath.Join(dir, "indicators.ndjson"), config: filepath.Join(dir, "config.hcl"), log: filepath.Join(dir, "forwarder.log"),
		apiKey: "demo-key-of-the-taxii-server",
	}
	defer func() {
		if err != nil {
			s.strike()
		}
	}()
	s.taxii = taxiitest.New(taxiitest.Options{Auth: taxiitest.Auth{Kind: "bearer", Token: s.apiKey}, PageCap: 250})
	s.collection = s.taxii.AddCollection(taxiitest.Info{ID: "5d0f0de0-0000-4000-8000-000000000001", Alias: "demo", Title: "Demo indicators"})
	s.feed = newFeed(time.Now().Add(-time.Hour))
	added := time.Now().Add(-30 * time.Minute)
	for i, raw := range s.feed.objects {
		// Five objects share each date added, so that pages end between equals.
		s.collection.Add(added.Add(time.Duration(i/5)*time.Millisecond), raw)
	}
	s.splunk = splunktest.NewServer(splunktest.Options{Ack: true, Indexes: []string{"threat_intel"}})
	s.elastic = elastictest.NewServer(elastictest.Options{APIKey: "demo:elasticsearch"})
	if s.sentinel, err = sentineltest.NewServer(sentineltest.Options{}); err != nil {
		return s, err
	}
	// One document in each destination is refused, to show what becomes of it.
	s.poison(indicatorID(10))
	return s, s.write(dir)
}

// strike takes the servers down.
func (s *stage) strike() {
	for _, c := range []interface{ Close() }{s.taxii, s.splunk, s.sentinel, s.elastic} {
		switch v := c.(type) {
		case *taxiitest.Server:
			if v != nil {
				v.Close()
			}
		case *splunktest.Server:
			if v != nil {
				v.Close()
			}
		case *sentineltest.Server:
			if v != nil {
				v.Close()
			}
		case *elastictest.Server:
			if v != nil {
				v.Close()
			}
		}
	}
}

const configText = `# The demo's configuration, as it ran. The servers are gone; the form is real.
log   { level = "debug" }
state { dir = %q }
http  { listen = "127.0.0.1:0" }

feed "demo" {
  discovery_url = %q
  auth "bearer" {
    token = file(%q)
  }
  poll_interval = "1s"
  page_size     = 250
}

sink "splunk_hec" "soc" {
  url   = %q
  token = file(%q)
  index = "threat_intel"
}

sink "sentinel" "corp" {
  workspace_id = %q
  credential "client_secret" {
    tenant_id     = %q
    client_id     = %q
    client_secret = file(%q)
  }
  endpoint                   = %q
  authority_host             = %q
  disable_instance_discovery = true
  tls {
    ca_file = %q
  }
}

sink "elasticsearch" "elastic" {
  addresses = [%q]
  api_key   = file(%q)
}

sink "file" "archive" {
  path = %q
}
`

// write writes the configuration and the files with the secrets it names.
func (s *stage) write(dir string) error {
	for name, text := range map[string]string{
		"taxii-key": s.apiKey, "hec-token": s.splunk.Token(), "azure-secret": sentineltest.ClientSecret, "es-key": "demo:elasticsearch",
		"sentinel-ca.pem": string(s.sentinel.CAPEM()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			return err
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	text := fmt.Sprintf(configText, in("state"), s.taxii.URL(), in("taxii-key"), s.splunk.URL(), in("hec-token"),
		s.sentinel.WorkspaceID(), sentineltest.TenantID, sentineltest.ClientID, in("azure-secret"), s.sentinel.URL(), s.sentinel.URL(), in("sentinel-ca.pem"),
		s.elastic.URL(), in("es-key"), s.archive)
	text = strings.ReplaceAll(text, "${", "$${")
	return os.WriteFile(s.config, []byte(text), 0o600)
}
