package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxSecretFile bounds what file and credential read.
const maxSecretFile = 1 << 20

// evalContext offers env, file and credential. Each result is given to saw, as
// it may be a secret. There are no variables, and so none that a diagnostic
// could print.
func evalContext(saw func(string)) *hcl.EvalContext {
	fn := func(read func(string) (string, error)) function.Function {
		return function.New(&function.Spec{
			Params: []function.Parameter{{Name: "name", Type: cty.String}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				v, err := read(args[0].AsString())
				if err != nil {
					return cty.NilVal, err
				}
				saw(v)
				return cty.StringVal(v), nil
			},
		})
	}
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"env": fn(readEnv), "file": fn(readSecretFile), "credential": fn(readCredential),
	}}
}

func readEnv(name string) (string, error) {
	v, ok := os.LookupEnv(name)
	switch {
	case !ok:
		return "", fmt.Errorf("the environment variable %s is not set", name)
	case v == "":
		return "", fmt.Errorf("the environment variable %s is empty", name)
	}
	return v, nil
}

func readSecretFile(path string) (string, error) { return readTrimmed(path, "the file "+path) }

// readCredential reads a credential that systemd handed to the service
// (systemd.exec(5), LoadCredential=).
func readCredential(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return "", errors.New("a credential's name has no slash; use file() for a path")
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", fmt.Errorf("there are no credentials, as CREDENTIALS_DIRECTORY is not set; give the service LoadCredential=%s:… or use file() or env()", name)
	}
	return readTrimmed(filepath.Join(dir, name), "the credential "+name)
}

// readTrimmed reads a small file without the newline at its end.
func readTrimmed(path, what string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return "", fmt.Errorf("%s is a directory", what)
	}
	if err == nil && info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d bytes", what, maxSecretFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s does not exist", what)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s can not be read: permission denied to the user that runs this", what)
	case err != nil:
		return "", fmt.Errorf("%s can not be read: %v", what, errors.Unwrap(err))
	}
	v := strings.TrimRight(string(data), "\r\n")
	if v == "" {
		return "", fmt.Errorf("%s is empty", what)
	}
	return v, nil
}
