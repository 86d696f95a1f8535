package splunk

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

func FuzzJudge(f *testing.F) {
	for _, s := range []string{
		`{"text":"Success","code":0,"ackId":7}`, `{"text":"Invalid data format","code":6,"invalid-event-number":3}`,
		`{"text":"Incorrect index","code":7,"invalid-event-number":1}`, `{"code":-1}`, `{"code":6,"invalid-event-number":-5}`,
		`{"code":9,"invalid-event-number":99999999999}`, `<html>`, ``, `{"code":"6"}`, `{"text":"x","code":6,"code":0}`,
	} {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
		f.Add(503, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		w := httptest.NewRecorder()
		w.WriteHeader(status)
		resp := w.Result()
		resp.Request, _ = http.NewRequest(http.MethodPost, "https://splunk.example.com:8088/services/collector/event", bytes.NewReader(nil))
		const n = 5
		a := judge(resp, body, n, "threat_intel")
		switch {
		case a.verdict == accepted && (status != http.StatusOK || a.code < 0):
			t.Errorf("%d %q counts as success", status, body)
		case a.verdict == failed && a.fail == nil:
			t.Errorf("%d %q fails without a reason", status, body)
		case a.bad < 0 || a.bad >= n && a.verdict != failed || a.bad > n:
			t.Errorf("%d %q: event number %d of %d", status, body, a.bad, n)
		}
	})
}
