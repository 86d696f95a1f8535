package e2e

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secrets are the texts that nothing may show, in every form that they travel
// in.
func (r *rig) secrets() map[string]string {
	_, key, _ := strings.Cut(elasticKey, ":")
	return map[string]string{
		"the feed's token": taxiiToken, "the HEC token": hecToken, "the client secret": azureSecret,
		"the API key": key, "the API key, encoded": base64.StdEncoding.EncodeToString([]byte(elasticKey)),
	}
}

// checkPages searches what the status listener serves.
func (r *rig) checkPages() {
	r.Helper()
	if r.app.Addr() == "" {
		return
	}
	for _, path := range []string{"/", "/status", "/metrics", "/healthz", "/readyz", "/readyz?strict"} {
		_, body := r.get(path)
		r.search(path, body)
	}
}

// checkSecrets searches the log and all that the forwarder wrote to disk, dead
// letters included.
func (r *rig) checkSecrets() {
	r.Helper()
	r.search("the log", r.log.String())
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == r.dir { // where the test keeps the secrets itself
			return err
		}
		b, err := os.ReadFile(path)
		r.search(path, string(b))
		return err
	})
	if err != nil {
		r.Error(err)
	}
}

func (r *rig) search(where, text string) {
	r.Helper()
	for what, secret := range r.secrets() {
		if i := strings.Index(text, secret); i >= 0 {
			r.Errorf("%s shows %s: …%s…", where, what, text[max(0, i-200):i])
		}
	}
}
