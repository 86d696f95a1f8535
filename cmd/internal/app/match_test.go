package app

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

// TestMatchTypesAreTried: what a server makes of match_types shows before the
// forwarder runs, in check --online and in preview.
func TestMatchTypesAreTried(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile taxiitest.Profile
		types   string
		sent    int
		warns   string
	}{
		{"specified", taxiitest.Profile{}, `["indicator"]`, 3, ""},
		{"typing error", taxiitest.Profile{}, `["indicatr"]`, 0, "match[type]=indicatr finds nothing in this collection; what is in it begins with objects of type indicator"},
		{"subtype", taxiitest.Profile{MatchSubtype: true}, `["indicator"]`, 3, "match[type] means something else there"},
	} {
		s, _ := server(t, taxiitest.Options{Profile: tt.profile}, 3)
		text := strings.Replace(feedAndFile(t, s, ""), "start_from = \"all\"\n", "start_from = \"all\"\n match_types = "+tt.types+"\n", 1)
		docs, counts, err := preview(t, text, PreviewOptions{Limit: 10})
		if err != nil || len(docs) != tt.sent {
			t.Errorf("%s: %d documents, %v", tt.name, len(docs), err)
		}
		cfg := load(t, text)
		CheckOnline(t.Context(), cfg, hclog.NewNullLogger(), "test", func(v Verdict) {
			if v.What != "feed" {
				return
			}
			for what, warnings := range map[string][]string{"preview": counts.Warnings, "check": v.Warnings} {
				if got := strings.Join(warnings, "\n"); !strings.Contains(got, tt.warns) || (tt.warns == "") != (got == "") {
					t.Errorf("%s: %s warns %q, want %q", tt.name, what, got, tt.warns)
				}
			}
			if !v.OK {
				t.Errorf("%s: %s", tt.name, v.Detail)
			}
		})
	}
}

// TestPreviewByContent: preview shows indicators under the ids that they would have.
func TestPreviewByContent(t *testing.T) {
	s, col := server(t, taxiitest.Options{}, 3)
	for n := range 3 { // published again
		col.Add(added(10), bytes.Replace(indicator(n, ""), []byte(idOf(n)), fmt.Appendf(nil, "indicator--ffffffff-0000-4000-8000-%012d", n), 1))
	}
	text := feedAndFile(t, s, "")
	docs, _, err := preview(t, text, PreviewOptions{Limit: 10})
	if err != nil || len(docs) != 6 {
		t.Fatalf("%d documents by id, %v", len(docs), err)
	}
	docs, _, err = preview(t, strings.Replace(text, "start_from", "identity = \"content\"\n start_from", 1), PreviewOptions{Limit: 10})
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d documents by content, %v", len(docs), err)
	}
	for _, d := range docs {
		if d.Indicator.ID[25] != '5' {
			t.Errorf("id %s", d.Indicator.ID)
		}
	}
}
