package splunktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// envelope is one object of a request.
type envelope struct {
	time, host, source, sourceType, index string
	event                                 jsontext.Value
	unknown                               string // a key that HEC does not have
	fields                                jsontext.Value
	problems                              []string
}

var errArray = errors.New("an array instead of objects one after the other")

// readEnvelope reads the next object; io.EOF means that there is none.
func readEnvelope(dec *jsontext.Decoder) (e envelope, err error) {
	if k := dec.PeekKind(); k == '[' {
		return e, errArray
	} else if k != '{' {
		_, err := dec.ReadToken()
		if err == nil {
			err = fmt.Errorf("%s instead of an object", k)
		}
		return e, err
	}
	if _, err := dec.ReadToken(); err != nil {
		return e, err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return e, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return e, unexpected(err)
		}
		switch key {
		case "time":
			e.time, err = decimal(value)
			if value.Kind() == '0' {
				e.problems = append(e.problems, "time is a number; a float64 on the way would round it")
			}
		case "host":
			e.host, err = text(value)
		case "source":
			e.source, err = text(value)
		case "sourcetype":
			e.sourceType, err = text(value)
		case "index":
			e.index, err = text(value)
		case "event":
			e.event = value.Clone()
		case "fields":
			e.fields = value.Clone()
		default:
			if e.unknown == "" {
				e.unknown = key
			}
		}
		if err != nil {
			return e, fmt.Errorf("%s: %w", key, err)
		}
	}
	_, err = dec.ReadToken()
	return e, err
}

// unexpected keeps an end within an object from looking like the end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func text(v jsontext.Value) (string, error) {
	if v.Kind() != '"' {
		return "", errors.New("not a string")
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err
}

// decimal reads epoch seconds with a fraction, as a number or as text.
func decimal(v jsontext.Value) (string, error) {
	s := string(v)
	if v.Kind() == '"' {
		s = strings.Trim(s, `"`)
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil || strings.ContainsAny(s, "eExXnN_") {
		return "", errors.New("not decimal seconds")
	}
	return s, nil
}

// verdict says with what code HEC refuses e, 0 for none. It looks at what the
// measured servers look at; whatever else is odd is in problems.
func (e *envelope) verdict(allowed []string, index string) int {
	switch {
	case e.event == nil || e.event.Kind() == 'n':
		return 12
	case e.event.Kind() == '"' && len(bytes.TrimSpace(bytes.Trim(e.event, `"`))) == 0:
		return 13
	case e.event.Kind() == '[' || e.event.Kind() == 't' || e.event.Kind() == 'f':
		return 6
	case e.fields != nil && !flat(e.fields):
		return 15
	case allowed != nil && !slices.Contains(allowed, index):
		return 7
	}
	return 0
}

// flat reports whether v is an object of scalars and arrays of scalars.
func flat(v jsontext.Value) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	if dec.PeekKind() != '{' {
		return false
	}
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if tok.Kind() == '{' && dec.StackDepth() > 1 || tok.Kind() == '[' && dec.StackDepth() > 2 {
			return false
		}
	}
}
