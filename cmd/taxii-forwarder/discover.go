package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/cmd/internal/app"
	"taxii-forwarder/forwarder/config"
	"taxii-forwarder/forwarder/setting"
	"taxii-forwarder/forwarder/taxii"
	"taxii-forwarder/forwarder/transport"
)

var discoverCommand = &command{
	name: "discover", args: "URL [flags]", short: "list the API roots and collections of a TAXII server",
	long: `Asks a TAXII 2.1 server's discovery URL (or an API root, with --api-root) what it
has and prints it as a table. Secrets are read from the environment or a file,
never from the command line, where every user of the machine could see them:

  taxii-forwarder discover https://socdefenders.ai/api/taxii2/ --bearer-env SOCDEFENDERS_API_KEY

What READ says "yes" for can be named in a feed's collections, by id, alias or title.`,
}

// found is one API root with its collections, in the form --json prints.
type found struct {
	Root        string            `json:"api_root"`
	Title       string            `json:"title,omitempty"`
	Default     bool              `json:"default,omitempty"`
	Collections []foundCollection `json:"collections"`
	Error       string            `json:"error,omitempty"`
}

type foundCollection struct {
	ID          string   `json:"id"`
	Alias       string   `json:"alias,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types,omitempty"`
}

func init() {
	discoverCommand.run = func(ctx context.Context, e *environment, args []string) error {
		fs := discoverCommand.flags()
		isRoot := fs.Bool("api-root", false, "URL is an API root, not a discovery URL")
		asJSON := fs.Bool("json", false, "print JSON")
		bearerEnv := fs.String("bearer-env", "", "bearer token from environment variable `NAME`")
		bearerFile := fs.String("bearer-file", "", "bearer token from `FILE`")
		user := fs.String("user", "", "basic authentication as `NAME`")
		passwordEnv := fs.String("password-env", "", "password from environment variable `NAME`")
		passwordFile := fs.String("password-file", "", "password from `FILE`")
		header := fs.String("header", "", "send the secret in the header `NAME`")
		headerEnv := fs.String("header-env", "", "that header's value from environment variable `NAME`")
		headerFile := fs.String("header-file", "", "that header's value from `FILE`")
		var tls transport.TLS
		fs.StringVar(&tls.CAFile, "ca-file", "", "certificate authority `FILE` (PEM)")
		fs.StringVar(&tls.CertFile, "cert-file", "", "client certificate `FILE` (PEM)")
		fs.StringVar(&tls.KeyFile, "key-file", "", "client key `FILE` (PEM)")
		proxy := fs.String("proxy-url", "", "proxy `URL`; else the environment's")
		trusted := fs.String("trusted-hosts", "", "further `HOSTS` that may see the credentials, comma-separated")
		timeout := fs.Duration("timeout", 30*time.Second, "give up after this `TIME` without an answer")
		operands, err := discoverCommand.parse(e, fs, args)
		if err != nil {
			return err
		}
		if len(operands) != 1 {
			return usagef("want one URL")
		}
		if u, err := url.Parse(operands[0]); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return usagef("%q is not an http or https URL", operands[0])
		} else if u.User != nil {
			return usagef("the URL holds a user name; every user of this machine can see the command line, so use --user with --password-env or --password-file")
		}
		if u, err := url.Parse(*proxy); err == nil && u.User != nil {
			if _, ok := u.User.Password(); ok {
				return usagef("--proxy-url holds a password; every user of this machine can see the command line, so set HTTPS_PROXY instead")
			}
		}
		f := config.Feed{Name: "discover", DiscoveryURL: operands[0], TLS: &tls, ProxyURL: *proxy, Timeout: *timeout}
		if *isRoot {
			f.DiscoveryURL, f.APIRootURL = "", operands[0]
		}
		if *trusted != "" {
			f.TrustedHosts = strings.Split(*trusted, ",")
		}
		if f.Auth, err = authFlags(*bearerEnv, *bearerFile, *user, *passwordEnv, *passwordFile, *header, *headerEnv, *headerFile); err != nil {
			return err
		}
		if problems := tls.Validate(); len(problems) > 0 {
			return usagef("%s: %s", problems[0].Path, problems[0].Message)
		}
		v, _, _ := build()
		client, err := app.Client(f, hclog.NewNullLogger(), v)
		if err != nil {
			return err
		}
		p := newProgress(e.stderr)
		title, roots, err := discover(ctx, client, f, p)
		p.clear()
		if err != nil && len(roots) == 0 {
			return err
		}
		if *asJSON {
			out := json.NewEncoder(e.stdout)
			out.SetIndent("", "  ")
			out.SetEscapeHTML(false)
			out.Encode(map[string]any{"title": title, "api_roots": roots})
			return err
		}
		printRoots(e, title, roots)
		return err
	}
}

