package sentinel

import (
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		body    string
		want    map[int]string
		badForm bool // not the API's
		badList bool // names what was not sent
	}{
		{body: "", want: nil},
		{body: " \r\n", want: nil},
		{body: "{}", want: nil},
		{body: "null", want: nil},
		{body: `{"errors":[]}`, want: nil},
		{body: `{"errors":null}`, want: nil},
		{body: `{"errors":[{"recordIndex":2,"errorMessages":["a","b"]}]}`, want: map[int]string{2: "a; b"}},
		{body: `{"errors":[{"recordIndex":2,"validationErrorMessages":["a"]}]}`, want: map[int]string{2: "a"}},
		{body: `{"Errors":[{"RecordIndex":2,"ErrorMessages":["a"]}]}`, want: map[int]string{2: "a"}},
		{body: `{"errors":[{"recordIndex":0}]}`, want: map[int]string{0: "refused without a message"}},
		{body: `{"errors":[{"recordIndex":0,"errorMessages":null}]}`, want: map[int]string{0: "refused without a message"}},
		{body: `{"errors":[{"recordIndex":0,"errorMessages":"one"}]}`, want: map[int]string{0: "one"}},
		{body: `{"errors":[{"recordIndex":0,"errorMessages":[{"odd":1}]}]}`, want: map[int]string{0: `[{"odd":1}]`}},
		{body: `{"errors":[{"recordIndex":1,"errorMessages":["a"]},{"recordIndex":1,"errorMessages":["b"]}]}`, want: map[int]string{1: "a; b"}},
		{body: `{"errors":[{"recordIndex":3,"errorMessages":["a"]}]}`, badList: true},
		{body: `{"errors":[{"recordIndex":-1,"errorMessages":["a"]}]}`, badList: true},
		{body: `{"errors":[{"errorMessages":["a"]}]}`, badList: true},
		{body: `{"errors":[{"recordIndex":"x"}]}`, badForm: true},
		{body: `{"errors":{}}`, badForm: true},
		{body: `{"errors":[{"recordIndex":0`, badForm: true},
		{body: `<html></html>`, badForm: true},
		{body: `{} {}`, badForm: true},
		{body: `[]`, badForm: true},
	} {
		a, err := parseAnswer([]byte(tt.body))
		if (err != nil) != tt.badForm {
			t.Errorf("%s: error %v", tt.body, err)
		}
		if err != nil {
			continue
		}
		got, err := a.refused(3)
		if (err != nil) != tt.badList || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.body, got, err, tt.want)
		}
	}
}

func TestThrottledFor(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header, body string
		want         time.Duration
	}{
		{"70", "", 70 * time.Second},
		{"0", "", time.Second},
		{now.Add(95 * time.Second).Format(http.TimeFormat), "", 95 * time.Second},
		{"12", `{"message":"Rate limit is exceeded. Try again in 30 seconds."}`, 12 * time.Second},
		{"", `{"message":"Rate limit is exceeded. Try again in 30 seconds."}`, 30 * time.Second},
		{"", `{"message":"rate limit. try again in 1 second."}`, time.Second},
		{"", `{"message":"Try again in 999999999 seconds."}`, 24 * time.Hour},
		{"", `{"message":"Rate limit is exceeded."}`, time.Minute},
		{"soon", ``, time.Minute},
	} {
		h := http.Header{}
		if tt.header != "" {
			h.Set("Retry-After", tt.header)
		}
		if got := throttledFor(h, []byte(tt.body), now); got != tt.want {
			t.Errorf("%q %q: %s, want %s", tt.header, tt.body, got, tt.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"errors":[{"recordIndex":2,"errorMessages":["a"],"validationErrorMessages":"b"}],"error":{"code":"c","message":"m"}}`), 3)
	f.Add([]byte(``), 0)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		a, err := parseAnswer(body)
		if err != nil {
			return
		}
		a.text()
		refused, err := a.refused(n)
		if err != nil && refused != nil {
			t.Error("both a result and an error")
		}
		for i, text := range refused {
			if i < 0 || i >= n || text == "" {
				t.Errorf("record %d of %d: %q", i, n, text)
			}
		}
	})
}
