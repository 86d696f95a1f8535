// Package dashboards_test holds the dashboard, the alerts and the README's list
// of metrics against the metrics that there are.
package dashboards_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"taxii-forwarder/forwarder/intel"
	"taxii-forwarder/forwarder/metrics"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// family is what a metric looks like at /metrics.
type family struct {
	labels []string
	values map[string][]string // of the labels that are words out of a list
}

// exposed returns what /metrics has of a forwarder to which everything has
// happened.
func exposed(t *testing.T) map[string]family {
	t.Helper()
	m := metrics.New()
	for _, result := range []string{metrics.PollOK, metrics.PollError, metrics.PollCanceled} {
		m.PollDone("f", "c", result, 1, time.Second)
	}
	m.Checkpoint("f", "c", time.Unix(1, 0))
	m.Applied("f", 1, 1, 1, 1)
	m.Broken("f", "c", 1)
	m.FeedFailure("f", intel.FailAuth)
	for _, action := range []intel.Action{intel.Upsert, intel.Withdraw} {
		m.Delivered("f", "s", action, 1)
	}
	m.Skipped("f", "s", "reason", 1)
	m.Rejected("f", "s", "reason", 1)
	m.SinkFailure("f", "s", intel.FailAuth)
	m.Batch("f", "s", 1, time.Second)
	m.Pending("f", "s", 1)
	m.DeadLetters("f", "s", 1)
	m.Reload(true)
	m.StateBytes(1)
	m.BuildInfo("v", "c")
	gathered, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]family{}
	for _, g := range gathered {
		f := family{values: map[string][]string{}}
		for _, s := range g.GetMetric() {
			for _, l := range s.GetLabel() {
				f.labels = append(f.labels, l.GetName())
				f.values[l.GetName()] = append(f.values[l.GetName()], l.GetValue())
			}
		}
		if g.GetType().String() != "HISTOGRAM" {
			out[g.GetName()] = f
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			out[g.GetName()+suffix] = f
		}
		bucket := out[g.GetName()+"_bucket"]
		bucket.labels = append(slices.Clone(bucket.labels), "le")
		out[g.GetName()+"_bucket"] = bucket
	}
	return out
}

// Every series has these from Prometheus.
var scraped = []string{"job", "instance"}

var (
	selector = regexp.MustCompile(`\b((?:taxii_forwarder|process|go)_[a-z_]+)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|=|!=|!~)"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend   = regexp.MustCompile(`\{\{(?: \$labels\.)?\s*([a-z_]+)\s*\}\}`)
)

// check holds an expression and the labels that its text shows against what is
// exposed, and returns the metrics that it uses.
func check(t *testing.T, expr string, shown []string, have map[string]family) []string {
	t.Helper()
	var used, labels []string
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		f, ok := have[s[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", expr, s[1])
			continue
		}
		used = append(used, s[1])
		labels = append(labels, f.labels...)
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(f.labels, m[1]) && !slices.Contains(scraped, m[1]) {
				t.Errorf("%s: %s has no label %s", expr, s[1], m[1])
			}
			if m[2] == "=" && !slices.Contains(scraped, m[1]) && !slices.Contains(f.values[m[1]], m[3]) {
				t.Errorf("%s: the label %s of %s is never %q", expr, m[1], s[1], m[3])
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		by := strings.Split(strings.ReplaceAll(g[1], " ", ""), ",")
		for _, l := range by {
			if !slices.Contains(labels, l) {
				t.Errorf("%s: grouped by %s, which nothing has", expr, l)
			}
		}
		labels = by
	}
	for _, l := range shown {
		if !slices.Contains(labels, l) && (grouping.MatchString(expr) || !slices.Contains(scraped, l)) {
			t.Errorf("%s: shows the label %s, which the result does not have", expr, l)
		}
	}
	return used
}

func first(matches [][]string) []string {
	var out []string
	for _, m := range matches {
		out = append(out, m[1])
	}
	return out
}

func TestTheDashboardShowsWhatThereIs(t *testing.T) {
	var doc struct {
		UID        string
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	text := read(t, "grafana.json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	have := exposed(t)
	var used []string
	taken := map[[2]int]string{}
	for _, p := range doc.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			used = append(used, check(t, target.Expr, first(legend.FindAllStringSubmatch(target.LegendFormat, -1)), have)...)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("%s lies on %q or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	known := []string{"__rate_interval"}
	for _, v := range doc.Templating.List {
		known = append(known, v.Name)
		if q, ok := v.Query.(map[string]any); ok {
			query, _ := q["query"].(string)
			used = append(used, check(t, query, nil, have)...)
		}
	}
	for _, v := range regexp.MustCompile(`\$\{?([a-z_]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, v[1]) && v[1] != "__all" {
			t.Errorf("there is no variable $%s", v[1])
		}
	}
	// Whatever the forwarder counts is to be seen, but for what says the same again.
	for name := range have {
		if !strings.HasPrefix(name, "taxii_forwarder_") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_success_timestamp_seconds") {
			continue
		}
		if !slices.Contains(used, name) && name != "taxii_forwarder_batch_size_bucket" {
			t.Errorf("nothing shows %s", name)
		}
	}
}

func TestAlertsAreAboutWhatThereIs(t *testing.T) {
	have := exposed(t)
	text := read(t, "alerts.yaml")
	rules := strings.Split(text, "- alert: ")[1:]
	if len(rules) == 0 {
		t.Fatal("there is no alert")
	}
	tests := read(t, "alerts_test.yaml")
	for _, r := range rules {
		name, rest, _ := strings.Cut(r, "\n")
		expr, annotations, _ := strings.Cut(rest, "annotations:")
		shown := first(regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(annotations, -1))
		check(t, expr, shown, have)
		if !regexp.MustCompile(`severity: (critical|warning|info)\n`).MatchString(expr) || !strings.Contains(annotations, "summary: ") || !strings.Contains(annotations, "description: ") {
			t.Errorf("%s lacks its severity, its summary or its description", name)
		}
		if !strings.Contains(tests, `alertname="`+name+`"`) {
			t.Errorf("alerts_test.yaml does not test %s", name)
		}
	}
}

// promtool knows the language; where it is installed it has its say.
func TestPromtoolAgrees(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestTheReadmeNamesTheMetrics(t *testing.T) {
	have := exposed(t)
	text := read(t, "../../README.md")
	_, table, ok := strings.Cut(text, "| Metric (`taxii_forwarder_…`)")
	if !ok {
		t.Fatal("the README has no table of metrics")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && strings.Contains(cells[1], "`") {
			for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				named["taxii_forwarder_"+name[1]] = true
			}
		}
	}
	for name := range named {
		if _, ok := have[name]; !ok && have[name+"_bucket"].labels == nil {
			t.Errorf("the README names %s, which is not exposed", name)
		}
	}
	for name := range have {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "taxii_forwarder_") && !named[base] && !named[name] {
			t.Errorf("the README does not name %s", name)
		}
	}
}
