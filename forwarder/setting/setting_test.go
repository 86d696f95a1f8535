package setting

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSecret: nothing but Reveal shows the text.
func TestSecret(t *testing.T) {
	const text = "s3cret"
	s := Secret(text)
	type holder struct {
		Token Secret
		Ptr   *Secret
		List  []Secret
		Map   map[string]Secret
	}
	h := holder{s, &s, []Secret{s}, map[string]Secret{"k": s}}
	marshalled, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	marshalledXML, err := xml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(marshalled), string(marshalledXML), s.String(), s.GoString(), errors.New(fmt.Sprint(s)).Error(),
		fmt.Errorf("%w: %v", errors.New("x"), s).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%t", "%08b"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, h.Token), fmt.Sprintf(verb, h.List), fmt.Sprintf(verb, h.Map))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		shown = append(shown, fmt.Sprintf(verb, h))
	}
	for _, out := range shown {
		if strings.Contains(out, text) || strings.Contains(out, "733363726574") || strings.Contains(out, "s3c") {
			t.Errorf("shown: %s", out)
		}
	}
	if s.Reveal() != text {
		t.Errorf("Reveal gives %q", s.Reveal())
	}
	if fmt.Sprint(s) != "**redacted**" || fmt.Sprint(Secret("")) != "" {
		t.Errorf("prints %q and %q", fmt.Sprint(s), fmt.Sprint(Secret("")))
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"15m", 15 * time.Minute, true},
		{"90s", 90 * time.Second, true},
		{"1h30m", 90 * time.Minute, true},
		{"30d", 30 * 24 * time.Hour, true},
		{"1d12h", 36 * time.Hour, true},
		{"1.5h", 90 * time.Minute, true},
		{"250ms", 250 * time.Millisecond, true},
		{" 5s ", 5 * time.Second, true},
		{"0", 0, true},
		{"0s", 0, true},
		{"36500d", 36500 * 24 * time.Hour, true},
		{"", 0, false},
		{" ", 0, false},
		{"5", 0, false},
		{"m", 0, false},
		{"-5m", 0, false},
		{"+5m", 0, false},
		{"5 m", 0, false},
		{"5M", 0, false},
		{"1w", 0, false},
		{"5us", 0, false},
		{"1.2.3s", 0, false},
		{".s", 0, false},
		{"1e9s", 0, false},
		{"infs", 0, false},
		{"36501d", 0, false},
		{"20000d20000d", 0, false},
		{strings.Repeat("9", 400) + "d", 0, false},
	}
	for _, tt := range tests {
		got, err := Duration(tt.text).Parse()
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%.20q: %s, %v; want %s, %v", tt.text, got, err, tt.want, tt.ok)
		}
		want := tt.want
		if !tt.ok {
			want = time.Minute
		}
		if got := Duration(tt.text).Or(time.Minute); got != want {
			t.Errorf("%.20q: Or gives %s, want %s", tt.text, got, want)
		}
	}
}

func TestProblemf(t *testing.T) {
	p := Problemf("batch.max_events", "use 1 to %d", 5)
	if p != (Problem{Path: "batch.max_events", Message: "use 1 to 5"}) {
		t.Errorf("%+v", p)
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"15m", "1.5h", "30d", "", "9999999999999d", "1m1m", "..s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Duration(s).Parse()
		if d < 0 || d > maxDuration || err != nil && d != 0 {
			t.Errorf("%q: %s, %v", s, d, err)
		}
	})
}
