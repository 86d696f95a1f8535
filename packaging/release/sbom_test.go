package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scratch outlives the tests: the program is built once for all of them.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "taxii-forwarder-release-test-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var buildOnce = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(scratch, host().binary())
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe, mainPackage)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return exe, nil
})

// built is the program as 'go build' makes it, and what it is made of.
func built(t *testing.T) (exe string, s *software) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
	exe, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = linked(t.Context(), "../..", os.Environ(), exe); err != nil {
		t.Fatal(err)
	}
	return exe, s
}

func TestTheProgramsOwnBill(t *testing.T) {
	exe, s := built(t)
	text, err := billOfMaterials("1.2.0-rc.1+x", someDate, exe, s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := billOfMaterials("1.2.0-rc.1+x", someDate, exe, s)
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the same binary has two bills (%v)", err)
	}
	checkRequired(t, text)

	var doc bom
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	// What the binary says of itself is what the bill has to say.
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range doc.Components {
		have[c.Name+" "+c.Version] = true
	}
	for _, m := range info.Deps {
		if !have[m.Path+" "+m.Version] {
			t.Errorf("%s %s is linked, but not in the bill", m.Path, m.Version)
		}
	}
	if want := len(info.Deps) + 1; len(doc.Components) != want || !have["std "+strings.TrimPrefix(info.GoVersion, "go")] {
		t.Errorf("%d components, want the %d modules and the standard library", len(doc.Components), want-1)
	}
	if sum, err := sha256File(exe); err != nil || doc.Metadata.Component.Hashes[0] != (hash{"SHA-256", sum}) {
		t.Errorf("the digest is %v (%v)", doc.Metadata.Component.Hashes, err)
	}
	checkGraph(t, &doc)
	i := slices.IndexFunc(doc.Components, func(c component) bool { return c.Name == "modernc.org/sqlite" })
	if i < 0 || len(doc.Components[i].Components) != 1 || !strings.HasPrefix(doc.Components[i].Components[0].CPE, "cpe:2.3:a:sqlite:sqlite:3.") {
		t.Error("the SQLite library itself is not in the bill")
	}
}

// checkGraph checks that references resolve, and that all is reached from the
// program.
func checkGraph(t *testing.T, doc *bom) {
	t.Helper()
	edges := map[string][]string{}
	for _, d := range doc.Dependencies {
		if edges[d.Ref] != nil {
			t.Errorf("%s is there twice", d.Ref)
		}
		edges[d.Ref] = append([]string{}, d.DependsOn...)
	}
	reached := map[string]bool{}
	for todo := []string{doc.Metadata.Component.Ref}; len(todo) > 0; {
		ref := todo[0]
		todo = todo[1:]
		if reached[ref] {
			continue
		}
		reached[ref] = true
		if edges[ref] == nil {
			t.Errorf("nothing is said of what %s depends on", ref)
		}
		todo = append(todo, edges[ref]...)
	}
	for _, c := range doc.Components {
		if !reached[c.Ref] {
			t.Errorf("%s is not reached from the program", c.Ref)
		}
	}
	if len(reached) != len(doc.Components)+1 || len(edges) != len(reached) {
		t.Errorf("%d components, %d with dependencies, %d reached", len(doc.Components), len(edges), len(reached))
	}
	if direct := edges[doc.Metadata.Component.Ref]; len(direct) == len(doc.Components) {
		t.Error("everything is a direct dependency")
	}
}