// authFlags builds the credentials; at most one kind may be given.
func authFlags(bearerEnv, bearerFile, user, passwordEnv, passwordFile, header, headerEnv, headerFile string) (config.Auth, error) {
	var a config.Auth
	kinds := 0
	if bearerEnv != "" || bearerFile != "" {
		kinds++
		a.Kind = "bearer"
		var err error
		if a.Token, err = secret("--bearer", bearerEnv, bearerFile); err != nil {
			return a, err
		}
	}
	if user != "" {
		kinds++
		a.Kind, a.Username = "basic", user
		var err error
		if a.Password, err = secret("--password", passwordEnv, passwordFile); err != nil {
			return a, err
		}
	}
	if header != "" {
		kinds++
		a.Kind, a.Name = "header", header
		var err error
		if a.Value, err = secret("--header", headerEnv, headerFile); err != nil {
			return a, err
		}
	}
	if kinds > 1 {
		return a, usagef("give one kind of credentials: bearer, user or header")
	}
	return a, nil
}

// secret reads a secret from an environment variable or a file; neither is an
// empty secret, which some servers want as password.
func secret(flag, env, file string) (setting.Secret, error) {
	switch {
	case env != "" && file != "":
		return "", usagef("%s-env and %s-file exclude each other", flag, flag)
	case env != "":
		v, ok := os.LookupEnv(env)
		if !ok {
			return "", usagef("%s-env: environment variable %s is not set", flag, env)
		}
		return setting.Secret(v), nil
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s-file: %w", flag, err)
		}
		return setting.Secret(strings.TrimRight(string(b), "\r\n")), nil
	}
	return "", nil
}

// discover asks for everything. Roots are returned beside an error when all of
// them failed; a root that fails beside others that do not is no error.
func discover(ctx context.Context, c *taxii.Client, f config.Feed, p *progress) (title string, roots []found, err error) {
	urls := []string{f.APIRootURL}
	var preferred string
	if f.APIRootURL == "" {
		p.say("asking %s …", f.DiscoveryURL)
		d, err := c.Discover(ctx, f.DiscoveryURL)
		if err != nil {
			return "", nil, err
		}
		title, urls, preferred = d.Title, d.APIRoots, d.Default
	}
	failed := 0
	for _, u := range urls {
		p.say("asking %s …", u)
		r := found{Root: u, Default: u == preferred, Collections: []foundCollection{}}
		if info, err := c.APIRoot(ctx, u); err == nil {
			r.Title = info.Title
		}
		cs, cerr := app.Collections(ctx, c, u)
		if cerr != nil {
			if len(urls) == 1 || ctx.Err() != nil {
				return title, nil, cerr
			}
			r.Error = oneLine(cerr.Error())
			failed++
		}
		for _, k := range cs {
			r.Collections = append(r.Collections, foundCollection{
				ID: k.ID, Alias: k.Alias, Title: k.Title, Description: k.Description, CanRead: k.CanRead, CanWrite: k.CanWrite, MediaTypes: k.MediaTypes,
			})
		}
		roots = append(roots, r)
	}
	if failed > 0 && failed == len(urls) {
		return title, roots, fmt.Errorf("none of the %d API roots can be read with these credentials", failed)
	}
	return title, roots, nil
}

func printRoots(e *environment, title string, roots []found) {
	col := colour(e.stdout)
	if title != "" {
		fmt.Fprintln(e.stdout, paint(col, bold, oneLine(title)))
	}
	collections, readable := 0, 0
	for _, r := range roots {
		fmt.Fprintf(e.stdout, "\nAPI root %s", oneLine(r.Root))
		if r.Title != "" {
			fmt.Fprintf(e.stdout, "  %s", oneLine(r.Title))
		}
		if r.Default {
			fmt.Fprint(e.stdout, "  (default)")
		}
		fmt.Fprintln(e.stdout)
		if r.Error != "" {
			fmt.Fprintf(e.stdout, "  %s: %s\n", paint(col, red, "can not be read"), r.Error)
			continue
		}
		if len(r.Collections) == 0 {
			fmt.Fprintln(e.stdout, "  no collections that these credentials may see")
			continue
		}
		tw := tabwriter.NewWriter(e.stdout, 2, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  ID\tALIAS\tTITLE\tREAD\tMEDIA TYPES")
		for _, c := range r.Collections {
			collections++
			read := "no"
			if c.CanRead {
				read = "yes"
				readable++
			}
			fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", cell(c.ID), cell(c.Alias), cell(c.Title), read, cell(strings.Join(c.MediaTypes, ", ")))
		}
		tw.Flush()
	}
	fmt.Fprintf(e.stdout, "\n%s, %s, %d readable\n", count(len(roots), "API root"), count(collections, "collection"), readable)
}

// cell is text for a table, never empty, so that columns can be told apart.
func cell(s string) string {
	if s = oneLine(s); s == "" {
		return "-"
	}
	return s
}
