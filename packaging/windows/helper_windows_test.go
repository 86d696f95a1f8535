package windows

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"taxii-forwarder/forwarder/taxii/taxiitest"
)

func msiexec(t *testing.T, verb, file string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "msi.log")
	if out, err := exec.Command("msiexec", verb, file, "/qn", "/l*v", log).CombinedOutput(); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("msiexec %s %s: %v: %s\n%s", verb, file, err, out, text)
	}
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	} else {
		t.Logf("%s: %s", strings.Join(args, " "), out)
	}
}

// configure writes a configuration that works and returns it.
func configure(t *testing.T) string {
	t.Helper()
	server := taxiitest.New(taxiitest.Options{})
	t.Cleanup(server.Close)
	c := server.AddCollection(taxiitest.Info{ID: "c0de0de0-0000-4000-8000-000000000001"})
	for i := range objects {
		at := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
		c.Add(at, []byte(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":%[2]q,"modified":%[2]q,`+
			`"valid_from":%[2]q,"pattern_type":"stix","pattern":"[ipv4-addr:value = '192.0.2.%[1]d']"}`, i, at.Format("2006-01-02T15:04:05.000Z"))))
	}
	text := fmt.Sprintf("http { listen = \"off\" }\nfeed \"f\" {\n discovery_url = %q\n auth \"none\" {}\n}\nsink \"file\" \"out\" {\n path = %q\n}\n",
		server.URL(), filepath.ToSlash(filepath.Join(data, "out.ndjson")))
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(configFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return text
}

// follow waits until the service has delivered all objects and answers.
func follow(t *testing.T) {
	t.Helper()
	settled(t, svc.Running)
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(data, "out.ndjson"))
		out, err := exec.Command(program, "status").CombinedOutput()
		if got = string(out); err == nil && strings.Count(string(text), "\n") == objects {
			return
		}
	}
	t.Fatalf("the service has not delivered: %s", got)
}

// open returns the service; nil when there is none.
func open(t *testing.T) *mgr.Service {
	t.Helper()
	m, err := mgr.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func state(t *testing.T) svc.State {
	t.Helper()
	s := open(t)
	if s == nil {
		t.Fatal("there is no service")
	}
	defer s.Close()
	st, err := s.Query()
	if err != nil {
		t.Fatal(err)
	}
	return st.State
}

func settled(t *testing.T, want svc.State) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); state(t) != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the service's state is %d, want %d", state(t), want)
		}
	}
}

// entry looks at the service's configuration.
func entry(t *testing.T) {
	t.Helper()
	s := open(t)
	if s == nil {
		t.Fatal("there is no service")
	}
	defer s.Close()
	c, err := s.Config()
	if err != nil && !wine() {
		t.Fatal(err)
	}
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\`+name, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	image, _, _ := k.GetStringValue("ImagePath")
	account, _, _ := k.GetStringValue("ObjectName")
	start, _, _ := k.GetIntegerValue("Start")
	if !strings.Contains(image, program) || !regexp.MustCompile(`"? run( |$)`).MatchString(image) {
		t.Errorf("it runs %s", image)
	}
	if account != `NT SERVICE\`+name || start != mgr.StartAutomatic {
		t.Errorf("account %q, start type %d", account, start)
	}
	actions, err := s.RecoveryActions()
	if err == nil && len(actions) != 3 {
		t.Errorf("recovery actions %v", actions)
	}
	if wine() {
		return
	}
	orderly, oerr := s.RecoveryActionsOnNonCrashFailures()
	if err != nil || oerr != nil || !orderly || !c.DelayedAutoStart {
		t.Errorf("recovery %v, %v, %v, delayed %v", orderly, err, oerr, c.DelayedAutoStart)
	}
	sd, err := windows.GetNamedSecurityInfo(data, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	if text := sd.String(); !strings.HasPrefix(text, "O:BA") || !strings.Contains(text, "D:P") || strings.Count(text, "(A;") != 3 || !strings.Contains(text, ";S-1-5-80-") {
		t.Errorf("access list of %s: %s", data, text)
	}
}

// applicationLog makes the Application log, which Wine does not have.
func applicationLog(t *testing.T) {
	t.Helper()
	if !wine() {
		return
	}
	k, _, err := registry.CreateKey(registry.LOCAL_MACHINE, filepath.Dir(eventSource), registry.CREATE_SUB_KEY)
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
}

// registered looks for the event log source.
func registered(t *testing.T, want bool) {
	t.Helper()
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, eventSource, registry.QUERY_VALUE)
	if (err == nil) != want {
		t.Errorf("event log source: %v", err)
	}
	if err != nil {
		return
	}
	defer k.Close()
	if file, _, err := k.GetStringValue("EventMessageFile"); err != nil || !strings.HasSuffix(file, `\EventCreate.exe`) {
		t.Errorf("event log source: %s, %v", file, err)
	}
}

func systemPath(t *testing.T) string {
	t.Helper()
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Control\Session Manager\Environment`, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	path, _, err := k.GetStringValue("Path")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
