package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The bill of materials is a CycloneDX 1.6 document
// (https://cyclonedx.org/docs/1.6/json/), as far as it has something to say of
// a Go program.
type (
	bom struct {
		Schema       string       `json:"$schema"`
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Timestamp  string      `json:"timestamp"`
		Lifecycles []lifecycle `json:"lifecycles"`
		Tools      tools       `json:"tools"`
		Component  component   `json:"component"`
	}
	lifecycle struct {
		Phase string `json:"phase"`
	}
	tools struct {
		Components []component `json:"components"`
	}
	component struct {
		Ref        string      `json:"bom-ref,omitempty"`
		Type       string      `json:"type"`
		Name       string      `json:"name"`
		Version    string      `json:"version,omitempty"`
		Scope      string      `json:"scope,omitempty"`
		Hashes     []hash      `json:"hashes,omitempty"`
		Licenses   []licence   `json:"licenses,omitempty"`
		CPE        string      `json:"cpe,omitempty"`
		PURL       string      `json:"purl,omitempty"`
		Properties []property  `json:"properties,omitempty"`
		Components []component `json:"components,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	// licence is either one licence or one expression.
	licence struct {
		License    *licenceID `json:"license,omitempty"`
		Expression string     `json:"expression,omitempty"`
	}
	licenceID struct {
		ID string `json:"id"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

func (r *release) writeSBOM(on platform, exe string, s *software) error {
	b, err := billOfMaterials(r.version.String(), r.date, exe, s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, r.stem(on)+".cdx.json"), b, 0o644)
}

// billOfMaterials describes the binary exe: its digest, every module linked
// into it with licence and package URL, and which of them uses which.
func billOfMaterials(version string, date time.Time, exe string, s *software) ([]byte, error) {
	sum, err := sha256File(exe)
	if err != nil {
		return nil, err
	}
	root := component{
		Type: "application", Name: program, Version: version,
		Ref: "pkg:generic/" + program + "@" + escape(version), Hashes: []hash{{"SHA-256", sum}},
		Licenses: licensed([]string{"MIT"}),
	}
	root.PURL = root.Ref
	for _, setting := range s.info.Settings {
		switch setting.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "GOAMD64", "GOARM64":
			root.Properties = append(root.Properties, property{"cdx:gomod:build:env:" + setting.Key, setting.Value})
		}
	}
	doc := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6",
		Serial: serial(sum), Version: 1,
		Metadata: metadata{
			Timestamp: date.Format(time.RFC3339), Lifecycles: []lifecycle{{"build"}},
			Tools:     tools{[]component{{Type: "application", Name: program + " packaging/release", Version: version}}},
			Component: root,
		},
	}
	refs := map[string]string{}
	for _, m := range s.modules {
		c, err := describeModule(m)
		if err != nil {
			return nil, err
		}
		refs[m.path] = c.Ref
		doc.Components = append(doc.Components, c)
	}
	doc.Dependencies = append(doc.Dependencies, depends(root.Ref, s.main.needs, refs))
	for _, m := range s.modules {
		doc.Dependencies = append(doc.Dependencies, depends(refs[m.path], m.needs, refs))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(doc)
	return out.Bytes(), err
}

func depends(ref string, needs []string, refs map[string]string) dependency {
	d := dependency{Ref: ref}
	for _, path := range needs {
		d.DependsOn = append(d.DependsOn, refs[path])
	}
	slices.Sort(d.DependsOn)
	return d
}

func describeModule(m module) (component, error) {
	files, err := legals(m)
	if err != nil {
		return component{}, err
	}
	c := component{
		Type: "library", Name: m.path, Version: m.version, Scope: "required",
		Ref: packageURL(m.path, m.version), Licenses: licensed(licences(files)),
	}
	c.PURL = c.Ref
	if m.sum != "" {
		c.Properties = []property{{"go.sum", m.sum}}
	}
	if m.path == "modernc.org/sqlite" {
		inner, err := sqlite(m)
		if err != nil {
			return component{}, err
		}
		c.Components = []component{inner}
	}
	return c, nil
}

// packageURL returns the package URL of a Go module: lower case, by the rules
// for its type (https://github.com/package-url/purl-spec).
func packageURL(path, version string) string {
	parts := strings.Split(strings.ToLower(path), "/")
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	return "pkg:golang/" + strings.Join(parts, "/") + "@" + escape(version)
}

// escape escapes a segment of a package URL, where a plus sign may not stand
// for itself either.
func escape(s string) string { return strings.ReplaceAll(url.PathEscape(s), "+", "%2B") }

func licensed(ids []string) []licence {
	if len(ids) == 1 {
		return []licence{{License: &licenceID{ids[0]}}}
	}
	return []licence{{Expression: strings.Join(ids, " AND ")}}
}

// serial derives the document's UUID from the binary's digest, so that the
// same binary has the same document (RFC 9562, version 8).
func serial(sum string) string {
	b := sha256.Sum256([]byte("CycloneDX " + sum))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

var sqliteVersion = regexp.MustCompile(`\bSQLITE_VERSION += "([0-9.]+)"`)

// sqlite describes the SQLite library that its Go module is a translation of.
// Advisories are about the library's version, which the module's does not tell.
func sqlite(m module) (component, error) {
	files, err := filepath.Glob(filepath.Join(m.dir, "lib", "sqlite*.go"))
	if err != nil {
		return component{}, err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return component{}, err
		}
		found := sqliteVersion.FindSubmatch(b)
		if found == nil {
			continue
		}
		v := string(found[1])
		return component{
			Type: "library", Name: "sqlite", Version: v, Scope: "required",
			Ref: "pkg:generic/sqlite@" + v, PURL: "pkg:generic/sqlite@" + v,
			CPE:      "cpe:2.3:a:sqlite:sqlite:" + v + ":*:*:*:*:*:*:*",
			Licenses: licensed([]string{"blessing"}),
		}, nil
	}
	return component{}, fmt.Errorf("find the version of SQLite: no file in %s defines SQLITE_VERSION", filepath.Join(m.dir, "lib"))
}
