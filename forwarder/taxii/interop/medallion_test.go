//go:build interop

package interop

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii"
)

// Ids of medallion's collections. A server gives what its data file says.
const (
	largeID  = "91000000-0000-4000-8000-00000000001a"
	smallID  = "91000000-0000-4000-8000-00000000001b"
	oddID    = "91000000-0000-4000-8000-00000000001c"
	secretID = "91000000-0000-4000-8000-00000000001d"
)

// startMedallion starts medallion. Its next tokens live for a time; it looks
// for expired ones four times a second.
func startMedallion(t *testing.T, life time.Duration) target {
	t.Helper()
	s := start(t, "serve_medallion.py", map[string]any{
		"config.json": map[string]any{
			"users": map[string]string{reader.Username: reader.Password, writer.Username: writer.Password},
			"taxii": map[string]any{"max_page_size": serverPage},
			"backend": map[string]any{
				"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend",
				"session_timeout": life.Seconds(), "check_interval": 0.25,
			},
		},
		"data.json": medallionData(),
	})
	return target{server: s, root: s.origin + "/threats/", small: smallID, bulk: s.origin + "/volume/", large: largeID}
}

// medallionData is the content of the memory backend in medallion's own form:
// objects and manifest entries apart, roots named by their place in the path.
func medallionData() map[string]any {
	information := func(title string) map[string]any {
		return map[string]any{"title": title, "versions": []string{taxii.MediaType}, "max_content_length": 10 << 20}
	}
	oddObjects, oddManifest := oddities()
	return map[string]any{
		"/discovery": map[string]any{
			"title": "Interoperability", "description": "Made-up threats", "contact": "interop@example.com",
			"default":   "@ORIGIN@/threats/",
			"api_roots": []string{"@ORIGIN@/threats/", "/volume/", "@ORIGIN@/missing/"},
		},
		"threats": map[string]any{
			"information": information("Threats"), "status": []any{},
			"collections": []any{
				collection(smallID, "Small", smallFeed(), true),
				map[string]any{
					"id": oddID, "title": "Odd", "can_read": true, "can_write": false, "media_types": []string{"application/stix+json;version=2.1"},
					"objects": oddObjects, "manifest": oddManifest,
				},
				collection(secretID, "Secret", feed(spaceClosed, 3, epoch, time.Second, 1), false),
			},
		},
		// medallion copies all of a root's objects for every request.
		"volume": map[string]any{
			"information": information("Volume"), "status": []any{},
			"collections": []any{collection(largeID, "Large", largeFeed(), true)},
		},
	}
}

func collection(id, title string, entries []entry, readable bool) map[string]any {
	var objects, manifest []any
	for _, e := range entries {
		objects = append(objects, e.Object)
		manifest = append(manifest, manifestEntry(e.Object.id(), e.Added, e.Object.modified(), "2.1"))
	}
	return map[string]any{
		"id": id, "title": title, "description": fmt.Sprintf("%d objects", len(entries)), "can_read": readable, "can_write": true,
		"media_types": []string{"application/stix+json;version=2.1"}, "objects": objects, "manifest": manifest,
	}
}

func manifestEntry(id, added, version, stix string) map[string]any {
	return map[string]any{"id": id, "date_added": added, "version": version, "media_type": "application/stix+json;version=" + stix}
}

// oddities is a collection after the example data that medallion's source
// comes with: objects of STIX 2.0, two versions with one date, dates with and
// without fractions, an observable without any date of its own, and an object
// that no manifest entry tells of.
func oddities() (objects []stixObject, manifest []any) {
	add := func(o stixObject, added, version, stix string) {
		objects = append(objects, o)
		if added != "" {
			manifest = append(manifest, manifestEntry(o.id(), added, version, stix))
		}
	}
	old := stixObject{
		"type": "indicator", "id": uuid("indicator", spaceOdd, 1), "created": "2014-05-08T09:00:00.000Z", "modified": "2014-05-08T09:00:00.000Z",
		"labels": []string{"url-watchlist"}, "name": "of STIX 2.0", "pattern": "[url:value = 'http://example.org/4712']", "valid_from": "2014-05-08T09:00:00Z",
	}
	add(old, "2026-03-01T12:00:00Z", old.modified(), "2.0")
	add(old.with(stixObject{"modified": "2017-01-27T13:49:53.935Z", "name": "of STIX 2.0, changed"}), "2026-03-01T12:00:00Z", "2017-01-27T13:49:53.935Z", "2.0")
	new := indicator(spaceOdd, 2, epoch)
	add(new, "2026-03-01T12:00:00.250Z", new.modified(), "2.1")
	// The same thing in both versions of STIX: 2.1 is what is served.
	both := indicator(spaceOdd, 3, epoch)
	add(old.with(stixObject{"id": both.id()}), "2026-03-01T12:00:00.5Z", old.modified(), "2.0")
	add(both, "2026-03-01T12:00:01Z", both.modified(), "2.1")
	address := stixObject{"type": "ipv4-addr", "spec_version": "2.1", "id": uuid("ipv4-addr", spaceOdd, 4), "value": "203.0.113.4", "_date_added": "2026-03-01T12:00:01.000001Z"}
	add(address, "2026-03-01T12:00:01.000001Z", "2026-03-01T12:00:01.000001Z", "2.1")
	last := indicator(spaceOdd, 5, epoch)
	add(last, "2026-03-01T12:00:02Z", last.modified(), "2.1")
	add(indicator(spaceOdd, 6, epoch), "", "", "") // never to be seen
	return objects, manifest
}

