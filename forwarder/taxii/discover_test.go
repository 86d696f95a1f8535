package taxii

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/taxii/taxiitest"
)

func TestDiscover(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		roots      []string // relative to the server
		def        string
		says       string
	}{
		{name: "absolute", body: `{"title":"t","api_roots":["%[1]s/a/","%[1]s/b/"],"default":"%[1]s/b/"}`, roots: []string{"/a/", "/b/"}, def: "/b/"},
		{name: "relative, without slashes", body: `{"title":"t","api_roots":["/a","/b"]}`, roots: []string{"/a/", "/b/"}},
		{name: "relative to discovery", body: `{"title":"t","api_roots":["a"]}`, roots: []string{"/taxii2/a/"}},
		{name: "default not listed", body: `{"title":"t","default":"/root","api_roots":["/a/"]}`, roots: []string{"/a/", "/root/"}, def: "/root/"},
		{name: "default alone", body: `{"title":"t","default":"/root"}`, roots: []string{"/root/"}, def: "/root/"},
		{name: "text in place of a list", body: `{"title":"t","api_roots":"/a/"}`, roots: []string{"/a/"}},
		{name: "camel case, nulls and rubbish", body: `{"title":null,"default":null,"apiRoots":[null,"","/a/","ftp://x/","/a"]}`, roots: []string{"/a/"}},
		{name: "no roots", body: `{"title":"t"}`, says: "names no API root"},
		{name: "an API root", body: `{"title":"t","versions":["application/taxii+json;version=2.1"],"max_content_length":1}`, says: "api_root_url"},
		{name: "an error", body: `{"error":{"code":"X","message":"no plan"}}`, says: "X: no plan"},
		{name: "nothing", body: ``, says: "empty"},
		{name: "cut off", body: `{"title":"t","api_roots":[`, says: "not a JSON object"},
		{name: "a page", body: `<html>`, says: "HTML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var origin string
			h := handler(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(tt.body, "%[1]s") {
					fmt.Fprintf(w, tt.body, origin)
					return
				}
				fmt.Fprint(w, tt.body)
			})
			origin = strings.TrimSuffix(h.root, "/")
			d, err := h.Discover(t.Context(), origin)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, r := range tt.roots {
				want = append(want, origin+r)
			}
			if !slices.Equal(d.APIRoots, want) || tt.def != "" && d.Default != origin+tt.def {
				t.Errorf("roots %q default %q, want %q %q", d.APIRoots, d.Default, want, tt.def)
			}
			if d.ServerTime.IsZero() {
				t.Error("no server time")
			}
		})
	}
}

