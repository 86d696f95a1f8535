package splunktest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// codes is HEC's table: the status and text of each code.
var codes = map[int]struct {
	status int
	text   string
}{
	0: {200, "Success"}, 1: {403, "Token disabled"}, 2: {401, "Token is required"}, 3: {401, "Invalid authorization"},
	4: {403, "Invalid token"}, 5: {400, "No data"}, 6: {400, "Invalid data format"}, 7: {400, "Incorrect index"},
	8: {500, "Internal server error"}, 9: {503, "Server is busy"}, 10: {400, "Data channel is missing"},
	11: {400, "Invalid data channel"}, 12: {400, "Event field is required"}, 13: {400, "Event field cannot be blank"},
	14: {400, "ACK is disabled"}, 15: {400, "Error in handling indexed fields"},
	16: {400, "Query string authorization is not enabled"}, 17: {200, "HEC is healthy"},
	18: {503, "HEC is unhealthy, queues are full"}, 19: {503, "HEC is unhealthy, ack service unavailable"},
	20: {503, "HEC is unhealthy, queues are full, ack service unavailable"}, 21: {400, "Invalid token"},
	22: {400, "Token disabled"}, 23: {503, "Server is shutting down"},
	24: {200, "Success. Queue is approaching capacity"}, 25: {200, "Success. ACK channel is approaching capacity"},
	26: {429, "Queue at capacity"}, 27: {429, "ACK channel at capacity"},
	28: {400, "Data channel is missing; sticky sessions need it"},
}

// result is an answer in the making.
type result struct {
	code  int
	bad   int // invalid-event-number; -1 = none
	ackID int64
	acked bool
}

func answer(code int) result { return result{code: code, bad: -1} }

// write sends res, or what f makes of it.
func (s *Server) write(w http.ResponseWriter, r *http.Request, res result, f *Fault) {
	if f != nil && f.after(s, w, r, res) {
		return
	}
	c := codes[res.code]
	m := map[string]any{"text": c.text, "code": res.code}
	if res.bad >= 0 {
		m["invalid-event-number"] = res.bad
	}
	if res.acked {
		m["ackId"] = res.ackID
	}
	writeJSON(w, c.status, m)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("splunktest: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func html(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><html><head><title>%d %s</title></head><body><h1>%[2]s</h1></body></html>\r\n", status, http.StatusText(status))
}
