//go:build interop

package sentinel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

// TestOthersReadIt: what is sent is STIX to the Python library of the
// specification's authors: every object with its properties (it refuses custom
// ones), and every pattern.
//
// It needs INTEROP_VENV, a virtual environment with .ci/interop-requirements.txt.
func TestOthersReadIt(t *testing.T) {
	venv := os.Getenv("INTEROP_VENV")
	if venv == "" {
		t.Fatal("INTEROP_VENV is not set; run .ci/interop")
	}
	var input bytes.Buffer
	n := 0
	encode := func(c intel.Change) {
		for _, compound := range []string{"forward", "split"} {
			docs, _ := NewEncoder(EncoderOptions{Compound: compound}).Append(nil, &c)
			n += bytes.Count(docs, []byte("\n"))
			input.Write(docs)
		}
	}
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, file := range files {
		encode(readChange(t, file))
	}
	if os.Getenv("CORPUS_DIR") != "" {
		for i, ind := range corpus(t) {
			if i%4 == 0 { // it reads some 500 a second
				encode(upsert(ind))
				encode(withdraw(ind, intel.ReasonGone))
			}
		}
	}

	python := exec.Command(filepath.Join(venv, "bin", "python"), "testdata/read.py")
	python.Stdin, python.Stderr = &input, os.Stderr
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(bytes.NewReader(out))
	answers.Buffer(nil, 1<<20)
	read := 0
	for answers.Scan() {
		var a struct{ ID, Problem string }
		if err := json.Unmarshal(answers.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, answers.Bytes())
		}
		if read++; a.Problem != "" {
			t.Errorf("%s: %s", a.ID, a.Problem)
		}
	}
	if err := answers.Err(); err != nil || read != n || n == 0 {
		t.Errorf("%d objects were read, want %d (%v)", read, n, err)
	}
	t.Logf("%d objects", read)
}
