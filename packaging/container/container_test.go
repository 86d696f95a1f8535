//go:build !windows

// Package container_test checks that the examples agree with each other and with
// the program. That the image's files work is test.sh's part.
package container_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"taxii-forwarder/forwarder/config"
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

func TestTheConfigurationIsGood(t *testing.T) {
	cfg, credentials, warnings := exampletest.Check(t, read(t, "config/config.hcl"))
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	if cfg.State.Dir != config.DefaultStateDir() {
		t.Errorf("the state is in %s, outside of the volume", cfg.State.Dir)
	}
	compose := read(t, "compose.yaml")
	var given []string
	for _, m := range regexp.MustCompile(`file: \./secrets/(\S+)`).FindAllStringSubmatch(compose, -1) {
		given = append(given, m[1])
	}
	slices.Sort(given)
	if !slices.Equal(credentials, given) {
		t.Errorf("the configuration reads the credentials %q, compose.yaml gives %q", credentials, given)
	}
	for _, name := range given {
		if !regexp.MustCompile(`secrets: \[[^\]]*\b` + name + `\b`).MatchString(compose) {
			t.Errorf("the service does not get the secret %s", name)
		}
	}
}

// Where the image, Compose and the program have to mean the same places.
func TestPlacesAgree(t *testing.T) {
	dockerfile, compose := read(t, "Dockerfile"), read(t, "compose.yaml")
	for _, want := range []string{
		`VOLUME ["` + config.DefaultStateDir() + `"]`,
		"WORKDIR " + config.DefaultStateDir() + "\n",
		"EXPOSE " + config.DefaultListen[strings.LastIndex(config.DefaultListen, ":")+1:] + "\n",
		"ENV CREDENTIALS_DIRECTORY=/run/secrets\n", // where Compose puts them
		"USER 65532:65532\n",
		"STOPSIGNAL SIGTERM\n",
		"FROM scratch\n",
	} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	for _, want := range []string{
		"- state:" + config.DefaultStateDir() + "\n", "- ./config:/etc/taxii-forwarder:ro\n",
		`user: "65532:65532"`, "read_only: true", "cap_drop: [ALL]", `security_opt: ["no-new-privileges:true"]`, "stop_grace_period: 30s",
	} {
		if !strings.Contains(compose, want) {
			t.Errorf("compose.yaml lacks %q", want)
		}
	}
}
