//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The node that all tests share, and the program, built from this tree.
var (
	node   *server
	binary string
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "interop")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		started := make(chan error, 1)
		go func() { // takes as long as the build
			var err error
			node, err = start()
			started <- err
		}()
		binary = filepath.Join(dir, "taxii-forwarder")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		build := exec.Command("go", "build", "-o", binary, "taxii-forwarder/cmd/taxii-forwarder")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		buildErr := build.Run()
		if err := <-started; err != nil {
			fmt.Fprintln(os.Stderr, "start OpenSearch:", err)
			return 1
		}
		defer node.stop()
		if buildErr != nil {
			fmt.Fprintln(os.Stderr, "go build:", buildErr)
			return 1
		}
		fmt.Printf("OpenSearch %s at %s\n", node.Version, node.URL)
		return m.Run()
	}())
}

// A server is a node of OpenSearch in a process of its own.
type server struct {
	Version string `json:"version"`
	URL     string `json:"url"`

	process *exec.Cmd
	stdin   io.Closer
	log     bytes.Buffer // to be read when the process has ended
}

// startTimeout is ten times what a small machine needs.
const startTimeout = 3 * time.Minute

func start() (*server, error) {
	java, arguments := os.Getenv("OPENSEARCH_JAVA"), os.Getenv("OPENSEARCH_ARGUMENTS")
	if java == "" || arguments == "" {
		return nil, fmt.Errorf("OPENSEARCH_JAVA and OPENSEARCH_ARGUMENTS do not say how; .ci/opensearch/run does and runs these tests")
	}
	s := &server{process: exec.Command(java, "@"+arguments)}
	s.process.Stderr = &s.log
	stdin, err := s.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(startTimeout, func() { _ = s.process.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		return nil, fmt.Errorf("%w; it says:\n%s", err, s.log.Bytes())
	}
	return s, nil
}

// stop ends the process by the end of its standard input.
func (s *server) stop() {
	_ = s.stdin.Close()
	late := time.AfterFunc(30*time.Second, func() { _ = s.process.Process.Kill() })
	defer late.Stop()
	_ = s.process.Wait()
}

var lastIndex atomic.Int64

// newIndex returns the name of an index that is nobody else's. The index and
// its templates are deleted when the test ends.
func newIndex(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("logs-ti_interop%d", lastIndex.Add(1))
	t.Cleanup(func() { forget(name) })
	return name
}

func forget(index string) {
	for _, path := range []string{"/" + index, "/_index_template/" + index, "/_component_template/" + index + "@mappings", "/_ingest/pipeline/" + index} {
		if req, err := http.NewRequest(http.MethodDelete, node.URL+path, nil); err == nil {
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	}
}

// ask makes a request to a server and returns status and answer. A body that
// is no string or []byte is encoded as JSON.
func ask(url, method, path string, body any) (int, []byte, error) {
	var b []byte
	kind := "application/json"
	switch v := body.(type) {
	case nil:
	case []byte:
		b = v
	case string:
		b = []byte(v)
	default:
		var err error
		if b, err = json.Marshal(v); err != nil {
			return 0, nil, err
		}
	}
	if strings.HasSuffix(path, "/_bulk") || strings.HasSuffix(path, "/_msearch") {
		kind = "application/x-ndjson"
	}
	req, err := http.NewRequest(method, url+path, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// must asks the node, demands status 200, and decodes the answer into v, which
// may be nil.
func must(t testing.TB, method, path string, body, v any) {
	t.Helper()
	status, answer, err := ask(node.URL, method, path, body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, status, answer, err)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(answer, v); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// A hit is a document that a search found.
type hit struct {
	ID      string          `json:"_id"`
	Version int64           `json:"_version"`
	Source  json.RawMessage `json:"_source"`
}

// find returns the documents that a query matches, ordered by nothing in
// particular; what was written before is visible to it. No index is no hits.
func find(index string, query any) ([]hit, error) {
	status, answer, err := ask(node.URL, http.MethodPost, "/"+index+"/_refresh", nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, fmt.Errorf("refresh: %d %s", status, answer)
	}
	status, answer, err = ask(node.URL, http.MethodPost, "/"+index+"/_search", map[string]any{"size": 10_000, "version": true, "query": query})
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("search: %d %s %w", status, answer, err)
	}
	var found struct {
		Hits struct {
			Total struct{ Value int }
			Hits  []hit
		}
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, err
	}
	if found.Hits.Total.Value != len(found.Hits.Hits) {
		return nil, fmt.Errorf("%d of %d hits", len(found.Hits.Hits), found.Hits.Total.Value)
	}
	return found.Hits.Hits, nil
}

// documents returns all documents of an index by their _id.
func documents(t testing.TB, index string) map[string]hit {
	t.Helper()
	return matching(t, index, map[string]any{"match_all": map[string]any{}})
}

// matching returns the documents that a query matches by their _id.
func matching(t testing.TB, index string, query any) map[string]hit {
	t.Helper()
	hits, err := find(index, query)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]hit, len(hits))
	for _, h := range hits {
		all[h.ID] = h
	}
	return all
}