// oddServed is what medallion serves of oddities.
func oddServed() []stixObject {
	objects, _ := oddities()
	return []stixObject{objects[1], objects[2], objects[4], objects[5], objects[6]}
}

func TestMedallion(t *testing.T) {
	t.Parallel()
	s := startMedallion(t, 10*time.Minute)
	t.Run("discovery", s.medallionDiscovery)
	s.conforms(t)
	t.Run("oddities", s.medallionOddities)
}

func (s target) medallionDiscovery(t *testing.T) {
	c := client(t, s.server, &reader)
	d, err := c.Discover(t.Context(), s.origin) // the path is the specification's
	if err != nil {
		t.Fatal(err)
	}
	if d.Title != "Interoperability" || d.Contact != "interop@example.com" || d.Default != s.root || d.ServerTime.IsZero() {
		t.Errorf("discovery: %+v", d)
	}
	if want := []string{s.root, s.bulk, s.origin + "/missing/"}; fmt.Sprint(d.APIRoots) != fmt.Sprint(want) {
		t.Errorf("API roots %q, want %q", d.APIRoots, want)
	}
	root, err := c.APIRoot(t.Context(), s.root)
	if err != nil {
		t.Fatal(err)
	}
	if root.URL != s.root || root.Title != "Threats" || len(root.Versions) != 1 || root.MaxContentLength != 10<<20 {
		t.Errorf("API root: %+v", root)
	}
	_, err = c.APIRoot(t.Context(), d.APIRoots[2])
	isFailure(t, err, intel.FailNotFound)

	all, err := c.Collections(t.Context(), s.root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range all {
		got = append(got, fmt.Sprintf("%s %s read:%t write:%t", k.ID, k.Title, k.CanRead, k.CanWrite))
	}
	want := []string{
		smallID + " Small read:true write:true",
		oddID + " Odd read:true write:false", secretID + " Secret read:false write:true",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("collections %q, want %q", got, want)
	}
	if picked, problems := taxii.Select(all, []string{"*"}); len(picked) != 2 || len(problems) != 0 {
		t.Errorf("picked %v, problems %q", picked, problems)
	}
	if picked, problems := taxii.Select(all, []string{"odd", "Secret"}); len(picked) != 1 || len(problems) != 1 {
		t.Errorf("picked %v, problems %q", picked, problems)
	}
	_, err = follow(c, s.root, secretID).poll(t)
	isFailure(t, err, intel.FailAuth)
}

// medallionOddities walks oddities in pages of all sizes.
func (s target) medallionOddities(t *testing.T) {
	for page := 1; page <= 6; page++ {
		f := follow(clientWith(t, s.server, basic(reader), page), s.root, oddID)
		f.must(t)
		f.has(t, oddServed())
		res := f.must(t)
		f.has(t, oddServed())
		if res.Requests > 12 {
			t.Errorf("page size %d: %d requests for a second poll", page, res.Requests)
		}
	}
}

// TestMedallionExpiry lets the next token expire in the middle of walks.
func TestMedallionExpiry(t *testing.T) {
	t.Parallel()
	s := startMedallion(t, time.Second)
	for _, c := range []struct {
		name     string
		from, to int // pages, checks of boundaries among them
	}{
		{"at page 1", 1, 1}, {"at page 3", 3, 3}, {"at page 6", 6, 6}, {"at every page", 1, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := follow(clientWith(t, s.server, basic(reader), 50), s.root, s.small)
			f.onPage = func(page int) error {
				if page >= c.from && page <= c.to {
					s.expire(t)
				}
				return nil
			}
			res := f.must(t)
			f.has(t, objectsOf(smallFeed()))
			if len(res.Warnings) == 0 {
				t.Error("no warning tells of the lost token")
			}
		})
	}
}

// expire waits until all next tokens there are have expired: it asks for
// another, which is the last to do so.
func (s target) expire(t *testing.T) {
	var page struct{ Next string }
	s.do(t, http.MethodGet, s.root+"collections/"+s.small+"/objects/?limit=1", nil, http.StatusOK, &page)
	if page.Next == "" {
		t.Fatal("a page of one object has no next token")
	}
	deadline := time.After(startTime)
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				t.Fatal("the server has ended")
			}
			if slices.Contains(e.Tokens, page.Next) {
				return
			}
		case <-deadline:
			t.Fatal("the server does not let its tokens expire")
		}
	}
}
