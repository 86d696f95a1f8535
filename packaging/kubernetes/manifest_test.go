// Package kubernetes_test checks what a schema can not: that the manifest agrees
// with itself and with the program. The schemas are .ci/manifests' part.
package kubernetes_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"taxii-forwarder/forwarder/status"
	"taxii-forwarder/forwarder/web"
	"taxii-forwarder/packaging/internal/exampletest"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// literal returns the text of a block scalar ("key: |").
func literal(t *testing.T, manifest, key string) string {
	t.Helper()
	var b strings.Builder
	indent, in := "", false
	for line := range strings.Lines(manifest) {
		switch trimmed := strings.TrimLeft(line, " "); {
		case !in && trimmed == key+": |\n":
			indent, in = line[:len(line)-len(trimmed)]+"  ", true
		case in && strings.HasPrefix(line, indent):
			b.WriteString(strings.TrimPrefix(line, indent))
		case in && strings.TrimSpace(line) == "":
			b.WriteString("\n")
		case in:
			return b.String()
		}
	}
	t.Fatalf("there is no %s: |", key)
	return ""
}

// value returns the one value of a key.
func value(t *testing.T, manifest, key string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^[ -]*`+regexp.QuoteMeta(key)+`: *(\S.*)$`).FindAllStringSubmatch(manifest, -1)
	if len(found) != 1 {
		t.Fatalf("%s is there %d times", key, len(found))
	}
	return strings.Trim(found[0][1], `"`)
}

func TestTheConfigurationIsGood(t *testing.T) {
	manifest := read(t, "taxii-forwarder.yaml")
	cfg, credentials, warnings := exampletest.Check(t, literal(t, manifest, "config.hcl"))
	// What the comment tells to create is what the configuration reads.
	var told []string
	for _, m := range regexp.MustCompile(`--from-(?:file|literal)=([a-z-]+)`).FindAllStringSubmatch(manifest, -1) {
		told = append(told, m[1])
	}
	slices.Sort(told)
	if !slices.Equal(credentials, told) {
		t.Errorf("the configuration reads the credentials %q, the Secret is made with %q", credentials, told)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "unencrypted") {
		t.Errorf("warnings: %q", warnings)
	}
	if want := "0.0.0.0:" + value(t, manifest, "containerPort"); cfg.HTTP.Listen != want || cfg.HTTP.Token == "" {
		t.Errorf("it listens on %q, the port is %s; token: %v", cfg.HTTP.Listen, want, cfg.HTTP.Token != "")
	}
	if state := "/var/lib/taxii-forwarder"; cfg.State.Dir != state+"/state" || !strings.Contains(manifest, "name: state\n              mountPath: "+state+"\n") {
		t.Errorf("the state %q is not below the volume's root", cfg.State.Dir)
	}
	secrets := regexp.MustCompile(`name: CREDENTIALS_DIRECTORY\n +value: (\S+)`).FindStringSubmatch(manifest)
	if secrets == nil || !strings.Contains(manifest, "name: secrets\n              mountPath: "+secrets[1]+"\n") {
		t.Errorf("credentials are looked for in %v, where nothing is mounted", secrets)
	}
}

func TestNothingIsGrantedThatIsNotNeeded(t *testing.T) {
	manifest := read(t, "taxii-forwarder.yaml")
	for key, want := range map[string]string{
		"runAsNonRoot": "true", "runAsUser": "65532", "runAsGroup": "65532", "fsGroup": "65532",
		"readOnlyRootFilesystem": "true", "allowPrivilegeEscalation": "false", "drop": `["ALL"]`,
		"enableServiceLinks": "false", "defaultMode": "0440", "replicas": "1",
	} {
		if got := value(t, manifest, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if !strings.Contains(manifest, "seccompProfile:\n          type: RuntimeDefault\n") {
		t.Error("no seccomp profile")
	}
	if strings.Count(manifest, "automountServiceAccountToken: false") != 2 || strings.Contains(manifest, "automountServiceAccountToken: true") {
		t.Error("the pod gets a token for the cluster's API")
	}
}

// The runtime has to collect before the kernel ends the program; the program
// needs about 120 MB for 60,000 indicators.
func TestMemoryLimitsFitTogether(t *testing.T) {
	manifest := read(t, "taxii-forwarder.yaml")
	number := func(form string) int {
		t.Helper()
		m := regexp.MustCompile(form).FindStringSubmatch(manifest)
		if m == nil {
			t.Fatalf("no %s", form)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	request, limit := number(`requests:\n.*cpu.*\n +memory: (\d+)Mi`), number(`limits:\n +memory: (\d+)Mi`)
	soft := number(`name: GOMEMLIMIT\n +value: (\d+)MiB`)
	if request < 120 || soft < 150 || soft > limit*9/10 {
		t.Errorf("requested %d MiB, GOMEMLIMIT %d MiB, limit %d MiB", request, soft, limit)
	}
}

// healthy is a forwarder that works.
type healthy struct{}

func (healthy) Status(context.Context) status.Status          { return status.Status{Running: true} }
func (healthy) Ready(context.Context) (bool, []status.Reason) { return true, nil }
func (healthy) Alive() bool                                   { return true }

func TestProbesNeedNoToken(t *testing.T) {
	h := web.Handler(web.Options{Source: healthy{}, Gatherer: prometheus.NewRegistry(), Token: "a-token-of-the-test"})
	get := func(path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	paths := regexp.MustCompile(`httpGet:\n +path: (\S+)\n +port: http\n`).FindAllStringSubmatch(read(t, "taxii-forwarder.yaml"), -1)
	if len(paths) != 3 {
		t.Errorf("%d probes", len(paths))
	}
	for _, p := range paths {
		if code := get(p[1]); code != http.StatusOK {
			t.Errorf("the probe of %s gets %d", p[1], code)
		}
	}
	scraped := value(t, read(t, "podmonitor.yaml"), "path")
	if code := get(scraped); code != http.StatusUnauthorized {
		t.Errorf("%s gets %d without the token that the PodMonitor sends", scraped, code)
	}
}
