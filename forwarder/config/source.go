package config

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// source is a configuration's text and syntax tree: it finds things in it, and
// quotes it without what may be secret.
type source struct {
	name  string
	text  []byte
	lines [][]byte
	start []int           // offset of each line
	body  *hclsyntax.Body // nil when the text did not parse at all
	// plain are the names of attributes that are never secret.
	plain map[string]bool
	// cut says, by line from 1, at which byte of the line quoting has to stop.
	cut map[int]int
	// known are the lines that the syntax tree accounts for.
	known map[int]bool
}

func newSource(name string, text []byte, body *hclsyntax.Body, plain map[string]bool) *source {
	s := &source{name: name, text: text, lines: bytes.Split(text, []byte("\n")), body: body, plain: plain,
		cut: map[int]int{}, known: map[int]bool{}}
	for at, i := 0, 0; i < len(s.lines); i++ {
		s.start = append(s.start, at)
		at += len(s.lines[i]) + 1
	}
	if body != nil {
		s.markBody(body)
	}
	tokens, _ := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenComment { // a comment may hold last year's password
			s.cutAt(t.Range.Start.Line, t.Range.Start.Byte)
		}
	}
	return s
}

func (s *source) markBody(body *hclsyntax.Body) {
	for _, a := range body.Attributes {
		for line := a.SrcRange.Start.Line; line <= a.SrcRange.End.Line; line++ {
			s.known[line] = true
		}
		if s.plain[a.Name] {
			continue
		}
		s.cutAt(a.SrcRange.Start.Line, a.EqualsRange.End.Byte)
		for line := a.SrcRange.Start.Line + 1; line <= a.SrcRange.End.Line; line++ {
			s.cut[line] = 0
		}
	}
	for _, b := range body.Blocks {
		s.known[b.TypeRange.Start.Line] = true
		s.known[b.CloseBraceRange.Start.Line] = true
		s.markBody(b.Body)
	}
}

// cutAt stops the quoting of a line at an offset of the text.
func (s *source) cutAt(line, offset int) {
	at := offset - s.lineStart(line)
	if old, ok := s.cut[line]; !ok || at < old {
		s.cut[line] = max(at, 0)
	}
}

func (s *source) lineStart(line int) int {
	if line < 1 || line > len(s.start) {
		return 0
	}
	return s.start[line-1]
}

var (
	assignment = regexp.MustCompile(`([\pL_][\pL\pN_-]*)\s*=([^=~]|$)`)
	bareLine   = regexp.MustCompile(`^\s*([\pL_][\pL\pN_-]*(\s+"[^"]*")*\s*\{?|\})\s*$`)
	userInfo   = regexp.MustCompile(`//[^/\s"@]*@`)
	queryValue = regexp.MustCompile(`([?&][^=\s"&]+)=[^&\s"]*`)
)

// quote returns a line without what may be secret in it, and which columns of
// it the range covers (equal = none).
func (s *source) quote(rng hcl.Range) (string, [2]int) {
	line := rng.Start.Line
	if line < 1 || line > len(s.lines) {
		return "", [2]int{}
	}
	raw := strings.TrimRight(string(s.lines[line-1]), "\r")
	end := len(raw)
	if at, ok := s.cut[line]; ok {
		end = min(end, at)
	}
	// The syntax tree does not cover what did not parse: there, only what looks
	// harmless is shown.
	assigned := assignment.FindAllStringSubmatchIndex(raw, -1)
	for _, m := range assigned {
		if !s.plain[raw[m[2]:m[3]]] {
			end = min(end, m[4])
		}
	}
	if !s.known[line] && len(assigned) == 0 && !bareLine.MatchString(raw) {
		end = 0
	}
	shown := strings.ToValidUTF8(raw[:end], "\uFFFD")
	start := s.lineStart(line)
	from := rng.Start.Byte - start
	to := len(raw)
	if rng.End.Line == line {
		to = rng.End.Byte - start
	}
	var mark [2]int
	if from >= 0 && from <= end && utf8.ValidString(raw[:end]) {
		mark = [2]int{utf8.RuneCountInString(raw[:from]), utf8.RuneCountInString(raw[:max(from, min(to, end))])}
		if mark[1] == mark[0] && from < end {
			mark[1]++
		}
	}
	shown = strings.ReplaceAll(shown, "\t", " ")
	if clean := queryValue.ReplaceAllString(userInfo.ReplaceAllString(shown, "//…@"), "$1=…"); clean != shown {
		shown, mark = clean, [2]int{}
	}
	if rest := strings.TrimSpace(raw[end:]); rest != "" && !strings.HasPrefix(rest, "#") && !strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "/*") {
		shown = strings.TrimRight(shown, " ") + " …"
	}
	shown = strings.TrimRight(shown, " ")
	if strings.TrimSpace(shown) == "…" {
		return "", [2]int{}
	}
	return excerpt(shown, mark)
}

// excerpt shortens a long line around the mark.
func excerpt(line string, mark [2]int) (string, [2]int) {
	const most, before = 160, 60
	runes := []rune(line)
	if len(runes) <= most {
		return line, mark
	}
	from := min(max(mark[0]-before, 0), len(runes)-1)
	to := min(from+most, len(runes))
	out := string(runes[from:to])
	if to < len(runes) {
		out += "…"
	}
	if from > 0 {
		out = "…" + out
		from--
	}
	return out, [2]int{mark[0] - from, min(mark[1]-from, most)}
}

// header returns the type and labels of the block whose brace opens at rng.
func (s *source) header(rng hcl.Range) hcl.Range {
	var find func(*hclsyntax.Body) hcl.Range
	find = func(body *hclsyntax.Body) hcl.Range {
		for _, b := range body.Blocks {
			if b.OpenBraceRange.Start == rng.Start {
				return b.DefRange()
			}
			if in := find(b.Body); in != rng {
				return in
			}
		}
		return rng
	}
	return find(s.body)
}

// enclosing names the outermost block that a position is in: feed "x".
func (s *source) enclosing(at hcl.Pos) string {
	if s.body == nil {
		return ""
	}
	for _, b := range s.body.Blocks {
		if b.Range().Start.Byte <= at.Byte && at.Byte <= b.CloseBraceRange.End.Byte {
			return blockName(b)
		}
	}
	return ""
}

func blockName(b *hclsyntax.Block) string {
	name := b.Type
	for _, l := range b.Labels {
		name += ` "` + l + `"`
	}
	return name
}
