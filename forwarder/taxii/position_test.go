package taxii

import (
	"encoding/json"
	"testing"
	"time"
)

func TestParseStamp(t *testing.T) {
	at := time.Date(2024, 3, 4, 10, 30, 45, 0, time.UTC)
	for text, want := range map[string]struct {
		time time.Time
		unit time.Duration
	}{
		"2024-03-04T10:30:45.123456Z":                                        {at.Add(123456 * time.Microsecond), time.Microsecond},
		"2024-03-04T10:30:45.123Z":                                           {at.Add(123 * time.Millisecond), time.Millisecond},
		"2024-03-04T10:30:45Z":                                               {at, time.Second},
		"2024-03-04T10:30:45.123456789Z":                                     {at.Add(123456789), time.Microsecond},
		"2024-03-04t10:30:45z":                                               {at, time.Second},
		" 2024-03-04 10:30:45 ":                                              {at, time.Second},
		"2024-03-04 10:30:45.5+00:00":                                        {at.Add(500 * time.Millisecond), 100 * time.Millisecond},
		"2024-03-04T11:30:45+01:00":                                          {at, time.Second},
		"2024-03-04T11:30:45+0100":                                           {at, time.Second},
		"2024-03-04T10:30:45.000000":                                         {at, time.Microsecond},
		"2024-03-04T10:30:45.000000+00:00Z":                                  {at, time.Microsecond},
		`"2024-03-04T10:30:45Z"`:                                             {at, time.Second},
		"Mon, 04 Mar 2024 10:30:45 GMT":                                      {at, time.Second},
		"Mon Mar 04 2024 10:30:45 GMT+0000 (Coordinated Universal Time)":     {at, time.Second},
		"Mon Mar 04 2024 11:30:45 GMT+0100 (Central European Standard Time)": {at, time.Second},
		"1709548245":    {at, time.Second},
		"1709548245123": {at.Add(123 * time.Millisecond), time.Millisecond},
	} {
		s, ok := parseStamp(text)
		if !ok || !s.time.Equal(want.time) || s.unit != want.unit || s.text != text {
			t.Errorf("%q: %+v %v, want %v", text, s, ok, want)
		}
	}
	for _, text := range []string{"", "undefined", "null", "None", "NaN", "Invalid Date", "Inf", "0", "1", "2024", "yesterday", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "Mon, 04 Mar 2024 10:30:45 EST"} {
		if s, ok := parseStamp(text); ok {
			t.Errorf("%q is read as %v", text, s.time)
		}
	}
}

func TestPrecisionRoundsDown(t *testing.T) {
	at := time.Date(2024, 3, 4, 10, 30, 45, 999999999, time.FixedZone("x", 3600))
	for p, want := range map[Precision]string{Microseconds: "2024-03-04T09:30:45.999999Z", Milliseconds: "2024-03-04T09:30:45.999Z", Seconds: "2024-03-04T09:30:45Z"} {
		if got := p.format(at); got != want {
			t.Errorf("%d: %s, want %s", p, got, want)
		}
	}
}

func TestPosition(t *testing.T) {
	start := StartAt(epoch)
	if a, ok := start.after(time.Hour); !ok || a != epoch || start.String() != "2024-03-04T10:30:45.000000Z" {
		t.Errorf("start: %v %v %s", a, ok, start)
	}
	if _, ok := (&Position{}).after(time.Hour); ok || (Position{}).String() != "start" || !(Position{}).Time().IsZero() {
		t.Error("the zero position asks for something")
	}
	// Without an overlap it is one unit of the coarser of what is shown and taken.
	p := Position{Added: "2024-03-04T10:30:45.5Z"}
	if a, _ := p.after(0); a != epoch.Add(400*time.Millisecond) {
		t.Errorf("after %v", a)
	}
	p.Precision = Seconds
	if a, _ := p.after(0); a != epoch.Add(-500*time.Millisecond) {
		t.Errorf("after %v", a)
	}
	// It never moves backwards, and keeps the server's own writing.
	if early, _ := parseStamp("2024-03-04T10:30:45Z"); p.advance(early) {
		t.Error("moved backwards")
	}
	js := "Mon Mar 04 2024 10:30:46 GMT+0000 (UTC)"
	if late, _ := parseStamp(js); !p.advance(late) || p.Added != js {
		t.Errorf("position %s", p)
	}
	for _, bad := range []string{`{"added":"undefined"}`, `{"precision":7}`, `{"window":{"next":"","limit":1,"saved":"2024-01-01T00:00:00Z"}}`, `17`, `{`} {
		if _, err := ParsePosition([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for _, nothing := range []string{"", "null", "{}"} {
		if p, err := ParsePosition([]byte(nothing)); err != nil || !p.same(Position{}) {
			t.Errorf("%q: %+v %v", nothing, p, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add([]byte(`{"start":"2024-01-01T00:00:00Z","added":"2024-03-04T10:30:45.5Z","precision":1,"lossy_next":true}`))
	f.Add([]byte(`{"window":{"after":"2024-01-01T00:00:00Z","next":"x","limit":5,"saved":"2024-01-01T00:00:00Z"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParsePosition(raw)
		if err != nil {
			return
		}
		out, err := json.Marshal(p)
		if err != nil {
			return // a year that JSON has no room for
		}
		q, err := ParsePosition(out)
		if err != nil || p.Added != q.Added || !p.Start.Equal(q.Start) {
			t.Fatalf("%s becomes %s: %v", raw, out, err)
		}
	})
}

func FuzzStamp(f *testing.F) {
	for _, s := range append([]string{"undefined", "1709548245", "1e9", "2024-03-04T10:30:45.123456789012Z"}, layouts...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseStamp(text)
		if !ok {
			return
		}
		if s.unit < time.Microsecond || s.unit > time.Second || s.time.Year() < 1970 || s.time.Year() > 9999 {
			t.Fatalf("%q: %+v", text, s)
		}
		// What is sent is never later than what was read.
		for p := Microseconds; p <= Seconds; p++ {
			back, ok := parseStamp(p.format(s.time))
			if !ok || back.time.After(s.time) || s.time.Sub(back.time) >= p.unit() {
				t.Fatalf("%q is sent as %s", text, p.format(s.time))
			}
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"error":{"error":{"code":1}},"title":"x"}`))
	f.Add([]byte(`{"api_roots":["/a",null,{}],"can_read":"true"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = errorText(raw)
		if m, err := parseMembers(raw); err == nil {
			_ = m.texts("apiroots")
			_ = m.flag("canread", true)
			_ = m.integer("maxcontentlength")
		}
	})
}
