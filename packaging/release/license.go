package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// legal is a file in which a module's authors say what others may do with it.
type legal struct {
	name string // relative to the module
	text string
	spdx []string // identifiers of the licences in it (spdx.org/licenses); none in a mere notice
}

// legalName matches names of such files: LICENSE, LICENSE-3RD-PARTY.md,
// SQLITE-LICENSE, COPYING, NOTICE.txt, PATENTS.
var legalName = regexp.MustCompile(`(?i)^(.*[-_.])?(licen[cs]es?|copying|copyright|notices?|patents)([-_.].*)?$`)

// mere are those that are passed on, but are not the module's own licence: they
// list other people's, of which only some may be linked.
var mere = regexp.MustCompile(`(?i)(notice|patents|3rd|third)`)

// besides are those about what no binary holds.
var besides = regexp.MustCompile(`(?i)logo`)

// legals returns the files that apply to the linked packages of a module: those
// beside each package and in the directories above it.
func legals(m module) ([]legal, error) {
	var out []legal
	seen := map[string]bool{}
	for _, dir := range m.packages {
		if m.path == stdlib {
			dir = m.dir // what the distribution says holds for all of it
		}
		for {
			if !seen[dir] {
				seen[dir] = true
				found, err := legalsIn(m, dir)
				if err != nil {
					return nil, err
				}
				out = append(out, found...)
			}
			if dir == m.dir || dir == filepath.Dir(dir) {
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	slices.SortFunc(out, func(a, b legal) int { return strings.Compare(a.name, b.name) })
	if len(licences(out)) == 0 {
		return nil, fmt.Errorf("%s %s: no licence is to be found in %s", m.path, m.version, m.dir)
	}
	return out, nil
}

func legalsIn(m module, dir string) ([]legal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []legal
	for _, e := range entries {
		if !e.Type().IsRegular() || !legalName.MatchString(e.Name()) || besides.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		l := legal{name: m.relative(filepath.Join(dir, e.Name())), text: strings.ReplaceAll(string(b), "\r\n", "\n")}
		if mere.MatchString(e.Name()) {
			out = append(out, l)
			continue
		}
		if l.spdx = classify(l.text); len(l.spdx) == 0 {
			return nil, fmt.Errorf("%s %s: the licence in %s is not known; read it and, if it permits redistribution, add it to packaging/release", m.path, m.version, l.name)
		}
		out = append(out, l)
	}
	return out, nil
}

// licences returns the identifiers in files, sorted, each once.
func licences(files []legal) []string {
	var ids []string
	for _, f := range files {
		ids = append(ids, f.spdx...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// phrases tell licences apart: a text has a licence when it has all of its
// phrases and none of those that it must not have. They are as plain makes them.
var phrases = []struct {
	id        string
	all, none []string
}{
	{"Apache-2.0", []string{"apache license version 2 0"}, nil},
	{"MPL-2.0", []string{"mozilla public license version 2 0"}, nil},
	{"MIT", []string{"permission is hereby granted free of charge to any person obtaining a copy", "the software is provided as is"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "endorse or promote products derived"}, nil},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}, []string{"endorse or promote products derived"}},
	{"ISC", []string{"permission to use copy modify and or distribute this software for any purpose"}, nil},
	{"Zlib", []string{"the origin of this software must not be misrepresented", "altered source versions must be plainly marked as such"}, nil},
	{"Unicode-DFS-2016", []string{"any person obtaining a copy of the unicode data files"}, nil},
	{"blessing", []string{"sqlite has been dedicated to the public domain by the authors"}, nil},
}

// classify returns the identifiers of the licences that a text holds.
func classify(text string) []string {
	text = plain(text)
	has := func(p string) bool { return strings.Contains(text, p) }
	var ids []string
	for _, l := range phrases {
		all := !slices.ContainsFunc(l.all, func(p string) bool { return !has(p) })
		if all && !slices.ContainsFunc(l.none, has) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// plain reduces a text to its words: authors wrap, quote and mark theirs as
// they like.
func plain(text string) string {
	return strings.TrimSpace(notWord.ReplaceAllString(strings.ToLower(text), " "))
}
