package main

import (
	"bytes"
	"fmt"
	"strings"
)

// noticeName is the file that goes with every binary: the licences of what is
// linked into it ask to be passed on with it.
const noticeName = "THIRD_PARTY_LICENSES.txt"

const noticeHead = `Third-party software in %s

The program is one statically linked file that contains the software below, each
part under its own licence. Its source is what 'go mod download NAME@VERSION'
fetches; that of the standard library is part of Go (https://go.dev/dl/).

`

// notice returns the content of [noticeName]: first who and under what, then
// every text, each once.
func notice(s *software) ([]byte, error) {
	var head, texts bytes.Buffer
	fmt.Fprintf(&head, noticeHead, program)
	var order []string
	users := map[string][]string{} // of a text
	for _, m := range s.modules {
		files, err := legals(m)
		if err != nil {
			return nil, err
		}
		name := m.path
		if m.path == stdlib {
			name = "Go standard library"
		}
		fmt.Fprintf(&head, "  %s %s (%s)\n", name, m.version, strings.Join(licences(files), ", "))
		for _, f := range files {
			text := strings.Trim(f.text, "\n")
			if users[text] == nil {
				order = append(order, text)
			}
			users[text] = append(users[text], fmt.Sprintf("%s %s: %s", name, m.version, f.name))
		}
	}
	rule := strings.Repeat("=", 78)
	for _, text := range order {
		fmt.Fprintf(&texts, "\n%s\n%s\n%s\n\n%s\n", rule, strings.Join(users[text], "\n"), rule, text)
	}
	return append(head.Bytes(), texts.Bytes()...), nil
}
