package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var someDate = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

var someEntries = []entry{
	{"p/program", 0o755, bytes.Repeat([]byte("code"), 1000)},
	{"p/LICENSE", 0o644, []byte("do what you like")},
}

func TestArchivesDependOnTheirContentOnly(t *testing.T) {
	dir := t.TempDir()
	for name, write := range map[string]func(string, time.Time, []entry) error{"tar.gz": writeTarGz, "zip": writeZip} {
		bytesOf := func(file string, date time.Time) []byte {
			t.Helper()
			path := filepath.Join(dir, file+"."+name)
			if err := write(path, date, someEntries); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		zone := time.FixedZone("elsewhere", 5*3600)
		one, two, other := bytesOf("one", someDate), bytesOf("two", someDate.In(zone).UTC()), bytesOf("three", someDate.Add(time.Hour))
		if !bytes.Equal(one, two) {
			t.Errorf("%s: the same content is not the same archive", name)
		}
		if bytes.Equal(one, other) {
			t.Errorf("%s: the date does not get in", name)
		}
		if err := write(filepath.Join(dir, "one."+name), someDate, someEntries); err == nil {
			t.Errorf("%s: an archive that is there is overwritten", name)
		}
	}
}

func TestArchivesHoldWhatTheyAreGiven(t *testing.T) {
	dir := t.TempDir()
	gz, zipped := filepath.Join(dir, "a.tar.gz"), filepath.Join(dir, "a.zip")
	if err := writeTarGz(gz, someDate, someEntries); err != nil {
		t.Fatal(err)
	}
	if err := writeZip(zipped, someDate, someEntries); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(gz)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(z)
	zr, err := zip.OpenReader(zipped)
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	for i, want := range someEntries {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil || h.Name != want.name || h.Mode != want.mode || h.Uid != 0 || !h.ModTime.Equal(someDate) || !bytes.Equal(data, want.data) {
			t.Errorf("tar: %+v, %d bytes, %v", h, len(data), err)
		}
		e := zr.File[i]
		in, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err = io.ReadAll(in)
		if err != nil || e.Name != want.name || int64(e.Mode().Perm()) != want.mode || !e.Modified.Equal(someDate) || !bytes.Equal(data, want.data) {
			t.Errorf("zip: %s %v %v, %d bytes, %v", e.Name, e.Mode(), e.Modified, len(data), err)
		}
	}
	if h, err := tr.Next(); err != io.EOF || len(zr.File) != len(someEntries) {
		t.Errorf("more than was given: %v, %v, %d files", h, err, len(zr.File))
	}
}

func TestSumsAreOfEveryFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("%x  a\n%x  b\n", sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b")))
	for range 2 { // its own file is none of them
		if err := writeSums(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, sumsName)); err != nil || string(got) != want {
			t.Errorf("%s\nwant\n%s\n%v", got, want, err)
		}
	}
}