// checkRequired checks what bom-1.6.schema.json requires of the objects that
// the bill has, on the text alone.
func checkRequired(t *testing.T, text []byte) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for key, form := range map[string]string{
		"bomFormat": `^CycloneDX$`, "specVersion": `^1\.6$`, "$schema": `^http://cyclonedx\.org/schema/bom-1\.6\.schema\.json$`,
		"serialNumber": `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`,
	} {
		if s, _ := doc[key].(string); !regexp.MustCompile(form).MatchString(s) {
			t.Errorf("%s is %q", key, s)
		}
	}
	if v, _ := doc["version"].(float64); v < 1 {
		t.Errorf("version is %v", doc["version"])
	}
	meta := doc["metadata"].(map[string]any)
	if meta["timestamp"] != "2026-03-04T05:06:07Z" {
		t.Errorf("timestamp is %v", meta["timestamp"])
	}
	refs := map[any]bool{}
	var check func(c map[string]any, wantRef bool)
	check = func(c map[string]any, wantRef bool) {
		name := c["name"]
		if c["type"] != "library" && c["type"] != "application" || name == nil || name == "" {
			t.Errorf("a component of type %v named %v", c["type"], name)
		}
		if !wantRef {
			return
		}
		ref := c["bom-ref"]
		if ref == nil || refs[ref] {
			t.Errorf("%v: reference %v is missing or taken", name, ref)
		}
		refs[ref] = true
		if purl, _ := c["purl"].(string); !regexp.MustCompile(`^pkg:(golang|generic)/[a-z0-9._~/-]+@[A-Za-z0-9._~%-]+$`).MatchString(purl) {
			t.Errorf("%v: package URL %q", name, purl)
		}
		list, _ := c["licenses"].([]any)
		if len(list) != 1 {
			t.Errorf("%v: licenses %v", name, list)
		}
		for _, l := range list {
			checkLicence(t, name, l.(map[string]any))
		}
		for _, p := range asList(c["properties"]) {
			if p["name"] == nil || p["value"] == nil {
				t.Errorf("%v: property %v", name, p)
			}
		}
		for _, h := range asList(c["hashes"]) {
			if s, _ := h["content"].(string); h["alg"] != "SHA-256" || len(s) != 64 {
				t.Errorf("%v: hash %v", name, h)
			}
		}
		for _, inner := range asList(c["components"]) {
			check(inner, true)
		}
	}
	check(meta["component"].(map[string]any), true)
	for _, tool := range asList(meta["tools"].(map[string]any)["components"]) {
		check(tool, false)
	}
	for _, c := range asList(doc["components"]) {
		check(c, true)
	}
	for _, d := range asList(doc["dependencies"]) {
		if !refs[d["ref"]] {
			t.Errorf("dependencies of %v, which is not there", d["ref"])
		}
	}
}

// checkLicence: either one identifier or one expression of them.
func checkLicence(t *testing.T, name any, l map[string]any) {
	t.Helper()
	ids := []string{}
	if inner, ok := l["license"].(map[string]any); ok {
		id, _ := inner["id"].(string)
		ids = append(ids, id)
	}
	if expression, ok := l["expression"].(string); ok {
		ids = append(ids, strings.Split(expression, " AND ")...)
	}
	if len(l) != 1 || len(ids) == 0 {
		t.Errorf("%v: licence %v", name, l)
	}
	for _, id := range ids {
		known := id == "MIT"
		for _, p := range phrases {
			known = known || p.id == id
		}
		if !known {
			t.Errorf("%v: licence %q", name, id)
		}
	}
}

func asList(v any) []map[string]any {
	var out []map[string]any
	list, _ := v.([]any)
	for _, x := range list {
		out = append(out, x.(map[string]any))
	}
	return out
}

func TestTheNoticeHasEveryModulesTerms(t *testing.T) {
	_, s := built(t)
	text, err := notice(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.modules {
		if m.path == stdlib {
			m.path = "Go standard library"
		}
		// Once in the list, and above the text at least once.
		if n := bytes.Count(text, []byte(m.path+" "+m.version)); n < 2 {
			t.Errorf("%s is named %d times", m.path, n)
		}
	}
	for _, want := range []string{
		`github\.com/hashicorp/hcl/v2 \S+ \(MPL-2\.0\)`, "Mozilla Public License, version 2.0",
		"Neither the name of Google", "Permission is hereby granted, free of charge",
		`modernc\.org/libc \S+: LICENSE-3RD-PARTY\.md`, "Rich Felker",
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("%q is not in the notice", want)
		}
	}
}

func TestABinaryOfAnotherSourceIsRefused(t *testing.T) {
	exe, s := built(t)
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	info.Deps = info.Deps[1:]
	s.info = info
	if err := s.agree(); err == nil {
		t.Error("a module that the binary does not record is accepted")
	}
}

func TestPackageURLs(t *testing.T) {
	for _, c := range [][3]string{
		{"github.com/Azure/azure-sdk-for-go/sdk/azcore", "v1.24.0", "pkg:golang/github.com/azure/azure-sdk-for-go/sdk/azcore@v1.24.0"},
		{"example.com/old", "v3.0.0+incompatible", "pkg:golang/example.com/old@v3.0.0%2Bincompatible"},
		{"std", "1.26.8", "pkg:golang/std@1.26.8"},
	} {
		if got := packageURL(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
