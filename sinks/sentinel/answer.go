package sentinel

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// answer is the body of an upload's answer. Empty = everything was accepted.
type answer struct {
	Errors []recordError `json:"errors"`
	// Error is the general error body of the API description.
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Message string `json:"message"`
}

// recordError names one object that was refused. The documentation calls its
// list errorMessages, the API description validationErrorMessages.
type recordError struct {
	Index              *int64         `json:"recordIndex"`
	Messages           jsontext.Value `json:"errorMessages"`
	ValidationMessages jsontext.Value `json:"validationErrorMessages"`
}

func parseAnswer(body []byte) (answer, error) {
	var a answer
	if len(bytes.TrimSpace(body)) == 0 {
		return a, nil
	}
	err := json.Unmarshal(body, &a, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), json.MatchCaseInsensitiveNames(true))
	return a, err
}

// refused maps the index of each refused object of a request of n to why.
// An entry without any message is a refusal too.
func (a *answer) refused(n int) (map[int]string, error) {
	if len(a.Errors) == 0 {
		return nil, nil
	}
	refused := make(map[int]string, len(a.Errors))
	for i := range a.Errors {
		e := &a.Errors[i]
		if e.Index == nil {
			return nil, fmt.Errorf("error %d of %d names no recordIndex: %s", i+1, len(a.Errors), e.text())
		}
		if *e.Index < 0 || *e.Index >= int64(n) {
			return nil, fmt.Errorf("error %d of %d has recordIndex %d, but the request had %d objects", i+1, len(a.Errors), *e.Index, n)
		}
		text := e.text()
		if before := refused[int(*e.Index)]; before != "" {
			text = before + "; " + text
		}
		refused[int(*e.Index)] = text
	}
	return refused, nil
}

// maxDetail bounds an explanation that is kept with a dead letter.
const maxDetail = 2000

// text joins e's messages.
func (e *recordError) text() string {
	var all []string
	for _, raw := range []jsontext.Value{e.Messages, e.ValidationMessages} {
		var list []string
		var one string
		switch {
		case len(raw) == 0 || raw.Kind() == 'n':
		case json.Unmarshal(raw, &list) == nil:
			all = append(all, list...)
		case json.Unmarshal(raw, &one) == nil:
			all = append(all, one)
		default:
			all = append(all, string(raw))
		}
	}
	text := strings.Join(all, "; ")
	if text == "" {
		return "refused without a message"
	}
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

// text is the general message of an answer, or "".
func (a *answer) text() string {
	switch {
	case a.Error.Code != "" && a.Error.Message != "":
		return a.Error.Code + ": " + a.Error.Message
	case a.Error.Message != "":
		return a.Error.Message
	}
	return or(a.Message, a.Error.Code)
}
