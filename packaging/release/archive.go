package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"time"
)

// entry is a file in an archive.
type entry struct {
	name string // with slashes
	mode int64  // 0o755 or 0o644
	data []byte
}

// writeTarGz writes an archive whose bytes depend on its arguments only.
func writeTarGz(path string, date time.Time, entries []entry) error {
	return create(path, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression) // its header has neither name nor time
		if err != nil {
			return err
		}
		t := tar.NewWriter(z)
		for _, e := range entries {
			h := &tar.Header{
				Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.data)),
				ModTime: date, Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
			}
			if err := t.WriteHeader(h); err != nil {
				return err
			}
			if _, err := t.Write(e.data); err != nil {
				return err
			}
		}
		return errors.Join(t.Close(), z.Close())
	})
}

// writeZip is writeTarGz for Windows.
func writeZip(path string, date time.Time, entries []entry) error {
	return create(path, func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, e := range entries {
			h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: date}
			h.SetMode(os.FileMode(e.mode))
			f, err := z.CreateHeader(h)
			if err != nil {
				return err
			}
			if _, err := f.Write(e.data); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

// create writes a file with fill; on an error none is left.
func create(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}
