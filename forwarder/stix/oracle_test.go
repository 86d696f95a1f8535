package stix

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func corpus(t testing.TB) string {
	dir := os.Getenv("CORPUS_DIR")
	if dir == "" {
		t.Skip("CORPUS_DIR is not set")
	}
	return dir
}

// deviations lists every pattern on which the verdict deliberately differs from
// the reference validator's, by how it begins.
var deviations = []struct {
	reason   string
	valid    bool
	patterns []string
}{
	{
		"STIX 2.0 writes START and STOP as plain strings; the reference knows its 2.0 grammar only in part", true,
		[]string{
			"[person:age < 20] REPEATS 10 TIMES START '2004-10-11T21:40:00Z' STOP '2004-10-11T21:50:00Z'",
			"[person:name = 'bob'] START '1994-11-29T13:37:57Z' STOP '1994-11-29T13:37:58Z'",
			"[person:name = 'bob'] START '1994-11-29T13:37:58Z' STOP '1994-11-29T13:37:58Z'",
			"[person:name = 'bob'] START '1994-11-29T13:37:59Z' STOP '1994-11-29T13:37:58Z'",
			"[person:name = 'bob'] START '1994-11-29T13:37:58Z' STOP '1994-11-29T13:37:59Z'",
			"[person:name LIKE 'a%'] AND [person:name = 'bob'] START '1994-11-29T13:37:57Z' STOP '1994-11-29T13:37:58Z'",
			"([person:name LIKE 'a%'] AND [person:name = 'bob']) START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:58Z'",
			"([person:name LIKE 'a%'] AND [person:name = 'bob']) START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:57Z'",
			"[person:name = 'alice'] OR [person:name = 'darlene'] START '1994-11-29T13:37:57Z' STOP '1994-11-29T13:37:58Z'",
			"([person:name = 'alice'] OR [person:name = 'darlene']) START '1994-11-29T13:37:52Z' STOP '1994-11-29T13:37:58Z'",
			"([person:name LIKE 'z%'] OR [person:name = 'darlene']) START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:57Z'",
			"[person:name MATCHES ''] REPEATS 2 TIMES START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:58Z'",
			"[person:name MATCHES ''] REPEATS 3 TIMES START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:58Z'",
			"[person:name NOT LIKE 'foo'] START '1994-11-29T13:37:50Z' STOP '1994-11-29T13:37:57Z' REPEATS 3 TIMES",
		},
	},
	{
		"the reference checks an IN list of hashes as if it were one hash; each of these is well formed", true,
		[]string{"[file:hashes.'SHA-256' NOT IN ('b6c7f878b44c0a074d53e8fec9b65c7dd70844bb67524ff541f17d3d754889ec',"},
	},
}

// TestOracle compares verdicts and syntax trees with the reference's.
func TestOracle(t *testing.T) {
	f, err := os.Open(filepath.Join(corpus(t), "patterns", "oracle.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expected := map[string]bool{}
	used := map[string]int{}
	for _, d := range deviations {
		for _, p := range d.patterns {
			expected[p] = d.valid
			used[p] = 0
		}
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	verdicts, trees := 0, 0
	for lines.Scan() {
		var row struct {
			Pattern string
			Valid21 bool `json:"valid_2_1"`
			Valid20 bool `json:"valid_2_0"`
			Error   string
			AST     any
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(Explain(row.Pattern))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Valid  bool
			Error  *string
			Offset *int
			AST    any
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		want := row.Valid20 || row.Valid21
		if got.Valid != want {
			known := false
			for p, valid := range expected {
				if strings.HasPrefix(row.Pattern, p) && valid == got.Valid {
					used[p]++
					known = true
				}
			}
			if !known {
				t.Errorf("valid is %v, reference %v (%s): %.300s\n%.300s", got.Valid, want, row.Error, row.Pattern, raw)
			}
		}
		verdicts++
		if got.Valid == (got.Error != nil) || got.Valid == (got.Offset != nil) {
			t.Errorf("error and offset do not fit the verdict: %.300s", raw)
		}
		if row.AST != nil {
			trees++
			if !reflect.DeepEqual(got.AST, row.AST) {
				wantAST, _ := json.Marshal(row.AST)
				gotAST, _ := json.Marshal(got.AST)
				t.Errorf("%s\n got %s\nwant %s", row.Pattern, gotAST, wantAST)
			}
		}
		ind := indicator(row.Pattern)
		Derive(ind)
		checkInvariants(t, ind)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for p, n := range used {
		if n != 1 {
			t.Errorf("deviation used %d times: %s", n, p)
		}
	}
	if verdicts != 2249 || trees != 2099 {
		t.Errorf("compared %d verdicts and %d trees, want 2249 and 2099", verdicts, trees)
	}
}