func TestDiscoverOldServer(t *testing.T) {
	h := handler(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "vnd.oasis") {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oasis.taxii+json; version=2.0")
		fmt.Fprint(w, `{"title":"old"}`)
	})
	if _, err := h.Discover(t.Context(), h.root); err == nil || !strings.Contains(err.Error(), "this is a TAXII 2.0 server") {
		t.Errorf("error %v", err)
	}
	h = handler(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"title":"root","versions":["taxii-2.0"]}`)
	})
	if _, err := h.APIRoot(t.Context(), h.root); err == nil || !strings.Contains(err.Error(), "this is a TAXII 2.0 server") {
		t.Errorf("error %v", err)
	}
}

func TestCollections(t *testing.T) {
	body := `{"collections":[
		{"id":"91a7b528-80eb-42ed-a74d-c6fbd5a26116","title":"High","alias":"high","can_read":true,"can_write":false,"media_types":["application/stix+json;version=2.1"]},
		{"id":12,"title":"Numeric"},
		{"id":"null","title":"Null","can_read":null},
		{"id":"closed","title":"Closed","can_read":false,"description":null},
		{"id":"camel","title":"Camel","canRead":false,"mediaTypes":["x"]},
		{"alias":"only-alias"},
		{"title":"nothing to ask for"},
		17, null]}`
	h := handler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/root/collections/" {
			t.Errorf("path %s", r.URL.Path)
		}
		fmt.Fprint(w, body)
	})
	all, err := h.Collections(t.Context(), h.root+"root")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range all {
		got = append(got, fmt.Sprint(k.ID, " ", k.CanRead, " ", len(k.MediaTypes)))
		if k.Root != h.root+"root/" {
			t.Errorf("root %s", k.Root)
		}
	}
	want := []string{"91a7b528-80eb-42ed-a74d-c6fbd5a26116 true 1", "12 true 1", "null false 1", "closed false 1", "camel false 1", "only-alias true 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	body = `{"collections":[{"id":"a","can_read":null},{"id":"b","can_read":null}]}`
	if all, err := h.Collections(t.Context(), h.root+"root"); err != nil || len(all) != 2 || !all[0].CanRead || !all[1].CanRead {
		t.Errorf("nulls alone say nothing: %v, %v", all, err)
	}
	body = `{}`
	if all, err := h.Collections(t.Context(), h.root+"root"); err != nil || len(all) != 0 {
		t.Errorf("no collections: %v, %v", all, err)
	}
}

// OpenTAXII says null where it means that a collection may not be read.
func TestCollectionsNullForFalse(t *testing.T) {
	p, _ := taxiitest.ProfileNamed("opentaxii")
	s := serverFor(t, taxiitest.Options{Profile: p})
	s.AddCollection(taxiitest.Info{ID: "open"})
	s.AddCollection(taxiitest.Info{ID: "closed", NoRead: true})
	all, err := clientFor(t, s, Options{}).Collections(t.Context(), s.RootURL())
	if err != nil {
		t.Fatal(err)
	}
	picked, problems := Select(all, nil)
	if len(all) != 2 || len(picked) != 1 || picked[0].ID != "open" || len(problems) != 0 {
		t.Errorf("of %+v, picked %+v, problems %q", all, picked, problems)
	}
}

// The 400 of a parameter names it in a description that is no text.
func TestRefusedParameter(t *testing.T) {
	p, _ := taxiitest.ProfileNamed("opentaxii")
	s, _ := feed(t, taxiitest.Options{Profile: p}, 500, nil)
	r := newReader(t)
	res, err := r.walk(clientFor(t, s, Options{PageSize: 50}), walkOf(s))
	if err != nil {
		t.Fatal(err)
	}
	r.need(500)
	if text := strings.Join(res.Warnings, "\n"); !strings.Contains(text, "validation error: bad request: the next token can not be parsed") {
		t.Errorf("the warnings do not say what the server does not take: %s", text)
	}
}

func TestSelect(t *testing.T) {
	all := []Collection{
		{ID: "1", Alias: "ips", Title: "IP addresses", CanRead: true},
		{ID: "2", Title: "Hashes", CanRead: true},
		{ID: "3", Title: "Secret", CanRead: false},
		{ID: "4", Title: "Hashes", CanRead: true},
	}
	for _, tt := range []struct {
		want     []string
		picked   string
		problems []string
	}{
		{nil, "1 2 4", nil},
		{[]string{"*"}, "1 2 4", nil},
		{[]string{"*", "1"}, "1 2 4", nil},
		{[]string{"2", "ips"}, "2 1", nil},
		{[]string{"IP ADDRESSES"}, "1", nil},
		{[]string{"Hashes"}, "2 4", nil},
		{[]string{"secret"}, "", []string{"not readable"}},
		{[]string{"1", "nope"}, "1", []string{`there is no collection "nope"; there are 1 (IP addresses), 2 (Hashes), 3 (Secret), 4 (Hashes)`}},
	} {
		picked, problems := Select(all, tt.want)
		var ids []string
		for _, k := range picked {
			ids = append(ids, k.ID)
		}
		if strings.Join(ids, " ") != tt.picked || len(problems) != len(tt.problems) {
			t.Errorf("%q: picked %q, problems %q", tt.want, ids, problems)
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p, tt.problems[i]) {
				t.Errorf("%q: problem %q", tt.want, p)
			}
		}
	}
	if _, problems := Select(nil, nil); len(problems) != 1 {
		t.Errorf("no collections at all: %q", problems)
	}
}

// The three ways to authenticate at SOC Defenders, and a wrong key.
func TestAuthKinds(t *testing.T) {
	p, _ := taxiitest.ProfileNamed("socdefenders")
	for _, kind := range []string{"bearer", "basic", "header", "none"} {
		s, _ := feed(t, taxiitest.Options{Profile: p}, 3, nil)
		auth := s.Auth()
		auth.Kind = kind
		c := clientWith(t, s, auth, Options{})
		_, err := c.Discover(t.Context(), s.URL())
		if kind == "none" {
			if f := intel.AsFailure(err); f == nil || f.Kind != intel.FailAuth || !strings.Contains(err.Error(), "UNAUTHORIZED") {
				t.Errorf("without a key: %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		r := newReader(t)
		if _, err := r.walk(c, walkOf(s)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		r.need(3)
	}
}
