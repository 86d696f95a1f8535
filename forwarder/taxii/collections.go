package taxii

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// Collection is TAXII 2.1 §5.2.
type Collection struct {
	Root                          string // the API root's URL
	ID, Title, Description, Alias string
	CanRead, CanWrite             bool
	MediaTypes                    []string
}

const stixMediaType = "application/stix+json"

// Collections lists the collections of the API root at root. Servers leave out
// or null what they like: a collection that does not say can_read is taken as
// readable, one without media_types as STIX (§5.2.1). But OpenTAXII says null for
// what may not be read without a login, so beside a true, null is false.
func (c *Client) Collections(ctx context.Context, root string) ([]Collection, error) {
	at, err := parseURL(root)
	if err != nil {
		return nil, err
	}
	base := folder(at)
	m, resp, err := c.document(ctx, base.JoinPath("collections/").String())
	if err != nil {
		return nil, err
	}
	if err := unexpected(m, resp.Request.URL, "collections"); err != nil {
		return nil, err
	}
	var out []Collection
	var entries []members
	said := false
	for _, v := range m.list("collections") {
		e, err := parseMembers(v)
		if err != nil {
			c.log.Warn("the list of collections has an entry that is no object", "url", plain(resp.Request.URL))
			continue
		}
		entries = append(entries, e)
		said = said || e.flag("canread", false)
	}
	for _, e := range entries {
		readable := e["canread"].Kind() != 'n' || !said
		k := Collection{
			Root: base.String(), ID: e.text("id"), Title: e.text("title"), Description: e.text("description"), Alias: e.text("alias"),
			CanRead: e.flag("canread", readable), CanWrite: e.flag("canwrite", false), MediaTypes: e.texts("mediatypes"),
		}
		if k.ID == "" {
			k.ID = k.Alias
		}
		if k.ID == "" {
			c.log.Warn("the list of collections has an entry without an id", "url", plain(resp.Request.URL), "title", k.Title)
			continue
		}
		if len(k.MediaTypes) == 0 {
			k.MediaTypes = []string{stixMediaType}
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		c.log.Debug("the API root has no collections", "url", plain(resp.Request.URL))
	}
	return out, nil
}

// Collection asks for one collection by its id or alias, for servers that do
// not list theirs.
func (c *Client) Collection(ctx context.Context, root, id string) (Collection, error) {
	at, err := parseURL(root)
	if err != nil {
		return Collection{}, err
	}
	base := folder(at)
	m, resp, err := c.document(ctx, collectionURL(base, id)+"/")
	if err != nil {
		return Collection{}, err
	}
	if m.text("id") == "" {
		return Collection{}, intel.Fail(intel.FailProtocol, "GET %s: the answer is no collection", plain(resp.Request.URL))
	}
	return Collection{
		Root: base.String(), ID: m.text("id"), Title: m.text("title"), Description: m.text("description"), Alias: m.text("alias"),
		CanRead: m.flag("canread", true), CanWrite: m.flag("canwrite", false), MediaTypes: m.texts("mediatypes"),
	}, nil
}

// marshalMembers is the inverse of parseMembers but for the names.
func marshalMembers(m members) ([]byte, error) { return json.Marshal(m, lenient...) }

// Select picks the collections that want names: by id, alias or title, "*" (or
// no name at all) for every readable one. problems has one sentence for each
// name that picks nothing.
func Select(all []Collection, want []string) (picked []Collection, problems []string) {
	if len(want) == 0 {
		want = []string{"*"}
	}
	taken := map[string]bool{}
	take := func(k Collection) {
		if key := k.Root + "\n" + k.ID; !taken[key] {
			taken[key] = true
			picked = append(picked, k)
		}
	}
	for _, name := range want {
		var found, readable int
		for _, match := range []func(Collection) bool{
			func(k Collection) bool { return name == "*" || k.ID == name },
			func(k Collection) bool { return k.Alias == name },
			func(k Collection) bool { return strings.EqualFold(k.ID, name) || strings.EqualFold(k.Alias, name) },
			func(k Collection) bool { return strings.EqualFold(strings.TrimSpace(k.Title), strings.TrimSpace(name)) },
		} {
			for _, k := range all {
				if !match(k) {
					continue
				}
				found++
				if k.CanRead {
					readable++
					take(k)
				}
			}
			if found > 0 { // the surest kind of match is enough
				break
			}
		}
		switch {
		case readable > 0:
		case found > 0 && name != "*":
			problems = append(problems, fmt.Sprintf("collection %q is not readable with these credentials", name))
		case found > 0:
			problems = append(problems, "none of the collections is readable with these credentials")
		case len(all) == 0:
			problems = append(problems, "the API root lists no collections for these credentials")
		default:
			problems = append(problems, fmt.Sprintf("there is no collection %q; there are %s", name, names(all)))
		}
	}
	return picked, problems
}

// names lists collections for a message.
func names(all []Collection) string {
	const most = 20
	var parts []string
	for _, k := range all {
		text := k.ID
		if k.Title != "" && k.Title != k.ID {
			text += fmt.Sprintf(" (%s)", k.Title)
		}
		parts = append(parts, text)
	}
	slices.Sort(parts)
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(all)-most))
	}
	return strings.Join(parts, ", ")
}
