package windows

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// versions returns the version of the installed program and makes sure that its
// resources, the program itself and the package's name agree on it.
func versions(t *testing.T, msi string) string {
	t.Helper()
	m := regexp.MustCompile(`_(\d+\.\d+\.\d+)_`).FindStringSubmatch(filepath.Base(msi))
	if m == nil {
		t.Fatalf("no version in %s", msi)
	}
	want := m[1]
	var zero windows.Handle
	size, err := windows.GetFileVersionInfoSize(program, &zero)
	if err != nil {
		t.Fatalf("version resource: %v", err)
	}
	block := make([]byte, size)
	if err := windows.GetFileVersionInfo(program, 0, size, unsafe.Pointer(&block[0])); err != nil {
		t.Fatalf("version resource: %v", err)
	}
	var fixed *windows.VS_FIXEDFILEINFO
	var length uint32
	if err := windows.VerQueryValue(unsafe.Pointer(&block[0]), `\`, unsafe.Pointer(&fixed), &length); err != nil {
		t.Fatalf("version resource: %v", err)
	}
	got := fmt.Sprintf("%d.%d.%d", fixed.FileVersionMS>>16, fixed.FileVersionMS&0xffff, fixed.FileVersionLS>>16)
	if got != want {
		t.Errorf("file version %s, want %s", got, want)
	}
	for key, want := range map[string]string{"ProductName": "TAXII Forwarder", "ProductVersion": want, "OriginalFilename": "taxii-forwarder.exe"} {
		var value *uint16
		if err := windows.VerQueryValue(unsafe.Pointer(&block[0]), `\StringFileInfo\040904b0\`+key, unsafe.Pointer(&value), &length); err != nil {
			t.Errorf("%s: %v", key, err)
		} else if s := windows.UTF16PtrToString(value); s != want {
			t.Errorf("%s is %q, want %q", key, s, want)
		}
	}
	manifest := resource(t, 24) // RT_MANIFEST
	for _, want := range []string{`level="asInvoker"`, ">UTF-8</activeCodePage>", ">true</longPathAware>"} {
		if !bytes.Contains(manifest, []byte(want)) {
			t.Errorf("the manifest lacks %s:\n%s", want, manifest)
		}
	}
	out, err := exec.Command(program, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " "+want) {
		t.Errorf("version: %v: %s", err, out)
	}
	return got
}

// resource reads resource 1 of a type from the program.
func resource(t *testing.T, kind uint16) []byte {
	t.Helper()
	h, err := windows.LoadLibraryEx(program, 0, windows.LOAD_LIBRARY_AS_DATAFILE)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.FreeLibrary(h)
	r, err := windows.FindResource(h, windows.ResourceID(1), windows.ResourceID(kind))
	if err != nil {
		t.Fatal(err)
	}
	data, err := windows.LoadResourceData(h, r)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}
