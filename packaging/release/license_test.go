package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLicencesAreToldApart(t *testing.T) {
	const (
		mit  = "// Permission is hereby granted, free of charge, to any person\n// obtaining a copy …\n// THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY"
		bsd2 = "Redistribution and use in source and\nbinary forms, with or without modification, are permitted"
		bsd3 = bsd2 + " … may be used to endorse or promote\n   products derived from"
	)
	for text, want := range map[string]string{
		mit:  "MIT",
		bsd2: "BSD-2-Clause",
		bsd3: "BSD-3-Clause",
		"                 Apache License\n           Version 2.0, January 2004": "Apache-2.0",
		"Mozilla Public License, version 2.0":                                   "MPL-2.0",
		bsd3 + "\n\n" + mit:                                                     "MIT BSD-3-Clause",
		"All rights reserved.":                                                  "",
		"GNU GENERAL PUBLIC LICENSE 3":                                          "",
	} {
		if got := strings.Join(classify(text), " "); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// aModule makes the source of a module of two packages; only the inner one is
// linked.
func aModule(t *testing.T, files map[string]string) module {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return module{path: "example.com/m", version: "v1.0.0", dir: dir, packages: []string{filepath.Join(dir, "in", "ner")}}
}

func TestLicencesOfLinkedPackagesCount(t *testing.T) {
	m := aModule(t, map[string]string{
		"LICENSE":              "Apache License Version 2.0",
		"NOTICE":               "made by us",
		"license.go":           "package m",
		"in/ner/COPYING.txt":   "Mozilla Public License Version 2.0",
		"in/ner/x.go":          "package ner",
		"elsewhere/LICENSE":    "GNU GENERAL PUBLIC LICENSE",
		"in/LICENSE-3RD-PARTY": "of tools that nobody links",
	})
	files, err := legals(m)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	if want := []string{"LICENSE", "NOTICE", "in/LICENSE-3RD-PARTY", "in/ner/COPYING.txt"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if got, want := licences(files), []string{"Apache-2.0", "MPL-2.0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatMayNotBePassedOnStopsTheRelease(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"LICENSE": "ask us first", "in/ner/x.go": "package ner"}, "the licence in LICENSE is not known"},
		{map[string]string{"README": "hello", "in/ner/x.go": "package ner"}, "no licence is to be found"},
		{map[string]string{"NOTICE": "made by us", "in/ner/x.go": "package ner"}, "no licence is to be found"},
		{map[string]string{"LICENSE": "Apache License Version 2.0", "in/ner/LICENSE": "ask us first"}, "the licence in in/ner/LICENSE is not known"},
	} {
		s := &software{modules: []module{aModule(t, c.files)}}
		if _, err := notice(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.files, err, c.want)
		}
	}
}
